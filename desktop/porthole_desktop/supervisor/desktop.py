"""The desktop's life, from nothing to drawn to stopped.

    X server -> (wallpaper | window manager) -> panel, programs -> drawn
    stop:  programs -> panel, window manager -> X server

The X server is the desktop: when it dies, all is lost and `live` returns `LOST`. Anything
else is started again.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from . import look, programs, sound, spare, usage, wallpaper, windows
from .both import Both
from .channels import Refusal
from .children import Children, Process, keep
from .config import Config, Program
from .driver import Driver
from .environment import environment
from .files import serve_files
from .log import Log
from .painted import COLOURS, NotRfb
from .runs import Runs
from .screen import Screen, Unusable, free_number, missing
from .server import Server
from .voices import Voices
from .x11 import STRING, Display, XError, authority
from .xorg import Xorg
from .xvnc import Xvnc

STOPPED: Final = 0
MISSING: Final = 69
LOST: Final = 75

NEEDED: Final = ("openbox",)
SCREENS: Final[Mapping[frozenset[str], Callable[[Config], Screen]]] = {
    frozenset({"vnc"}): Xvnc,
    frozenset({"rdp"}): Xorg,
    frozenset({"vnc", "rdp"}): Both,
}
MOST_STARTED: Final = 256
"""Programs that may be running on request at one time."""
_OTHERS: Final = 50_000
"""How many displays others on this machine may have, where the supervisor has no room of its
own."""
USAGE_EVERY: Final = 5.0
"""Seconds after which it is said again what is used."""
_LOOK_AGAIN: Final = 0.03
_SLOW_LOOK: Final = 0.5
_PANEL_MOVES: Final = 0.3
"""Seconds until the panel has moved to the screen's new edge, which windows leave to it."""


