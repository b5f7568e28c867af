"""`POST /api/v1/sessions/{id}/exec`: run a program in a desktop, and return what it said.

A stream like any other, whose viewer we are ourselves. Whoever wants to hear a program while it
runs, or to talk to it, asks for a ticket to the channel `exec` and speaks for itself.
"""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream import frames
from porthole_contract.stream.channels import PROTOCOLS, Channel, Mode
from porthole_control.api import known_before, known_callers, parts_of
from porthole_control.db.database import Unit
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, Unavailable
from porthole_control.events import service as events
from porthole_control.events.repository import Remark
from porthole_control.people.rules import Principal, Scope
from porthole_control.problems import responses
from porthole_control.sessions import service as sessions
from porthole_control.sessions.repository import Session
from porthole_control.sockets import Gone
from porthole_control.streams import ours
from porthole_control.streams.endings import GATE_REFUSED, SESSION_ENDED, Ending

MOST_BYTES: Final = 1024 * 1024
"""So much of each of the two outputs is kept: its beginning."""
_BEYOND: Final = 15.0
"""Seconds more than the program may take, for all that is around it."""
_STDERR: Final = 2
_DONE, _TIME_IS_UP = 1000, 1001
_SHOWN: Final = 64

Word = Annotated[str, Field(max_length=131072, pattern=r"^[^\x00]*$")]

routes = APIRouter(
    prefix="/api/v1",
    tags=["sessions"],
    dependencies=known_callers(),
    responses=responses(400, 401, 403, 404, 409, 413, 422, 503),
)


class Program(BaseModel):
    """A program to run."""

    model_config = ConfigDict(extra="forbid")

    command: Annotated[list[Word], Field(min_length=1, max_length=1024)]
    """The program and its arguments, executed without a shell."""
    env: Annotated[dict[Word, Word], Field(max_length=256)] = {}
    """Variables beside those of the desktop."""
    cwd: Annotated[Word, Field(max_length=4096)] = ""
    """The folder to run in, seen from the home."""
    input: Annotated[str, Field(max_length=MOST_BYTES)] = ""
    """What it reads."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 60
    """How long it may take; then it is ended."""


class ProgramOut(BaseModel):
    """What a program said, and how it ended."""

    status: int = Field(description="Its exit status; the negative number of a signal.")
    timed_out: bool = Field(description="Whether it was ended because its time was up.")
    stdout: str
    stderr: str
    cut: bool = Field(description="Whether it said more than is shown: 1 MiB of each.")


class Runner:
    """A viewer that runs one program and remembers what it says."""

    def __init__(self, program: Program) -> None:
        self.lost = asyncio.Event()
        self.outputs = (bytearray(), bytearray())
        self.cut = False
        self.started = False
        self.end: dict[str, Any] | None = None
        self._said = _said(program)
        self._decoder = frames.Decoder()
        self._over = asyncio.Event()
        self._deadline = asyncio.get_running_loop().time() + program.seconds + _BEYOND

    async def hear(self) -> str | bytes:
        """Say which program, and what it reads; then nothing, until it has ended."""
        for said in self._said:
            return said
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - loop.time())):
                await self._over.wait()
        except TimeoutError:
            raise Gone(_TIME_IS_UP) from None
        raise Gone(_DONE)

    async def say(self, data: bytes) -> None:
        """Take what the program says."""
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except RemoteProtocolError:
            self._over.set()

    async def close(self, code: int, reason: str = "") -> None:
        """Nothing is to be closed."""

    def _take(self, frame: frames.Frame) -> None:
        if frame.kind is frames.Kind.BYTES:
            output = self.outputs[frame.number == _STDERR]
            room = MOST_BYTES - len(output)
            output += frame.payload[:room]
            self.cut |= len(frame.payload) > room
            return
        message = frame.message()
        if message["type"] == "started":
            self.started = True
        elif self.end is None:
            self.end = message
            self._over.set()


def _said(program: Program) -> Iterator[bytes]:
    try:
        yield frames.say("run", **program.model_dump(exclude={"input"}))
    except ValueError:
        raise Gone(_DONE) from None
    data = program.input.encode()
    for at in range(0, len(data), frames.LARGEST):
        yield frames.carry(0, data[at : at + frames.LARGEST])
    yield frames.say("end_input")


@routes.post("/sessions/{session_id:uuid}/exec", summary="Run a program in it")
async def session_exec(
    request: Request,
    principal: Annotated[Principal, Depends(known_before(Scope.SESSION_EXEC))],
    session_id: UUID,
    body: Program,
) -> ProgramOut:
    """Run a program in a session as its desktop's user; return how it ended and what it said."""
    parts = parts_of(request)
    if sum(map(len, body.command)) + sum(map(len, body.env.values())) > frames.LARGEST // 8:
        raise Conflict("too_long", "The command and its environment are too long.")
    async with parts.database.unit() as unit:
        session = await sessions.get(unit, principal, session_id)
        stream = await _begin(unit, principal, session, parts.replica)
    runner = Runner(body)
    looking = request.app.state.traffic.looking
    ending = await looking.carry(stream, runner, asyncio.Event())
    name = "".join(c if c.isprintable() else "?" for c in body.command[0][:_SHOWN])
    if runner.end is None or runner.end["type"] != "exited":
        raise _problem(runner, ending)
    out = ProgramOut(
        status=int(runner.end.get("status", -1)),
        timed_out=runner.end.get("timed_out") is True,
        stdout=runner.outputs[0].decode(errors="replace"),
        stderr=runner.outputs[1].decode(errors="replace"),
        cut=runner.cut,
    )
    said = f"{principal.name} has run the program {name!r} in it; its status was {out.status}."
    await events.remark(parts.database, Remark(session.id, "ProgramRun", said))
    return out


async def _begin(unit: Unit, principal: Principal, session: Session, replica: UUID) -> UUID:
    ours.must_run(session)
    await ours.must_be_reachable(unit, session)
    stream = new_id()
    await ours.begin(
        unit,
        stream,
        principal,
        session,
        channel=Channel.EXEC,
        protocol=PROTOCOLS[Channel.EXEC][0],
        mode=Mode.CONTROL,
        replica=replica,
    )
    return stream


def _problem(runner: Runner, ending: Ending) -> Exception:
    if runner.end is not None:  # the gate or the supervisor has said why not
        code, message = str(runner.end.get("code"))[:64], str(runner.end.get("message"))[:300]
        return Conflict(code, message or "The program was not started.")
    if ending.code in {GATE_REFUSED.code, SESSION_ENDED.code}:
        return Conflict(ending.name, ending.sentence)
    if runner.started:
        # Nobody knows how far it came, so nobody is told to try again.
        return Conflict("program_lost", "The connection to the program was lost, and it was ended.")
    return Unavailable("The session's agent did not answer in time.", retry_after=2)
