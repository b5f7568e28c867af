"""Whole conversations on a link, as lines of JSON that any implementation can replay.

Each line of `tests/compat/link-*/conversations/*.jsonl` is one of

    {"from": "agent" or "control", "frame": {...}}    it is said, and heard unless "lost" is true
    {"note": "..."}                                   what happens besides, in words
    {"cut": true}                                     the connection is gone, on both sides
    {"agent": {...}}                                  what the agent does, for whoever plays it

To test an agent, say the lines of `control` to it, have its runtime do what the lines `agent`
tell (`result`: how it carries out a command; `restart`: it is started anew), and compare what
it says. Nonces, signatures and the program's name are its own; everything else is as written.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from porthole_contract.link import codec
from porthole_contract.link.channel import Channel, Received, Side
from porthole_contract.link.frames import Ack, Challenge, Goodbye, Hello, Proof, Welcome

FOLDER = Path(__file__).resolve().parents[1] / "compat"
GREETING = (Hello, Challenge, Proof, Welcome)


def conversations() -> list[Path]:
    """Return the files of all conversations."""
    return sorted(FOLDER.glob("link-*/conversations/*.jsonl"))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what happens, in order."""
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def frame_of(line: dict[str, Any]) -> Any:
    """Return the frame that stands in a line."""
    decode = codec.decode_from_agent if line["from"] == "agent" else codec.decode_from_control
    return decode(json.dumps(line["frame"]))


class Player:
    """One side of a conversation, played by the contract's channel."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.channel = Channel(side)
        self.hello: Hello | None = None
        self.due: list[Any] = []

    def greeted(self, frame: Any) -> None:
        """Hear or say a frame of the greeting."""
        if isinstance(frame, Hello):
            if self.side is Side.AGENT:
                told = (self.channel.conversation, self.channel.received, self.channel.epoch)
                assert told == (frame.conversation, frame.received, frame.epoch)
            self.hello = frame
        if isinstance(frame, Welcome):
            assert self.hello is not None
            resumed = self.channel.can_resume(self.hello.conversation, self.hello.received)
            if self.side is Side.CONTROL:
                assert frame.resumed == resumed
                assert frame.received == (self.channel.received if resumed else 0)
            peer = self.hello.received if self.side is Side.CONTROL else frame.received
            self.channel.attach(
                conversation=frame.conversation,
                epoch=frame.epoch,
                resumed=frame.resumed,
                peer_received=peer,
                now=0.0,
            )

    def says(self, frame: Any) -> None:
        """Say the next frame, which has to be this one."""
        if not self.due:
            if isinstance(frame, Goodbye):
                self.channel.goodbye(frame.code, frame.message, retry_after=frame.retry_after)
            elif not isinstance(frame, Ack):
                self._queue(frame)
            self.due = self.channel.frames()
        assert self.due.pop(0) == frame

    def _queue(self, frame: Any) -> None:
        if frame.seq > self.channel._said:
            self.channel.send(*frame.items)

    def hears(self, frame: Any) -> None:
        """Hear a frame, and take what is in it."""
        for event in self.channel.receive(frame, 0.0):
            if isinstance(event, Received):
                self.channel.taken(len(event.items))
        self.due += self.channel.frames()

    def loses(self) -> None:
        """Notice that the connection is gone."""
        assert self.due == [], "it had more to say"
        self.channel.detach()
