"""Layouts of keyboards, as X knows them: `us`, `de(nodeadkeys)`."""

from typing import Annotated, Final

from pydantic import Field

Keyboard = Annotated[str, Field(max_length=32, pattern=r"^[a-z]{2,8}(\([a-z0-9_-]+\))?$")]
DEFAULT_KEYBOARD: Final = "us"
