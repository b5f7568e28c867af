"""What opens a gate, and everything that does not."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import Invalid, Refused
from porthole_contract.stream.grant import (
    LONGEST,
    TYPE,
    Claims,
    Issuer,
    SigningKey,
    check_for,
    issue,
    nonce,
    verify,
)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SESSION = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
GATE = "ab" * 32
KEY = SigningKey("agent-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey("agent-2", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
ISSUERS = {
    "agent-1": KEY.issuer(("vnc", "control"), ("view", "control", "observe")),
    "agent-2": OTHER.issuer(("vnc",), ("view",)),
}


def claims(**changes: Any) -> Claims:
    values = {
        "session": SESSION,
        "gate": GATE,
        "channel": "vnc",
        "mode": "control",
        "nonce": nonce(b"n" * 16),
        "expires": NOW + timedelta(seconds=30),
    }
    return Claims.model_validate({**values, **changes})


def code_of(token: str, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as caught:
        verify(token, ISSUERS, now)
    return caught.value.code


def forge(key: Any = None, algorithm: str = "EdDSA", headers: Any = None, **changes: Any) -> str:
    payload = {
        "iss": "agent-1",
        "jti": "n" * 22,
        "exp": (NOW + timedelta(seconds=30)).timestamp(),
        "session": str(SESSION),
        "gate": GATE,
        "channel": "vnc",
        "mode": "control",
        **changes,
    }
    given_headers = {"kid": "agent-1", "typ": TYPE} if headers is None else headers
    key = KEY.private if key is None else key
    return jwt.encode(payload, key, algorithm=algorithm, headers=given_headers)


def test_what_was_issued_is_what_is_verified() -> None:
    issuer, read = verify(issue(KEY, claims(epoch=7), NOW), ISSUERS, NOW)
    assert issuer.key_id == "agent-1"
    assert read == claims(epoch=7)


def test_a_grant_may_ask_for_a_password_besides() -> None:
    wanted = claims(password="cd" * 32)
    assert verify(issue(KEY, wanted, NOW), ISSUERS, NOW)[1] == wanted


def test_a_forged_token_made_right_is_right() -> None:
    verify(forge(), ISSUERS, NOW)  # so that the refusals below are for their own reason


def test_a_grant_ends_when_it_says() -> None:
    token = issue(KEY, claims(), NOW)
    verify(token, ISSUERS, NOW + timedelta(seconds=29))
    assert code_of(token, NOW + timedelta(seconds=30)) == "grant_expired"


def test_a_grant_for_longer_than_a_gate_remembers_is_refused() -> None:
    assert code_of(forge(exp=(NOW + LONGEST * 2).timestamp())) == "grant_too_long"
    with pytest.raises(Invalid):
        issue(KEY, claims(expires=NOW + LONGEST * 2), NOW)
    with pytest.raises(Invalid):
        issue(KEY, claims(expires=NOW), NOW)


def test_nobody_grants_more_than_the_gate_was_told_they_may() -> None:
    assert code_of(issue(OTHER, claims(), NOW)) == "grant_not_allowed"
    assert code_of(issue(OTHER, claims(channel="control", mode="view"), NOW)) == "grant_not_allowed"
    assert (
        code_of(issue(KEY, claims(channel="control", mode="command"), NOW)) == "grant_not_allowed"
    )
    verify(issue(OTHER, claims(mode="view"), NOW), ISSUERS, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"session": "not a uuid"},
        {"session": None},
        {"gate": "short"},
        {"channel": None},
        {"mode": 7},
        {"jti": None},
        {"jti": "short"},
        {"jti": "n" * 200},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e300},
        {"epoch": -1},
        {"epoch": 2**70},
        {"iss": "agent-2"},
        {"iss": None},
    ],
)
def test_claims_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    token = forge(**{name: value for name, value in changes.items() if value is not None})
    if None in changes.values():
        token = forge_without(*changes)
    assert code_of(token) == "grant_invalid"


def forge_without(*names: str) -> str:
    whole = jwt.decode(forge(), options={"verify_signature": False})
    payload = {name: value for name, value in whole.items() if name not in names}
    headers = {"kid": "agent-1", "typ": TYPE}
    return jwt.encode(payload, KEY.private, algorithm="EdDSA", headers=headers)


def test_signatures_and_algorithms_of_others_are_refused() -> None:
    assert code_of(forge(key=OTHER.private)) == "grant_invalid"
    raw = base64.b64decode(ISSUERS["agent-1"].public_key)
    assert code_of(forge(key=raw, algorithm="HS256")) == "grant_invalid"
    assert code_of(forge(headers={"kid": "agent-1", "typ": "JWT"})) == "grant_invalid"
    assert code_of(forge(headers={"kid": "agent-9", "typ": TYPE})) == "grant_issuer_unknown"
    unsigned = jwt.encode({}, "", algorithm="none", headers={"kid": "agent-1", "typ": TYPE})
    assert code_of(unsigned) == "grant_invalid"


@given(st.text(max_size=200))
def test_rubbish_is_refused(token: str) -> None:
    assert code_of(token) in {"grant_invalid", "grant_issuer_unknown"}


@given(st.integers(0, 400), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(at: int, flip: int) -> None:
    token = bytearray(issue(KEY, claims(), NOW).encode())
    at %= len(token)
    token[at] ^= flip
    try:
        verify(token.decode("latin-1"), ISSUERS, NOW)
    except Refused:
        return
    # Only the unused low bits of the last base64 digit of a part may differ.
    assert token[at + 1 : at + 2] in {b"", b"."}


def test_a_grant_for_something_else_is_refused() -> None:
    good = claims()
    names: dict[str, Any] = {"session": SESSION, "gate": GATE, "channel": "vnc", "mode": "control"}
    check_for(good, **names)
    for name, value, code in (
        ("session", UUID(int=5), "grant_foreign"),
        ("gate", "cd" * 32, "grant_foreign"),
        ("channel", "control", "grant_not_for_this"),
        ("mode", "view", "grant_not_for_this"),
    ):
        with pytest.raises(Refused) as caught:
            check_for(good, **{**names, name: value})
        assert caught.value.code == code


def test_issuers_keys_are_checked() -> None:
    assert Issuer(key_id="x", public_key=ISSUERS["agent-1"].public_key).key()
    with pytest.raises(ValueError, match="public_key"):
        Issuer(key_id="x", public_key="short")


def test_a_nonce_needs_randomness() -> None:
    assert len(nonce(b"x" * 16)) == 22
    with pytest.raises(Invalid):
        nonce(b"x" * 15)
