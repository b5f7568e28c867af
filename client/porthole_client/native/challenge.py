"""VNC's way to ask for a password (RFC 6143, 7.2.2): a challenge, answered by DES. Pure.

DES guards nothing by itself; here it keeps a password that is good once out of a conversation
that does not leave this machine.
"""

from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

LENGTH: Final = 16
"""Bytes of a challenge, and of its answer."""
_KEY: Final = 8


def answer(challenge: bytes, password: str) -> bytes:
    """Return the right answer to a challenge.

    Args:
        challenge: `LENGTH` random bytes.
        password: its first eight characters count.
    """
    key = password.encode("latin-1", errors="replace")[:_KEY].ljust(_KEY, b"\0")
    # VNC takes the bits of each byte of a key in the other order.
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    cipher = Cipher(TripleDES(turned * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's
    return cipher.update(challenge) + cipher.finalize()
