"""Frames that were promised, as text: today's code reads them and writes them as they are.

A folder belongs to a version of the link and its files are never changed: a program of that
version says these frames and expects them. A later minor version gets a folder of its own;
in the older ones it may say more than they do, but not less and nothing else.
"""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_contract.link import codec, greeting
from porthole_contract.link.commands import Body, ControlItem
from porthole_contract.link.frames import FromAgent, FromControl
from porthole_contract.link.reports import AgentItem
from porthole_contract.link.version import CURRENT, Version

HERE = Path(__file__).parent
FOLDERS = sorted(HERE.glob("link-*"))
FILES = sorted(HERE.glob("link-*/*/*.json"))
DECODERS = {"from-agent": codec.decode_from_agent, "from-control": codec.decode_from_control}


def read(path: Path) -> Any:
    return DECODERS[path.parent.name](path.read_text(encoding="utf-8"))


def version_of(folder: Path) -> Version:
    return Version.parse(folder.name.removeprefix("link-"))


def contains(more: Any, less: Any) -> bool:
    """Tell whether `more` says all that `less` does, and only adds fields to objects."""
    if isinstance(less, dict):
        return isinstance(more, dict) and all(
            key in more and contains(more[key], value) for key, value in less.items()
        )
    if isinstance(less, list):
        return isinstance(more, list) and len(more) == len(less) and all(map(contains, more, less))
    return bool(more == less)


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_promised_frame_is_read_and_written_as_it_is(path: Path) -> None:
    promised = json.loads(path.read_text(encoding="utf-8"))
    written = json.loads(codec.encode(read(path)))
    if version_of(path.parents[1]) == CURRENT:
        assert written == promised
    else:
        assert contains(written, promised)


def test_the_version_that_is_spoken_has_its_frames() -> None:
    assert CURRENT in map(version_of, FOLDERS)
    assert {version_of(folder).major for folder in FOLDERS} == {CURRENT.major}


@pytest.mark.parametrize(
    ("side", "family"), [("from-agent", FromAgent), ("from-control", FromControl)]
)
def test_every_frame_was_promised(side: str, family: Any) -> None:
    here = {type(read(path)) for path in FILES if path.parent.name == side}
    assert here == set(get_args(get_args(family)[0]))


@pytest.mark.parametrize(
    ("side", "family"), [("from-agent", AgentItem), ("from-control", ControlItem)]
)
def test_every_item_was_promised(side: str, family: Any) -> None:
    frames = [read(path) for path in FILES if path.parent.name == side]
    here = {type(item) for frame in frames for item in getattr(frame, "items", ())}
    assert here == set(get_args(get_args(family)[0]))


def test_every_command_was_promised() -> None:
    frames = [read(path) for path in FILES if path.parent.name == "from-control"]
    items = [item for frame in frames for item in getattr(frame, "items", ())]
    here = {type(item.body) for item in items if hasattr(item, "body")}
    assert here == set(get_args(get_args(Body)[0]))


def test_the_promised_proof_answers_the_promised_challenge() -> None:
    """The agent's key was 32 zero bytes."""
    folder = HERE / "link-1.0"
    greeting.check_proof(
        Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw(),
        read(folder / "from-agent" / "hello.json"),
        read(folder / "from-control" / "challenge.json"),
        "wss://porthole.example/api/v1/agents/link",
        read(folder / "from-agent" / "proof.json"),
    )


def test_a_promised_template_has_its_promised_digest() -> None:
    content = read(HERE / "link-1.0" / "from-control" / "data-template-content.json").items[0]
    assert content.spec.digest() == content.digest
