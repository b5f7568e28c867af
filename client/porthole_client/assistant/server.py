"""The tools: open a desktop, look at it, use it, end it.

What goes wrong is told to the assistant in the sentence that a person would have got. An
assistant sees and uses what its token may, and nothing else; what it opens is labelled, and
`end_session` ends only that unless the server was started with `end_any`.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from porthole_client.clients import AsyncDesk, AsyncPorthole
from porthole_client.errors import ClientError, NotFound, NotSignedIn, Unreachable
from porthole_client.models import Session
from porthole_contract.stream.drive import LONGEST_TITLE, MOST_TEXT, TYPEABLE

T = TypeVar("T")

INSTRUCTIONS: Final = """Remote desktops. Open one with create_session, look at it with screenshot,
use it with click, type_text, press_keys, drag and scroll; every one of these answers with a
picture of the screen as it is afterwards. Coordinates are pixels of the picture that
you saw last. A program that starts draws nothing for a while: wait_window waits until it has
its window. Commands can be typed into a terminal. End what you have created with end_session
when you are done."""
LABEL: Final = "made-by"
MADE_BY: Final = "assistant"

Which = Annotated[str, Field(description="Name or id of the session.")]
X = Annotated[int, Field(ge=0, description="Pixels from the left edge of the picture.")]
Y = Annotated[int, Field(ge=0, description="Pixels from the top edge of the picture.")]
Button = Literal["left", "middle", "right"]
_BUT_THESE: Final = "but line feed and tab; press_keys has the others"
_SETTLE: Final = {"type": "wait_still", "quiet": 0.3, "within": 5.0}


class Tools:
    """What an assistant can do with one Porthole.

    Args:
        porthole: the way to it.
        end_any: whether sessions may be ended that were made by others.
    """

    def __init__(self, porthole: AsyncPorthole, *, end_any: bool = False) -> None:
        self._porthole = porthole
        self._end_any = end_any

    async def list_sessions(self) -> dict[str, Any]:
        """List the desktops that there are."""
        found = await _said(self._porthole.sessions.list())
        return {"sessions": [_shown(session) for session in found]}

    async def list_templates(self) -> dict[str, Any]:
        """List what desktops can be made from."""
        found = await _said(self._porthole.templates.list())
        return {
            "templates": [
                {"name": one.name, "title": one.title, "description": one.description}
                for one in found
                if one.available
            ]
        }

    async def create_session(
        self,
        template: Annotated[str, Field(description="What to make it from, of list_templates.")],
        start: Annotated[
            str | None, Field(description="A URL to open in it, or a command.")
        ] = None,
        name: Annotated[
            str | None, Field(description="What to call it: lower-case letters, digits and '-'.")
        ] = None,
    ) -> dict[str, Any]:
        """Open a new desktop and wait until it can be used."""
        spec: dict[str, Any] = {"labels": {LABEL: MADE_BY}}
        if start is not None:
            spec["start"] = start
        asked = self._porthole.sessions.create(template, name=name, **spec)
        session = await _said(asked, "list_templates tells what it can be made from.")
        return _shown(await _said(self._porthole.sessions.wait_ready(session.id)))

    async def end_session(self, session: Which) -> str:
        """End a desktop that you have created; its home is kept."""
        found = await self._find(session)
        labels = (found.model_extra or {}).get("labels") or {}
        if labels.get(LABEL) != MADE_BY and not self._end_any:
            raise ToolError(f"{found.name} was not made by an assistant; a person has to end it.")
        await _said(self._porthole.sessions.delete(found.id))
        return f"{found.name} is ending."

    async def screenshot(self, session: Which) -> Image:
        """Look at a desktop."""
        return await self._look(await self._find(session))

    async def click(
        self,
        session: Which,
        x: X,
        y: Y,
        button: Button = "left",
        count: Annotated[int, Field(ge=1, le=3, description="2 is a double click.")] = 1,
    ) -> Image:
        """Click somewhere; returns the screen afterwards."""
        found = await self._find(session)
        asked = {"type": "click", "at": {"x": x, "y": y}, "button": button, "count": count}
        return await self._do(found, asked)

    async def type_text(
        self,
        session: Which,
        text: Annotated[
            str,
            Field(
                min_length=1,
                max_length=MOST_TEXT,
                description=f"No control characters {_BUT_THESE}.",
            ),
        ],
    ) -> Image:
        """Type a text where the focus is, a line feed is Return; returns the screen afterwards."""
        if re.search(TYPEABLE, text) is None:
            raise ToolError(f"A text has no control characters {_BUT_THESE}.")
        return await self._do(await self._find(session), {"type": "text", "text": text})

    async def press_keys(
        self,
        session: Which,
        keys: Annotated[
            list[str], Field(description="One after another, e.g. ['ctrl+l', 'Return'].")
        ],
    ) -> Image:
        """Press keys, several held together joined by +; returns the screen afterwards."""
        return await self._do(await self._find(session), {"type": "keys", "keys": keys})

    async def drag(self, session: Which, from_x: X, from_y: Y, to_x: X, to_y: Y) -> Image:
        """Drag from one place to another; returns the screen afterwards."""
        found = await self._find(session)
        path = [{"x": from_x, "y": from_y}, {"x": to_x, "y": to_y}]
        return await self._do(found, {"type": "drag", "path": path})

    async def scroll(
        self,
        session: Which,
        x: X,
        y: Y,
        down: Annotated[int, Field(ge=-50, le=50, description="Notches; negative is up.")],
    ) -> Image:
        """Turn the wheel somewhere; returns the screen afterwards."""
        found = await self._find(session)
        return await self._do(found, {"type": "scroll", "at": {"x": x, "y": y}, "dy": down})

    async def wait(
        self, session: Which, seconds: Annotated[float, Field(ge=0, le=30)] = 2.0
    ) -> Image:
        """Wait, then look."""
        return await self._do(await self._find(session), {"type": "wait", "seconds": seconds})

    async def wait_window(
        self,
        session: Which,
        title: Annotated[
            str,
            Field(
                min_length=1,
                max_length=LONGEST_TITLE,
                description="Words of its title, whatever the case.",
            ),
        ],
        seconds: Annotated[float, Field(ge=0.1, le=50)] = 30.0,
    ) -> Image:
        """Wait until a window has this in its title; returns the screen then."""
        asked = {"type": "wait_window", "title": title, "within": seconds}
        return await self._do(await self._find(session), asked)

    async def read_clipboard(self, session: Which) -> str:
        """Return the text that was copied in a desktop."""
        return await _said(self._desk(await self._find(session)).clipboard())

    def _desk(self, session: Session) -> AsyncDesk:
        return self._porthole.desktop(session)

    async def _do(self, session: Session, action: dict[str, Any]) -> Image:
        await _said(self._desk(session).act(action, _SETTLE))
        return await self._look(session)

    async def _look(self, session: Session) -> Image:
        # Never scaled: coordinates are those of the picture.
        return Image(data=await _said(self._desk(session).screenshot()), format="png")

    async def _find(self, which: str) -> Session:
        try:
            return await _said(self._porthole.sessions.get(UUID(which)))
        except ValueError:
            pass
        found = [one for one in await _said(self._porthole.sessions.list()) if one.name == which]
        if len(found) != 1:
            raise ToolError(f"There is no session {which!r}; list_sessions tells which there are.")
        return found[0]


def server(connect: Callable[[], AsyncPorthole], *, end_any: bool = False) -> MCPServer[None]:
    """Return the server; `connect` is called when it begins.

    Args:
        connect: makes the way to a Porthole.
        end_any: whether sessions may be ended that were made by others.
    """
    porthole = connect()
    tools = Tools(porthole, end_any=end_any)

    @asynccontextmanager
    async def lifespan(_: MCPServer[None]) -> AsyncIterator[None]:
        async with porthole:
            yield

    made: MCPServer[None] = MCPServer(
        "porthole",
        instructions=INSTRUCTIONS,
        version=version("porthole"),
        lifespan=lifespan,
        log_level="WARNING",
    )
    for tool in (
        tools.list_sessions,
        tools.list_templates,
        tools.create_session,
        tools.end_session,
        tools.screenshot,
        tools.click,
        tools.type_text,
        tools.press_keys,
        tools.drag,
        tools.scroll,
        tools.wait,
        tools.wait_window,
        tools.read_clipboard,
    ):
        made.tool()(tool)
    return made


_A_PERSON: Final[tuple[tuple[type[ClientError], str], ...]] = (
    (Unreachable, "A person has to start it, or to correct this server's PORTHOLE_SERVER."),
    (NotSignedIn, "A person has to give this server another PORTHOLE_TOKEN."),
)


async def _said(asked: Awaitable[T], missing: str = "list_sessions tells which there are.") -> T:
    """Return what was asked for; what goes wrong is told to the assistant in words.

    Args:
        asked: what is awaited.
        missing: what to do where something is not there.
    """
    try:
        return await asked
    except NotFound as error:
        raise ToolError(f"{error} {missing}") from None
    except ClientError as error:
        hint = next((hint for kind, hint in _A_PERSON if isinstance(error, kind)), "")
        raise ToolError(f"{error.sentence} {hint}".strip()) from None


def _shown(session: Session) -> dict[str, Any]:
    return {
        "name": session.name,
        "id": str(session.id),
        "template": session.template,
        "phase": str(session.phase),
        "message": session.message,
    }
