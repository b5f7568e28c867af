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

from porthole_contract.conditions import ConditionType
from porthole_contract.link import codec, greeting
from porthole_contract.link.commands import Body, ControlItem
from porthole_contract.link.frames import FromAgent, FromControl
from porthole_contract.link.reports import AgentItem
from porthole_contract.link.skew import CONDITIONS_SINCE, as_said_at
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


CONDITIONS_OF_1_0 = {"Ready", "Scheduled", "HomeReady", "GateReady", "Reachable", "Foreign"}


def test_a_condition_that_1_0_did_not_have_belongs_to_a_later_minor() -> None:
    """A reader refuses a type that it does not know: add it to `skew`, and raise the minor."""
    assert set(ConditionType) == CONDITIONS_OF_1_0 | set(CONDITIONS_SINCE)
    assert all(Version(1, 0) < since <= CURRENT for since in CONDITIONS_SINCE.values())


def test_1_0_is_not_told_what_came_after_it() -> None:
    frame = read(HERE / "link-1.1" / "from-agent" / "data-session-observed.json")
    said = json.loads(codec.encode(as_said_at(frame, Version(1, 0))))
    (item,) = said["items"]
    assert {one["type"] for one in item["status"]["conditions"]} <= CONDITIONS_OF_1_0
    promised = read(HERE / "link-1.0" / "from-agent" / "data-session-observed.json")
    assert said["items"] == json.loads(codec.encode(promised))["items"][:1]
    assert as_said_at(frame, CURRENT) == frame


def test_1_0_is_not_told_it_in_an_inventory_either() -> None:
    (item,) = read(HERE / "link-1.1" / "from-agent" / "data-session-observed.json").items
    frame = read(HERE / "link-1.0" / "from-agent" / "data-inventory.json")
    (first, *others) = frame.items
    newer = frame.model_copy(
        update={"items": (first.model_copy(update={"sessions": (item,)}), *others)}
    )
    assert "ChildrenReady" in codec.encode(newer)
    assert codec.encode(as_said_at(newer, Version(1, 0))) == codec.encode(frame)
    pong = read(HERE / "link-1.0" / "from-agent" / "pong.json")
    assert as_said_at(pong, Version(1, 0)) == pong


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