class Desktop:
    """One desktop; `live` runs it once.

    Args:
        config: what it is to be.
        log: what the supervisor says.
        output: what its programs say.
    """

    def __init__(self, config: Config, log: Log, output: Log) -> None:
        self._config = config
        self._log = log
        self._children = Children(output)
        self._screen: Screen = SCREENS[frozenset(config.protocols)](config)
        self._folder = Path()
        self._env: dict[str, str] = {}
        self._programs: dict[int, Process] = {}
        self._fixtures: dict[int, Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._drawn = False
        self._size: dict[str, int] | None = None
        self._failed = False
        runs = Runs(self._children)
        driver = self._driver = Driver(self._reach_x, self._rescale)
        listeners = sound.Sound(self._children)
        voices = Voices(self._children)
        self._x: tuple[int, bytes] | None = None
        self._server = Server(
            config.sockets / "supervisor.sock",
            gate_uid=config.gate_uid,
            state=self._state,
            order=self._obey,
            openers={
                "exec": lambda channel: runs.begin(channel, self._surroundings()),
                "audio": lambda channel: listeners.begin(channel, self._surroundings()),
                "microphone": lambda channel: voices.begin(
                    channel, self._surroundings(), can_hear=sound.available()
                ),
                "drive": driver.serve,
                "text": driver.write,
                "files": lambda channel: serve_files(channel, os.environ.get("HOME", "/")),
            },
            log=log,
        )

    async def live(self) -> int:
        """Bring the desktop up, keep it until it is told to stop; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if (name := missing((*self._screen.needed, *NEEDED))) is not None:
            self._log.say(f"{name} is not installed; a desktop cannot do without it.")
            return MISSING
        self._folder = Path(tempfile.mkdtemp(prefix="porthole-"))
        try:
            self._screen.prepare(self._folder)
            # Not before: what is reaped here, nobody else can wait for.
            loop.add_signal_handler(signal.SIGCHLD, self._children.reap)
            await self._server.open()
            return await self._live()
        except Unusable as error:
            self._log.say(str(error))
            return MISSING
        finally:
            for task in self._tasks:
                task.cancel()
            await self._server.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _state(self) -> dict[str, Any]:
        now = {"drawn": self._drawn, "stopping": self._stop.is_set()}
        size = {} if self._size is None else {"screen": self._size}
        used = usage.look()
        uses = {} if used is None else {"usage": {"cpu": used.cpu, "memory": used.memory}}
        return {**now, **size, **uses, **self._screen.state()}

    async def _tell_usage(self) -> None:
        """Say again and again what is used, where that can be seen."""
        while (used := usage.look()) is not None:
            self._server.tell("usage", cpu=used.cpu, memory=used.memory)
            await asyncio.sleep(USAGE_EVERY)

    def _sized(self, width: int, height: int) -> None:
        self._size = {"width": width, "height": height}
        self._server.tell("screen", **self._size)

    async def _live(self) -> int:
        cookie = secrets.token_bytes(16)
        x_server, ready = self._start_x(cookie)
        self._task(self._tell_usage())
        lost = asyncio.ensure_future(x_server.ended)
        stop = asyncio.create_task(self._stop.wait())
        up = asyncio.create_task(self._bring_up(ready, cookie))
        up.add_done_callback(self._check)
        await asyncio.wait((lost, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        up.cancel()
        if lost.done():
            self._log.say(f"The X server ended with {lost.result()}; the desktop is lost.")
            self._server.tell("stopping", reason="desktop_lost")
        else:
            self._server.tell("stopping", reason="desktop_lost" if self._failed else "asked")
        gone = lost.done() or self._failed
        await self._end(x_server)
        return LOST if gone else STOPPED

    def _start_x(self, cookie: bytes) -> tuple[Process, int]:
        """Start the X server; return it and where its display number will be written."""
        read, write = os.pipe()
        # The file names no display yet; "" fits every one, and only ours reads it.
        secret = self._folder / "Xauthority.server"
        _write(secret, authority(0, cookie), 0o600)
        for path in self._screen.sockets:
            path.unlink(missing_ok=True)
        Path("/tmp/.X11-unix").mkdir(mode=0o1777, exist_ok=True)  # noqa: S108 - X's own place
        number = free_number(0 if os.getpid() == 1 else os.getpid() % _OTHERS + 100)
        command = self._screen.command(number, authority=secret, ready_fd=write)
        env = {**os.environ, "HOME": str(self._folder), **self._screen.environment()}
        try:
            name = self._screen.x_server
            return self._children.spawn(name, command, env, pass_fds=(write,)), read
        finally:
            os.close(write)

    async def _bring_up(self, ready: int, cookie: bytes) -> None:
        loop = asyncio.get_running_loop()
        picture = loop.run_in_executor(
            None, wallpaper.draw, self._config.width, self._config.height
        )
        self._write_look()
        number = await _read_number(ready)
        secret = self._folder / "Xauthority"
        _write(secret, authority(number, cookie), 0o600)
        self._env = environment(
            self._config, os.environ, folder=self._folder, display=number, authority=secret
        )
        for part in self._screen.parts(number):
            self._fixture(part.name, list(part.command))
        self._dress_up()
        self._x = number, cookie
        display = await Display.connect(number, cookie)
        with contextlib.closing(display):
            await self._screen.settle(display)
            await self._tell_resources(display)
            if "vnc" in self._config.protocols:
                self._task(self._keep_keys_spare())
            self._fixture("openbox", ["openbox"])
            display.sized = self._sized
            await display.watch_size()
            _, _, *size = await display.place_of(display.screen.root)
            self._sized(*size)
            screen = display.screen
            await display.paint_root(screen.width, screen.height, await picture)
            await _window_manager(display)
            self._begin()
            await self._see(display)
            await self._follow(display)

    async def _follow(self, display: Display) -> None:
        """Follow the screen's size with the wallpaper, and with windows that would stick out."""
        loop = asyncio.get_running_loop()
        while True:
            width, height = await display.next_size()
            rows = await loop.run_in_executor(None, wallpaper.draw, width, height)
            await display.paint_root(width, height, rows)
            await asyncio.sleep(_PANEL_MOVES)
            await windows.bring_into_view(display)

    async def _keep_keys_spare(self) -> None:
        try:
            with contextlib.closing(await self._reach_x()) as display:
                await spare.keep(display, self._driver.keys)
        except (XError, OSError) as error:
            self._log.say(f"The keys are not looked after any more: {error}")

    def _dress_up(self) -> None:
        """Start what the window manager does not wait for: message bus, keyboard."""
        bus = self._env.get("DBUS_SESSION_BUS_ADDRESS")
        if bus is not None:
            command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={bus}"]
            self._fixture("dbus-daemon", command)
        layout = programs.keyboard(self._config)
        if layout is not None:
            self._run("setxkbmap", layout, self._fixtures)

    def _begin(self) -> None:
        """Start the panel and everything that starts by itself."""
        if shutil.which("tint2"):
            own = Path(self._env.get("HOME", "/")) / ".config/tint2/tint2rc"
            rc = own if own.is_file() else self._folder / "tint2rc"
            self._fixture("tint2", ["tint2", "-c", str(rc)])
        for program in self._config.programs:
            if program.autostart:
                self._start(program)
        opener = programs.opener(self._config, filter(shutil.which, programs.openers()))
        if opener is not None:
            self._run("start", opener, self._programs)

    async def _see(self, display: Display) -> None:
        """Wait until somebody who connects sees a picture; then say so."""
        pause = _LOOK_AGAIN
        while not self._drawn:
            try:
                self._drawn = await self._screen.colours(display) >= COLOURS
            except (OSError, TimeoutError, NotRfb, XError) as error:
                self._log.say(f"The screen cannot be looked at yet: {error}")
            if not self._drawn:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _SLOW_LOOK)
        self._log.say("The screen has been drawn.")
        self._server.tell("drawn")
        if sound.available():  # not before: the picture comes first
            self._fixture("pulseaudio", sound.server(self._folder / "run"))

    async def _rescale(self, display: Display, percent: int) -> None:
        """Have things so large from now on; programs read it when they start."""
        self._config = replace(self._config, scale=percent)
        self._write_look()
        await self._tell_resources(display)
        for process in self._fixtures.values():
            if process.name in {"openbox", "tint2"}:
                # Both begin anew on this signal, and keep the windows.
                process.signal_alone(signal.SIGUSR1)

    def _write_look(self) -> None:
        for name, text in look.files(self._config, self._folder).items():
            _write(self._folder / name, text.encode(), 0o644)

    async def _tell_resources(self, display: Display) -> None:
        resources = look.resources(self._config).encode()
        await display.set_property(display.screen.root, "RESOURCE_MANAGER", STRING, resources)

    def _fixture(self, name: str, command: list[str]) -> None:
        """Keep a part of the desktop itself running."""
        self._keep(name, command, self._fixtures)

    def _start(self, program: Program) -> None:
        command = programs.command_of(program, self._config.start)
        if program.restart:
            self._keep(program.name, command, self._programs)
        else:
            self._run(program.name, command, self._programs)

    def _keep(self, name: str, command: list[str], group: dict[int, Process]) -> None:
        def start() -> Process:
            process = self._spawn(name, command, group)
            if process is None:
                raise FileNotFoundError(name)
            return process

        async def ended(process: Process, status: int) -> None:
            self._ended(process, status, group)

        self._task(keep(start, ended))

    def _run(self, name: str, command: list[str], group: dict[int, Process]) -> bool:
        process = self._spawn(name, command, group)
        if process is None:
            return False
        process.ended.add_done_callback(lambda end: self._ended(process, end.result(), group))
        return True

    def _spawn(self, name: str, command: list[str], group: dict[int, Process]) -> Process | None:
        home = self._env.get("HOME")
        try:
            process = self._children.spawn(name, command, self._env, cwd=home)
        except (OSError, ValueError) as error:
            self._log.say(f"{name} cannot be started: {error}")
            self._server.tell("program_exited", program=name, status=127)
            return None
        group[process.pid] = process
        self._server.tell("program_started", program=name, pid=process.pid)
        return process

    def _ended(self, process: Process, status: int, group: dict[int, Process]) -> None:
        group.pop(process.pid, None)
        if not self._stop.is_set():
            self._log.say(f"{process.name} ended with {status}.")
            self._server.tell("program_exited", program=process.name, status=status)

    def _obey(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "stop"}:
                self._stop.set()
            case {"type": "start", "program": str(name)}:
                known = [p for p in self._config.programs if p.name == name]
                if not known:
                    raise Refusal("unknown_program", "The desktop has no program of that name.")
                self._order(name, programs.command_of(known[0], self._config.start))
            case {"type": "start", "command": [str(), *_] as words} if all(
                isinstance(word, str) for word in words
            ):
                self._order(Path(words[0]).name, words)
            case _:
                raise Refusal("unknown_request", "This supervisor knows no such request.")

    async def _reach_x(self) -> Display:
        if self._x is None:
            raise XError("It is starting.")
        return await Display.connect(*self._x)

    def _surroundings(self) -> dict[str, str]:
        """Return the environment of programs.

        Raises:
            Refusal: there is none (any more).
        """
        if not self._env or self._stop.is_set():
            raise Refusal("not_now", "The desktop is starting or stopping.")
        return self._env

    def _order(self, name: str, command: list[str]) -> None:
        self._surroundings()
        if len(self._programs) >= MOST_STARTED:
            raise Refusal("too_many", f"{MOST_STARTED} programs are running already.")
        if not self._run(name, command, self._programs):
            raise Refusal("not_started", "The program could not be started.")

    async def _end(self, x_server: Process) -> None:
        """End all of it within `stop_seconds`: programs, then fixtures, then X."""
        self._stop_keeping()
        share = self._config.stop_seconds
        await self._children.end(list(self._programs.values()), share * 0.6)
        await self._children.end(list(self._fixtures.values()), share * 0.1)
        await self._children.end([x_server], share * 0.3)
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        for path in self._screen.sockets:
            path.unlink(missing_ok=True)

    def _stop_keeping(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _task(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check(self, task: "asyncio.Task[None]") -> None:
        """Say why bringing it up ended; only the X server's end may end it."""
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, XError | OSError):
            self._log.say(f"The X server is not to be reached: {error}")
        elif error is not None:
            self._log.say(f"The desktop cannot be brought up: {error!r}")
        self._failed = True
        self._stop.set()


async def _window_manager(display: Display) -> None:
    """Wait until a window manager is at work."""
    # Asking again costs less than following every property of the root window.
    while not await display.property(display.screen.root, "_NET_SUPPORTING_WM_CHECK"):  # noqa: ASYNC110 - X has no event for it
        await asyncio.sleep(_LOOK_AGAIN)


async def _read_number(fd: int) -> int:
    """Read the display number that the X server writes when it is ready."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
    )
    try:
        line = await reader.readline()
    finally:
        transport.close()
    if not line.strip().isdigit():
        raise XError("The X server ended before it was ready.")
    return int(line)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)


def close_inheritance(fds: list[int]) -> None:
    """Keep descriptors that we were started with, and let no program inherit them.

    Raises:
        OSError: one of them is not open.
    """
    for fd in fds:
        os.set_inheritable(fd, False)
        os.fstat(fd)
    sys.stdin.close()
