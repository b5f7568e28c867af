"""Frames to text and back; the only file of the link that knows JSON."""

from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link import frames

LONGEST_FRAME = 4 * 1024 * 1024
"""Bytes of UTF-8. The longest session with the longest template stays below it."""
LONGEST_ITEM = LONGEST_FRAME - 256
"""Bytes of one item in a frame of its own, whose other fields take the rest."""

_FROM_AGENT: TypeAdapter[Any] = TypeAdapter(frames.FromAgent)
_FROM_CONTROL: TypeAdapter[Any] = TypeAdapter(frames.FromControl)


def encode(frame: BaseModel) -> str:
    """Return the text of one frame."""
    return frame.model_dump_json(by_alias=True, exclude_none=True)


def size_of(item: BaseModel) -> int:
    """Return how many bytes an item takes in a frame."""
    return len(item.model_dump_json(by_alias=True, exclude_none=True).encode())


def decode_from_agent(text: str | bytes) -> Any:
    """Return the frame that an agent sent.

    Raises:
        RemoteProtocolError: it is not one.
    """
    return _decode(_FROM_AGENT, text)


def decode_from_control(text: str | bytes) -> Any:
    """Return the frame that the control plane sent.

    Raises:
        RemoteProtocolError: it is not one.
    """
    return _decode(_FROM_CONTROL, text)


def _decode(adapter: TypeAdapter[Any], text: str | bytes) -> Any:
    if isinstance(text, bytes):
        raise RemoteProtocolError("The link carries text frames; a binary one came.")
    # Characters first: a text that is far too long is not worth being encoded.
    if len(text) > LONGEST_FRAME or len(text.encode("utf-8", "replace")) > LONGEST_FRAME:
        raise RemoteProtocolError(
            f"A frame of {len(text)} characters came; {LONGEST_FRAME} bytes are the most."
        )
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RemoteProtocolError(f"A frame could not be read: {where}: {first['msg']}.") from error
