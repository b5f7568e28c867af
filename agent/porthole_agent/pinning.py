"""TLS to a gate: one certificate is right, known by its fingerprint, and no other."""

import hashlib
import hmac
import ssl
from asyncio import StreamWriter
from typing import Final

from porthole_contract.errors import Refused

BUFFER: Final = 64 * 1024
"""Bytes that a reader takes in ahead (asyncio stops reading at twice as much)."""


def pinned_tls() -> ssl.SSLContext:
    """Return how TLS is spoken to a gate; `check_pin` comes before anything is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate is pinned by its fingerprint; no name and no authority is asked.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check_pin(writer: StreamWriter, fingerprint: str) -> None:
    """Check that the certificate is the right one; the connection is gone if it is not.

    Args:
        writer: of a connection whose handshake is done.
        fingerprint: SHA-256 of the certificate, lower hex.

    Raises:
        Refused: `gate_not_genuine`.
    """
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    if not hmac.compare_digest(hashlib.sha256(shown).hexdigest(), fingerprint):
        writer.transport.abort()
        raise Refused("gate_not_genuine", "What answers in the gate's place is not the gate.")
