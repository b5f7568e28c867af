"""A gate is the right one, or the connection to it is gone."""

from asyncio import StreamWriter
from typing import Final

from porthole_contract.errors import Refused
from porthole_contract.stream.pinning import is_the_gate

BUFFER: Final = 64 * 1024
"""Bytes that a reader takes in ahead (asyncio stops reading at twice as much)."""


def check_pin(writer: StreamWriter, fingerprint: str) -> None:
    """Check that the certificate is the right one; the connection is gone if it is not.

    Args:
        writer: of a connection whose handshake is done.
        fingerprint: SHA-256 of the certificate, lower hex.

    Raises:
        Refused: `gate_not_genuine`.
    """
    if not is_the_gate(writer.get_extra_info("ssl_object"), fingerprint):
        writer.transport.abort()
        raise Refused("gate_not_genuine", "What answers in the gate's place is not the gate.")
