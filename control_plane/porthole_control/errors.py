"""What the control plane refuses, in the words of the contract's family of errors.

Every class has a stable `code` and knows nothing of HTTP; `problems.py` does.
"""

from porthole_contract.errors import PortholeError, Refused


class NotFound(Refused):
    """There is no such thing, or it is another's: the two are told apart by nobody."""

    def __init__(self, kind: str, name: object, *, code: str = "not_found") -> None:
        super().__init__(code, f"There is no {kind} {str(name)[:100]!r}.")


class Conflict(Refused):
    """What is there already does not allow it."""


class Unauthenticated(Refused):
    """Nobody knows who is asking."""

    def __init__(self, sentence: str = "Sign in, or send a token that is valid.") -> None:
        super().__init__("unauthenticated", sentence)


class Forbidden(Refused):
    """We know who is asking, and they may not."""

    def __init__(self, sentence: str, *, code: str = "forbidden") -> None:
        super().__init__(code, sentence)


class Stale(Refused):
    """The object has changed since the caller has seen it."""

    def __init__(self) -> None:
        super().__init__(
            "precondition_failed",
            "It has changed since you have read it. Read it again, then decide.",
        )


class Unavailable(PortholeError):
    """Something that we stand on does not answer; trying again helps.

    Args:
        sentence: what it is.
        retry_after: seconds after which to try again.
    """

    code = "unavailable"

    def __init__(self, sentence: str, *, retry_after: int = 1) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class TooMany(PortholeError):
    """It is more than can be done at once; the same call works a moment later.

    Args:
        sentence: what it is.
        retry_after: seconds after which to try again.
    """

    code = "too_many"

    def __init__(self, sentence: str, *, retry_after: int = 1) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Unanswered(PortholeError):
    """What was asked of somebody else may have been done, or not: no answer came."""

    code = "unanswered"
