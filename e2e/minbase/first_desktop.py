"""From a clone to a desktop that answers, and back to nothing; with the time of each step.

Run in a clone by the machine's own Python. The desktop is asked for as any program would:
by the clients' package, whose half of this file runs in the environment that `./porthole`
has made.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20 * 60.0  # seconds for everything up to the link
ENDING = 90.0  # seconds for everything to end
READY = "This link signs you in"


def say(line: str) -> None:
    """Print one line of the proof."""
    print(f"first desktop: {line}", flush=True)


def processes() -> dict[int, str]:
    """Return the programs that run, by process id; the kernel's and our own left out."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            if words and int(entry.name) not in {1, os.getpid()}:
                found[int(entry.name)] = words
    return found


def mounts() -> set[str]:
    """Return where something is mounted."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {line.split()[4] for line in lines}


def wait_for_link(up: "subprocess.Popen[str]") -> bool:
    """Pass on what `up` prints until it prints the link; return whether it did."""
    assert up.stdout is not None
    signal.alarm(int(PATIENCE))
    for line in up.stdout:
        print(f"  | {line.rstrip()}", flush=True)
        if READY in line:
            signal.alarm(0)
            return True
    return False


def main() -> int:
    """Prove it; return the exit code."""
    begun = time.monotonic()
    before = processes(), mounts()
    up = subprocess.Popen(
        ["./porthole", "up", "--no-browser"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        if not wait_for_link(up):
            say(f"`./porthole up` ended with {up.wait()} and printed no link")
            return 1
        say(f"the link was there after {time.monotonic() - begun:.0f} s")
        inner = [str(ROOT / ".venv/bin/python"), __file__, "--ask"]
        if subprocess.run(inner, check=False, timeout=300).returncode:
            log = Path("/var/lib/porthole/log")
            for path in sorted(log.glob("*.log")):
                say(f"the end of {path}:")
                print("\n".join(path.read_text(errors="replace").splitlines()[-40:]), flush=True)
            return 1
        say(f"a desktop answered {time.monotonic() - begun:.0f} s after `./porthole up`")
    finally:
        up.send_signal(signal.SIGINT)
        stopping = time.monotonic()
        try:
            rest, _ = up.communicate(timeout=ENDING)
        except subprocess.TimeoutExpired:
            up.kill()
            rest, _ = up.communicate()
            say(f"`./porthole up` did not end within {ENDING:.0f} s of Ctrl-C")
        print("".join(f"  | {line}\n" for line in rest.splitlines()), end="", flush=True)
    say(f"it ended with {up.returncode}, {time.monotonic() - stopping:.1f} s after Ctrl-C")
    left = [f"process {pid}: {words}" for pid, words in processes().items() if pid not in before[0]]
    left += [f"mount {path}" for path in mounts() - before[1]]
    for thing in left:
        say(f"left behind: {thing}")
    return 1 if left or up.returncode else 0


def ask() -> int:
    """Ask for a desktop and speak RFB 3.8 with it; return the exit code."""
    from porthole_client import Porthole  # noqa: PLC0415 - only in the environment that was made

    with Porthole() as porthole:
        begun = time.monotonic()
        session = porthole.sessions.wait_ready(porthole.sessions.create("desktop").id)
        say(f"drawn {time.monotonic() - begun:.1f} s after it was asked for")
        begun = time.monotonic()
        with porthole.sessions.connect(session.id) as stream:
            received = b""

            def read(count: int) -> bytes:
                nonlocal received
                while len(received) < count:
                    message = stream.recv(timeout=20)
                    assert isinstance(message, bytes)
                    received += message
                taken, received = received[:count], received[count:]
                return taken

            assert read(12) == b"RFB 003.008\n"
            stream.send(b"RFB 003.008\n")
            kinds = read(read(1)[0])
            assert kinds == b"\x01", "the security type is None"
            stream.send(b"\x01")
            assert read(4) == bytes(4)
            stream.send(b"\x01")
            width, height = (int.from_bytes(read(2)) for _ in range(2))
            say(f"RFB: {width} x {height} after {time.monotonic() - begun:.2f} s")
        porthole.sessions.delete(session.id)
        porthole.sessions.wait_gone(session.id)
        # One that still runs when everything is told to end.
        porthole.sessions.wait_ready(porthole.sessions.create("desktop", home="kept").id)
    return 0


if __name__ == "__main__":
    sys.exit(ask() if sys.argv[1:] == ["--ask"] else main())
