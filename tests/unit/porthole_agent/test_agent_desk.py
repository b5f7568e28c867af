"""Commands at the agent: each once, in the order of its subject, and every result is said."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from porthole_agent.desk import _CONTENT_WITHIN, AT_ONCE, Desk
from porthole_contract.errors import Refused
from porthole_contract.link.commands import TemplateContent
from porthole_contract.link.reports import CommandResult, Outcome, WantTemplate
from porthole_contract.template import PinnedTemplate
from porthole_contract.testing import builders


class Place:
    """A runtime that does what a test lets it do, and notes what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, UUID, int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.refusal: Exception | None = None
        self.contents: dict[str, Any] = {}

    async def apply(self, session: UUID, order: int, *, template: PinnedTemplate, **_: Any) -> None:
        if template.spec is None and template.digest not in self.contents:
            raise Refused("template_content_missing", "That template is not known here.")
        self.told.append(("apply", session, order))
        await self.go_on.wait()
        if self.refusal is not None:
            raise self.refusal

    async def delete(self, session: UUID, order: int) -> None:
        self.told.append(("delete", session, order))
        await self.go_on.wait()
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def said() -> list[Any]:
    return []


@pytest_asyncio.fixture
async def desk(place: Place, said: list[Any]) -> AsyncIterator[Desk]:
    desk = Desk(place, said.append)  # type: ignore[arg-type]  # a runtime, as far as a desk goes
    yield desk
    await desk.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def pass_by(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have it be later once all is under way, whatever this machine does meanwhile."""
    await settle()
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + seconds)
    await settle()


async def test_a_command_is_carried_out_and_its_result_is_said(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    command = builders.a_command(1, builders.an_apply(session=1, order=1))
    desk.take(command)
    await settle()
    assert place.told == [("apply", builders.an_id(1), 1)]
    assert said == [CommandResult(command=command.id, outcome=Outcome.SUCCEEDED)]


async def test_one_that_comes_again_while_under_way_is_not_begun_twice(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    place.go_on.clear()
    command = builders.a_command(1, builders.an_apply())
    desk.take(command)
    await settle()
    desk.take(command)
    place.go_on.set()
    await settle()
    assert len(place.told) == 1
    assert len(said) == 1


async def test_one_that_comes_again_when_done_gets_its_result_again(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    command = builders.a_command(1, builders.an_apply())
    desk.take(command)
    await settle()
    desk.take(command)
    await settle()
    assert len(place.told) == 1
    assert said[0] == said[1]


async def test_an_end_that_failed_is_tried_again_when_it_comes_again(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    place.refusal = Refused("busy", "Something is still mounted.")
    command = builders.a_command(1, builders.a_delete(session=1, order=2))
    desk.take(command)
    await settle()
    place.refusal = None
    desk.take(command)
    await settle()
    desk.take(command)
    await settle()
    assert [result.outcome for result in said] == [
        Outcome.FAILED,
        Outcome.SUCCEEDED,
        Outcome.SUCCEEDED,
    ]
    assert len(place.told) == 2, "what has succeeded is not done again"


async def test_an_order_that_was_refused_is_refused_again_in_the_same_words(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    place.refusal = Refused("owner_changed", "The session belongs to somebody else.")
    command = builders.a_command(1, builders.an_apply())
    desk.take(command)
    await settle()
    place.refusal = None
    desk.take(command)
    await settle()
    assert said[0] == said[1]
    assert len(place.told) == 1


async def test_commands_of_one_subject_wait_for_each_other_and_others_do_not(
    desk: Desk, place: Place
) -> None:
    place.go_on.clear()
    desk.take(builders.a_command(1, builders.an_apply(session=1, order=1)))
    desk.take(builders.a_command(2, builders.a_delete(session=1, order=2)))
    desk.take(builders.a_command(3, builders.an_apply(session=2, order=1)))
    await settle()
    assert place.told == [
        ("apply", builders.an_id(1), 1),
        ("apply", builders.an_id(2), 1),
    ]
    place.go_on.set()
    await settle()
    assert place.told[-1] == ("delete", builders.an_id(1), 2)


async def test_a_refusal_is_a_result_with_its_code_and_sentence(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    place.refusal = Refused("owner_changed", "The session belongs to somebody else.")
    desk.take(builders.a_command(1, builders.an_apply()))
    await settle()
    assert (said[0].outcome, said[0].code) == (Outcome.FAILED, "owner_changed")
    assert said[0].message == "The session belongs to somebody else."


async def test_a_crash_of_one_command_does_not_end_the_others(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    place.refusal = RuntimeError("a bug, with a secret in it")
    desk.take(builders.a_command(1, builders.an_apply(session=1)))
    await settle()
    place.refusal = None
    desk.take(builders.a_command(2, builders.an_apply(session=1, order=2)))
    await settle()
    assert [result.outcome for result in said] == [Outcome.FAILED, Outcome.SUCCEEDED]
    assert "secret" not in said[0].message


async def test_room_shrinks_with_what_is_unfinished(desk: Desk, place: Place) -> None:
    place.go_on.clear()
    desk.take(builders.a_command(1, builders.an_apply()))
    assert desk.room == AT_ONCE - 1
    place.go_on.set()
    await settle()
    assert desk.room == AT_ONCE


async def test_the_content_of_an_unknown_template_is_asked_for(
    desk: Desk, place: Place, said: list[Any]
) -> None:
    pin = builders.a_pin()
    assert pin.spec is not None
    bare = pin.model_copy(update={"spec": None})
    desk.take(builders.a_command(1, builders.an_apply(template=bare)))
    await settle()
    assert said == [WantTemplate(digest=pin.digest)]
    assert place.told == []
    other = builders.a_template_spec(title="Something else")
    desk.content(TemplateContent(digest=pin.digest, spec=other))
    await settle()
    assert place.told == [], "content with another digest must not be believed"
    desk.content(TemplateContent(digest=pin.digest, spec=pin.spec))
    await settle()
    assert len(place.told) == 1


async def test_a_control_plane_that_has_forgotten_is_asked_for_the_content_again(
    desk: Desk, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = builders.a_pin()
    bare = pin.model_copy(update={"spec": None})
    desk.take(builders.a_command(1, builders.an_apply(template=bare)))
    await settle()
    desk.unlinked()
    await pass_by(monkeypatch, 2 * _CONTENT_WITHIN)
    assert said == [WantTemplate(digest=pin.digest)], "nobody could have answered"
    desk.linked(anew=True)
    assert said == 2 * [WantTemplate(digest=pin.digest)]
    assert pin.spec is not None
    desk.content(TemplateContent(digest=pin.digest, spec=pin.spec))
    await settle()
    assert isinstance(said[-1], CommandResult)
    assert said[-1].outcome is Outcome.SUCCEEDED


async def test_one_that_waits_no_longer_for_a_content_does_not_take_it_from_another(
    desk: Desk, place: Place, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = builders.a_pin()
    bare = pin.model_copy(update={"spec": None})
    desk.take(builders.a_command(1, builders.an_apply(session=1, template=bare)))
    await pass_by(monkeypatch, 0.7 * _CONTENT_WITHIN)
    desk.take(builders.a_command(2, builders.an_apply(session=2, template=bare)))
    await pass_by(monkeypatch, 0.7 * _CONTENT_WITHIN)
    assert said[-1].outcome is Outcome.FAILED
    assert pin.spec is not None
    desk.content(TemplateContent(digest=pin.digest, spec=pin.spec))
    await settle()
    assert place.told == [("apply", builders.an_id(2), 1)]
