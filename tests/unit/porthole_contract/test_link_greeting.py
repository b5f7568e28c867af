"""A proof is worth something once: for these two, this dial, this epoch."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_contract.errors import Unproven
from porthole_contract.link.frames import Challenge, Hello, Proof
from porthole_contract.link.greeting import (
    check_enrolment,
    check_proof,
    enrolment_statement,
    new_key,
    prove,
    statement,
)
from porthole_contract.testing.builders import an_id

URL = "wss://porthole.example/api/v1/agents/link"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
HELLO = Hello(version="1.0", agent=an_id(1), instance=an_id(2), nonce="a" * 64)
CHALLENGE = Challenge(version="1.0", control_plane=an_id(3), nonce="b" * 64, epoch=5)
PROOF = prove(KEY, HELLO, CHALLENGE, URL)


def test_the_holder_of_the_key_is_believed() -> None:
    check_proof(PUBLIC, HELLO, CHALLENGE, URL, PROOF)


def test_another_key_is_not_believed() -> None:
    with pytest.raises(Unproven, match="did not prove"):
        check_proof(PUBLIC, HELLO, CHALLENGE, URL, prove(new_key(), HELLO, CHALLENGE, URL))


@pytest.mark.parametrize(
    "change",
    [{"agent": an_id(9)}, {"instance": an_id(9)}, {"nonce": "c" * 64}],
    ids=lambda change: next(iter(change)),
)
def test_a_proof_is_for_one_hello(change: dict[str, Any]) -> None:
    with pytest.raises(Unproven):
        check_proof(PUBLIC, HELLO.evolve(**change), CHALLENGE, URL, PROOF)


@pytest.mark.parametrize(
    "change",
    [{"control_plane": an_id(9)}, {"nonce": "c" * 64}, {"epoch": 6}],
    ids=lambda change: next(iter(change)),
)
def test_a_proof_is_for_one_challenge(change: dict[str, Any]) -> None:
    with pytest.raises(Unproven):
        check_proof(PUBLIC, HELLO, CHALLENGE.evolve(**change), URL, PROOF)


@pytest.mark.parametrize("url", ["ws" + URL[3:], URL + "/", URL.upper(), "", URL + "\n"])
def test_a_proof_is_for_the_address_that_was_dialled(url: str) -> None:
    with pytest.raises(Unproven):
        check_proof(PUBLIC, HELLO, CHALLENGE, url, PROOF)


@pytest.mark.parametrize("position", range(0, 128, 13))
def test_a_proof_with_one_wrong_digit_is_none(position: int) -> None:
    digit = "0" if PROOF.signature[position] != "0" else "1"
    wrong = PROOF.signature[:position] + digit + PROOF.signature[position + 1 :]
    with pytest.raises(Unproven):
        check_proof(PUBLIC, HELLO, CHALLENGE, URL, Proof(signature=wrong))


@pytest.mark.parametrize("key", [b"", b"x", bytes(31), bytes(33), b"\xff" * 32])
def test_what_is_no_key_proves_nothing(key: bytes) -> None:
    with pytest.raises(Unproven):
        check_proof(key, HELLO, CHALLENGE, URL, PROOF)


def test_no_two_fields_can_be_shifted_into_each_other() -> None:
    lines = statement(HELLO, CHALLENGE, URL).decode().split("\n")
    assert len(lines) == 8
    assert lines[0] == "porthole link proof v1"
    assert "version" not in lines


def test_what_is_signed_is_what_was_promised() -> None:
    """An agent of the next version must be able to prove itself to this control plane."""
    assert statement(HELLO, CHALLENGE, URL) == (
        b"porthole link proof v1\n"
        b"01900000-0000-7000-8000-000000000003\n"
        b"01900000-0000-7000-8000-000000000001\n"
        b"01900000-0000-7000-8000-000000000002\n" + b"a" * 64 + b"\n" + b"b" * 64 + b"\n5\n"
        b"wss://porthole.example/api/v1/agents/link"
    )


def test_a_proof_is_no_enrolment_and_the_other_way_round() -> None:
    said = enrolment_statement("token", PUBLIC, "cp")
    with pytest.raises(Unproven):
        check_proof(PUBLIC, HELLO, CHALLENGE, URL, Proof(signature=KEY.sign(said).hex()))
    with pytest.raises(Unproven):
        check_enrolment(
            PUBLIC, bytes.fromhex(PROOF.signature), token_id="token", control_plane="cp"
        )


def test_who_enrols_holds_the_key_that_it_registers() -> None:
    signature = KEY.sign(enrolment_statement("token", PUBLIC, "cp"))
    check_enrolment(PUBLIC, signature, token_id="token", control_plane="cp")
    other = new_key().public_key().public_bytes_raw()
    for key, token, place in (
        (other, "token", "cp"),
        (PUBLIC, "other", "cp"),
        (PUBLIC, "token", "other"),
    ):
        with pytest.raises(Unproven):
            check_enrolment(key, signature, token_id=token, control_plane=place)


def test_keys_are_not_made_twice() -> None:
    keys = {new_key().public_key().public_bytes_raw() for _ in range(10)}
    assert len(keys) == 10
