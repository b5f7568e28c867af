"""Conversations that were promised are the ones that both sides of the contract have today."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_contract.link import greeting
from porthole_contract.link.channel import Channel, Side
from porthole_contract.link.frames import Challenge, Hello, Proof
from porthole_contract.link.reports import CommandResult
from tests.support.golden_conversations import GREETING, Player, conversations, frame_of, lines

URL = "wss://porthole.example/api/v1/agents/link"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.mark.parametrize("path", conversations(), ids=lambda path: path.stem)
@pytest.mark.parametrize("side", Side, ids=lambda side: side.value)
def test_a_side_says_what_was_promised(path: Path, side: Side) -> None:
    player = Player(side)
    for line in lines(path):
        if "cut" in line:
            player.loses()
        if line.get("agent", {}).get("restart") and side is Side.AGENT:
            player.channel = Channel(side)
        if "from" not in line:
            continue
        frame = frame_of(line)
        if isinstance(frame, GREETING):
            player.greeted(frame)
        elif line["from"] == side.value:
            player.says(frame)
        elif not line.get("lost"):
            player.hears(frame)


@pytest.mark.parametrize("path", conversations(), ids=lambda path: path.stem)
def test_greetings_are_proven_and_results_are_said(path: Path) -> None:
    hello = challenge = None
    said, told = [], []
    for line in lines(path):
        if "result" in line.get("agent", {}):
            told.append(CommandResult.model_validate(line["agent"]["result"]))
        match frame_of(line) if "from" in line else None:
            case Hello() as hello:
                pass
            case Challenge() as challenge:
                pass
            case Proof() as proof:
                assert hello is not None
                assert challenge is not None
                public = KEY.public_key().public_bytes_raw()
                greeting.check_proof(public, hello, challenge, URL, proof)
            case None:
                pass
            case frame:
                results = [
                    one for one in getattr(frame, "items", ()) if one.type == "CommandResult"
                ]
                said += [one for one in results if not said or one != said[-1]]
    assert told
    assert [one for one in told if one not in said] == []
