"""The one-time password of a door: good for one connection, then there is another."""

import hmac
import secrets
from collections.abc import Callable
from typing import Final

LENGTH: Final = 8
"""Characters; VNC's own way of asking takes no more."""
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 that are not taken for one another: eight of them are 40 bits."""


class OneTime:
    """The password that is asked for now.

    Args:
        shown: told each new one.
        new: makes one; None: of the system's randomness.
    """

    def __init__(self, shown: Callable[[str], None], new: Callable[[], str] | None = None) -> None:
        self._shown = shown
        self._new = new or _random
        self._now = self._new()

    @property
    def now(self) -> str:
        """The password that the next connection has to know."""
        return self._now

    def use(self, proves: Callable[[str], bool]) -> bool:
        """Use it up, if somebody `proves` to know it; what is good once is another then."""
        if not proves(self._now):
            return False
        self._now = self._new()
        self._shown(self._now)
        return True


def same(said: bytes, right: bytes) -> bool:
    """Whether two are the same, in a time that tells nothing about either."""
    return hmac.compare_digest(said, right)


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))
