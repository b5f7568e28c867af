"""A text that only the holder of one key can read: how a grant travels through a cluster.

Whoever may read objects, and whatever logs them, sees a sealed grant and can do nothing with
it. X25519 between a key made for this sealing and the reader's, HKDF-SHA256 over the shared
secret and both public keys, ChaCha20-Poly1305. The nonce is zero: no key is used twice.

    base64 of: 32 bytes, the sealer's public key | ciphertext and tag

Pure: randomness is an argument.
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from porthole_contract.errors import Invalid

KEY: Final = 32
"""Bytes of a key, of either half."""
_CONTEXT: Final = b"porthole sealed 1"
_NONCE: Final = bytes(12)


def public_half(private: bytes) -> str:
    """Return the standard base64 of the public half of the X25519 key `private` (32 bytes)."""
    key = X25519PrivateKey.from_private_bytes(private)
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def seal(text: str, reader: str, *, about: str, randomness: bytes) -> str:
    """Return `text` sealed for `reader`; ASCII.

    Args:
        text: what is sealed.
        reader: the standard base64 of an X25519 public key.
        about: what the text belongs to; it opens for nothing else.
        randomness: `KEY` bytes that are used for nothing else.

    Raises:
        Invalid: `reader` is not a key, or there is too little randomness.
    """
    if len(randomness) != KEY:
        raise Invalid("randomness", f"must be {KEY} bytes")
    theirs = _decoded(reader, "public_key")
    ours = X25519PrivateKey.from_private_bytes(randomness)
    public = ours.public_key().public_bytes_raw()
    try:
        shared = ours.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError:
        raise Invalid("public_key", "is not the base64 of an X25519 public key") from None
    cipher = ChaCha20Poly1305(_key(shared, public, theirs))
    sealed = cipher.encrypt(_NONCE, text.encode(), about.encode())
    return base64.b64encode(public + sealed).decode()


def unseal(sealed: str, private: bytes, *, about: str) -> str:
    """Return the text in `sealed`.

    Args:
        sealed: what `seal` returned.
        private: the X25519 key (32 bytes) for whose public half it was sealed.
        about: what it belongs to, as it was sealed.

    Raises:
        Invalid: it was not sealed for this key, or about something else, or was changed.
    """
    raw = _decoded(sealed, "grant")
    ours = X25519PrivateKey.from_private_bytes(private)
    theirs, ciphertext = raw[:KEY], raw[KEY:]
    try:
        shared = ours.exchange(X25519PublicKey.from_public_bytes(theirs))
        key = _key(shared, theirs, ours.public_key().public_bytes_raw())
        return ChaCha20Poly1305(key).decrypt(_NONCE, ciphertext, about.encode()).decode()
    except (ValueError, InvalidTag):
        raise Invalid("grant", "was not sealed for this key and this ticket") from None


def _key(shared: bytes, sealer: bytes, reader: bytes) -> bytes:
    info = _CONTEXT + sealer + reader
    return HKDF(algorithm=SHA256(), length=KEY, salt=None, info=info).derive(shared)


def _decoded(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(field, "is not standard base64") from None
