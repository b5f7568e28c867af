"""A person with FreeRDP: a screen of their own, a client on it, keys, clipboard, pictures.

with RdpClient(Path(folder)) as client:
    client.connect("/run/porthole/rdp.sock", "800x600")
    client.wait_picture(); client.type("hello\n"); client.picture().save("seen.png")
"""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageGrab

from tests.support.own_screen import OwnScreen

USUAL = ("/sec:tls", "/bpp:32", "/rfx", "/network:lan", "+clipboard")


class RdpClient(OwnScreen):
    """FreeRDP on a screen of its own; `folder` becomes its home."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._client: subprocess.Popen[bytes] | None = None
        self._clipboard: list[subprocess.Popen[bytes]] = []

    def __exit__(self, *error: object) -> None:
        self.disconnect()
        for process in self._clipboard:
            process.terminate()
            process.wait(10)
        super().__exit__(*error)

    def connect(
        self,
        server: str,
        size: str,
        *options: str,
        user: str = "user",
        password: str = "x",
        certificate: str = "ignore",
    ) -> None:
        """Begin to connect to a host, `host:port` or the path of a socket."""
        self.size = tuple(int(part) for part in size.split("x"))
        self._client = self.spawn(
            *("xfreerdp", f"/v:{server}", f"/u:{user}", f"/p:{password}", f"/size:{size}"),
            *(f"/cert:{certificate}", *USUAL, *options),
        )

    def disconnect(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._client.wait(5)
            self._client.kill()
            self._client.wait()
            self._client = None

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Have it neither read nor say anything, as if its line were broken."""
        assert self._client is not None
        self._client.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._client.send_signal(signal.SIGCONT)

    def cut(self) -> None:
        """Be gone without a word."""
        assert self._client is not None
        self._client.kill()
        self._client.wait()
        self._client = None

    def wait_ended(self, seconds: float = 20) -> int:
        """Wait until the client has ended by itself; return its exit code."""
        assert self._client is not None
        return self._client.wait(seconds)

    def picture(self) -> Image.Image:
        """Return what it shows, without the rest of its own screen."""
        whole = ImageGrab.grab(xdisplay=self.display)
        return whole.crop((0, 0, *self.size)).convert("RGB")

    def wait_picture(self, seconds: float = 20, *, colours: int = 50) -> Image.Image:
        """Wait until it shows more than a few colours."""
        until = time.monotonic() + seconds
        while len((seen := self.picture()).getcolors(2**24) or ()) < colours:
            assert self._client is not None
            assert self._client.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)
        return seen

    def click(self, x: int, y: int) -> None:
        """Click somewhere."""
        self.xdotool("mousemove", str(x), str(y), "click", "1")
        time.sleep(0.2)

    def copy(self, text: str) -> None:
        """Put a text into the clipboard of the person's own screen."""
        process = subprocess.Popen(
            ["xclip", "-selection", "clipboard", "-i", "-quiet"],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=self.output,
            stderr=self.output,
        )
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        self._clipboard.append(process)

    def pasted(self) -> str:
        """Return what is in that clipboard."""
        return paste(self.env)


def paste(env: dict[str, str]) -> str:
    """Return the clipboard of the display that an environment names; empty if it has none."""
    command = ["xclip", "-selection", "clipboard", "-o"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, env=env, check=False, capture_output=True, timeout=3)
        return done.stdout.decode()
    return ""
