"""The family of errors that the programs share.

* `PortholeError`: everything below
    * `Invalid`: a value that nobody may send; carries the field it is about
    * `ProtocolError`: a conversation went wrong
        * `LocalProtocolError`: our fault; a bug on this side of the wire
        * `RemoteProtocolError`: the peer's fault; the connection is ended with its `code`
            * `TooOld`: the peer speaks a version that is no longer (or not yet) understood
            * `Unproven`: the peer did not prove who it is
    * `Refused`: understood, and not done; carries a stable `code` and a sentence

Every error speaks in a sentence that says what is wrong and, where it can, what to do.
"""


class PortholeError(Exception):
    """The root of the family; `str()` is a sentence for a person."""

    code: str = "error"


class Invalid(PortholeError, ValueError):
    """A value is not one that may be sent.

    Args:
        field: the path of the field in the object, e.g. `spec.display.width`.
        sentence: what is wrong with it.
    """

    code = "invalid"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field
        self.sentence = sentence


class ProtocolError(PortholeError):
    """A conversation between two programs went wrong."""

    code = "protocol_error"


class LocalProtocolError(ProtocolError):
    """This program tried to say something that the protocol does not allow: our bug."""

    code = "local_protocol_error"


class RemoteProtocolError(ProtocolError):
    """The peer said something that the protocol does not allow."""

    code = "remote_protocol_error"


class TooOld(RemoteProtocolError):
    """The two programs have no version of the protocol in common."""

    code = "too_old"


class Unproven(RemoteProtocolError):
    """The peer did not prove that it holds the key of the identity that it claims."""

    code = "unproven"


class Refused(PortholeError):
    """The request was understood and is not done.

    Args:
        code: stable, snake_case, for programs.
        sentence: for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
