"""A key that somebody else has made, and its id, which both sides know."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_agent.enrolment import NotEnrolled, load_given_key
from porthole_contract.stream.grant import key_id


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_given_key_is_the_one_in_the_file(tmp_path: Path):
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(pem(key))
    found = load_given_key(tmp_path / "key.pem")
    assert found.private_bytes_raw() == key.private_bytes_raw()


@pytest.mark.parametrize(
    "content", [None, b"", b"no key", pem(ec.generate_private_key(ec.SECP256R1()))]
)
def test_what_is_no_such_key_is_told(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(NotEnrolled, match=r"key\.pem"):
        load_given_key(tmp_path / "key.pem")


def test_a_keys_id_says_who_has_it_and_which_it_is():
    one, other = (Ed25519PrivateKey.generate().public_key() for _ in range(2))
    assert key_id("agent", one) == key_id("agent", one)
    assert key_id("agent", one) != key_id("agent", other)
    assert key_id("agent", one).startswith("agent-")
