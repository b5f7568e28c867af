"""Admission, limits and idleness of a gate: rules with a driven clock."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_contract.errors import Invalid, Refused
from porthole_contract.stream.channels import Channel, Mode
from porthole_contract.stream.grant import Claims, SigningKey, issue, nonce
from porthole_contract.stream.preface import Request
from porthole_desktop.gate import config
from porthole_desktop.gate.admission import Admissions
from porthole_desktop.gate.people import Idleness, Pace
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.sockets import listener
from porthole_desktop.gate.supervisor import _size

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SESSION = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
GATE = "ab" * 32
KEY = SigningKey("agent-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ISSUER = KEY.issuer(("vnc", "control"), ("view", "control", "command"))


def admissions(most_nonces: int = 100) -> Admissions:
    return Admissions(session=SESSION, fingerprint=GATE, issuers=[ISSUER], most_nonces=most_nonces)


def request(number: int = 1, now: datetime = NOW, **changes: Any) -> Request:
    claims = Claims(
        session=changes.get("session", SESSION),
        gate=changes.get("gate", GATE),
        channel=changes.get("granted", "vnc"),
        mode="control",
        nonce=nonce(number.to_bytes(16, "big")),
        expires=now + timedelta(seconds=30),
        epoch=3,
    )
    return Request(
        stream=uuid4(),
        channel=changes.get("channel", "vnc"),
        protocol="rfb",
        mode=changes.get("mode", "control"),
        grant=issue(KEY, claims, now),
    )


def code_of(subject: Admissions, wanted: Request, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as caught:
        subject.decide(wanted, now)
    return caught.value.code


def test_who_has_a_good_grant_is_let_in_once() -> None:
    subject, wanted = admissions(), request()
    admission = subject.decide(wanted, NOW)
    assert (admission.channel, admission.mode) == (Channel.VNC, Mode.CONTROL)
    assert (admission.stream, admission.epoch) == (wanted.stream, 3)
    assert code_of(subject, wanted) == "grant_used"
    assert code_of(subject, wanted, NOW + timedelta(seconds=40)) == "grant_expired"


def test_what_is_replaced_is_told() -> None:
    old = uuid4()
    assert admissions().decide(request(), NOW).replaces is None
    assert admissions().decide(request().evolve(replaces=old), NOW).replaces == old


def test_a_grant_for_something_else_is_not_used_up() -> None:
    subject = admissions()
    assert code_of(subject, request(mode="view")) == "grant_not_for_this"
    assert code_of(subject, request(session=uuid4())) == "grant_foreign"
    assert code_of(subject, request(gate="cd" * 32)) == "grant_foreign"
    assert code_of(subject, request(channel="rdp")) == "channel_not_served"
    subject.decide(request(), NOW)


def test_used_grants_are_remembered_until_they_have_expired() -> None:
    subject = admissions(most_nonces=2)
    first = request(1)
    subject.decide(first, NOW)
    subject.decide(request(2), NOW)
    assert code_of(subject, request(3)) == "too_many_grants"
    assert code_of(subject, first) == "grant_used"
    later = NOW + timedelta(seconds=31)
    subject.decide(request(4, now=later), later)


def test_idleness_counts_from_the_last_use() -> None:
    now = 100.0
    returns: list[float] = []
    subject = Idleness(lambda: now, lambda: returns.append(now))
    now = 110.0
    assert subject.seconds() == 10
    subject.used()
    now = 113.0
    assert subject.seconds() == 3
    subject.used()
    now = 119.0
    subject.used()
    # Who counts the idle time hears of everybody who comes back, and not of every key.
    assert returns == [110.0, 119.0]


def test_who_is_too_fast_is_read_more_slowly() -> None:
    now = 0.0
    subject = Pace(10, lambda: now)
    for _ in range(30):
        subject.event()
    assert subject.debt() == 0
    for _ in range(20):
        subject.event()
    assert subject.debt() == pytest.approx(2)
    now = 1.5
    assert subject.debt() == pytest.approx(0.5)
    now = 2.0
    subject.event()
    assert subject.debt() == pytest.approx(0.1)
    now = 1000.0
    subject.event()
    assert subject.debt() == 0


def written(tmp_path: Path, **changes: Any) -> Path:
    value: dict[str, Any] = {
        "session": str(SESSION),
        "fingerprint": GATE,
        "desktop_uid": 1000,
        "issuers": [
            {
                "key_id": "agent-1",
                "public_key": base64.b64encode(
                    KEY.private.public_key().public_bytes_raw()
                ).decode(),
                "channels": ["vnc"],
                "modes": ["view"],
            }
        ],
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**value, **changes}))
    return path


def test_a_configuration_needs_little(tmp_path: Path) -> None:
    read = config.read(written(tmp_path))
    assert read.listen == "unix:/run/gate/gate.sock"
    assert read.limits.viewers == 16
    assert read.issuers[0].key_id == "agent-1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"session": "x"}, "session"),
        ({"fingerprint": "AB" * 32}, "fingerprint"),
        ({"issuers": []}, "issuers"),
        ({"issuers": [{"key_id": "a", "public_key": "A" * 43 + "="}] * 2}, "issuers"),
        ({"limits": {"viewerz": 1}}, "limits.viewerz"),
        ({"limits": {"viewers": 0}}, "limits.viewers"),
        ({"listen": "udp:1"}, "listen"),
        ({"version": 2}, "version"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_field(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid, match=field):
        config.read(written(tmp_path, **changes))


def test_a_missing_configuration_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        config.read(tmp_path / "none.json")


@pytest.mark.parametrize("address", ["tcp:nowhere", "http:1:2", "tcp::5", "tcp:127.0.0.1:http"])
def test_an_address_that_means_nothing_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        listener(address)


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        ({"width": 1001, "height": 703}, Size(1001, 703)),
        ({"width": 16384, "height": 1, "more": "later"}, Size(16384, 1)),
        ({"width": 16385, "height": 1}, None),
        ({"width": 0, "height": 600}, None),
        ({"width": 800.5, "height": 600}, None),
        ({"width": "800", "height": 600}, None),
        ({"width": 800}, None),
        ([800, 600], None),
        (None, None),
    ],
)
def test_a_desktop_says_how_large_it_is_or_nothing(said: object, is_so: Size | None) -> None:
    assert _size(said) == is_so
