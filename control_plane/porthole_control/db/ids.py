"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562)."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & ((1 << 62) - 1)
    return UUID(int=value)


def moment_of(identity: UUID) -> int:
    """Return when an id of `new_id` was made, in nanoseconds since the epoch."""
    return (identity.int >> 80) * 1_000_000
