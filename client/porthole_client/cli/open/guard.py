"""Who may use the page: the browser that followed the link, and nobody else (pure).

Every user of this machine reaches its port, and every page in the browser can send requests
to it. So it answers to its own name alone, takes what changes anything from its own page
alone, and gives the right to ask to whoever shows the link's secret first.
"""

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Generic, TypeVar

STREAM_WITHIN: Final = 30.0
"""Seconds for which a stream's token is good."""
_MOST_TOKENS: Final = 64
_BEARER: Final = "Bearer "

T = TypeVar("T")
NewSecret = Callable[[], str]
"""Makes a text that nobody can guess."""


class Turned(Exception):
    """A request is turned away.

    Args:
        status: the HTTP status.
        code: why, for programs.
        sentence: why, for people.
    """

    def __init__(self, status: HTTPStatus, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class Guard(Generic[T]):
    """What is let in at one address; a token stands for a `T`, the right to one stream.

    Args:
        authority: host and port that it is served at.
        new: makes secrets.
    """

    def __init__(self, authority: str, new: NewSecret) -> None:
        self._authority = authority
        self._new = new
        self._secret: str | None = new()
        self._key: str | None = None
        self._tokens: dict[str, tuple[float, T]] = {}

    @property
    def link(self) -> str:
        """The link; the secret is in the fragment, which no request carries."""
        return f"http://{self._authority}/#{self._secret}"

    def check_origin(self, host: str, origin: str | None, *, must: bool) -> None:
        """Check where a request comes from.

        Args:
            host: of its address; another name that leads here is somebody's rebinding.
            origin: of the page that sends it.
            must: whether it has to be ours; else it may be missing.

        Raises:
            Turned: not from here.
        """
        if host != self._authority:
            sentence = "This page answers to its own address alone. Use the link."
            raise Turned(HTTPStatus.MISDIRECTED_REQUEST, "wrong_host", sentence)
        if origin != f"http://{self._authority}" and (must or origin is not None):
            sentence = "Only the page itself may ask for this."
            raise Turned(HTTPStatus.FORBIDDEN, "foreign_origin", sentence)

    def redeem(self, secret: str) -> str:
        """Return the key for whoever shows the link's secret; that works once.

        Raises:
            Turned: it is another secret, or was shown before.
        """
        if self._secret is None or not _same(secret, self._secret):
            raise Turned(
                HTTPStatus.FORBIDDEN,
                "link_used",
                "Run `porthole open` again: each link is good once, in one tab.",
            )
        self._secret = None
        self._key = self._new()
        return self._key

    def check_key(self, authorization: str) -> None:
        """Check that a request carries the key.

        Raises:
            Turned: it does not.
        """
        given = authorization.removeprefix(_BEARER)
        if self._key is None or given == authorization or not _same(given, self._key):
            raise Turned(
                HTTPStatus.UNAUTHORIZED,
                "not_signed_in",
                "Run `porthole open` again: each link is good once, in one tab.",
            )

    def token(self, what: T, now: float) -> str:
        """Return a token that stands for `what`, once and for `STREAM_WITHIN`."""
        self._tokens = {token: kept for token, kept in self._tokens.items() if kept[0] > now}
        while len(self._tokens) >= _MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        token = self._new()
        self._tokens[token] = (now + STREAM_WITHIN, what)
        return token

    def use(self, token: str, now: float) -> T:
        """Return what a token stands for; it is good no more.

        Raises:
            Turned: it is none, or was used, or is too old.
        """
        until, what = self._tokens.pop(token, (now, None))
        if until <= now or what is None:
            raise Turned(HTTPStatus.FORBIDDEN, "ticket_invalid", "The ticket is not valid.")
        return what


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
