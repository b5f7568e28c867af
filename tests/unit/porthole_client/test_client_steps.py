"""Steps without I/O: a script of outcomes goes in, wishes come out."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from porthole_client.errors import (
    Answered,
    Broken,
    Changed,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    NotSignedIn,
    SessionEnded,
    TimedOut,
    TooMany,
    Unreachable,
)
from porthole_client.models import Template
from porthole_client.nouns import desktops, people, sessions
from porthole_client.nouns.lists import everything
from porthole_client.steps import Answer, Outcome, Retry, Send, Sleep, Steps, Unanswered, persist
from porthole_contract.lifecycle import Phase

SESSION = UUID("0199aaaa-0000-7000-8000-000000000001")


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Answer(status, named, b"" if body is None else json.dumps(body).encode())


def session_json(phase: Phase, **more: Any) -> dict[str, Any]:
    return {
        "id": str(SESSION),
        "name": "desk",
        "owner": "ada",
        "template": "desktop",
        "phase": phase,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        **more,
    }


class Played:
    """What steps wished for while they were given outcomes, and what became of them."""

    def __init__(self, steps: Steps[Any], outcomes: Iterable[Outcome]) -> None:
        self.sent: list[Send] = []
        self.slept: list[float] = []
        self.result: Any = None
        script = iter(outcomes)
        now = 0.0
        try:
            wish = next(steps)
            while True:
                if isinstance(wish, Sleep):
                    self.slept.append(wish.seconds)
                    now += wish.seconds
                    wish = steps.send(now)
                else:
                    self.sent.append(wish)
                    wish = steps.send(next(script))
        except StopIteration as stop:
            self.result = stop.value


def persistent(
    steps: Steps[Any], outcomes: Iterable[Outcome], retry: Retry | None = None
) -> Played:
    return Played(persist(steps, retry or Retry()), outcomes)


def test_a_created_session_is_asked_for_once_with_a_key() -> None:
    played = Played(
        sessions.create("desktop", home="work", idempotency_key="k"),
        [answer(202, session_json(Phase.PENDING))],
    )
    (request,) = played.sent
    assert (request.method, request.path) == ("POST", "/api/v1/sessions")
    assert request.body == {"template": "desktop", "home": "work"}
    assert request.headers["Idempotency-Key"] == "k"
    assert played.result.phase is Phase.PENDING


def test_two_calls_have_two_keys() -> None:
    keys = {
        Played(sessions.create("desktop"), [answer(202, session_json(Phase.PENDING))])
        .sent[0]
        .headers["Idempotency-Key"]
        for _ in range(2)
    }
    assert len(keys) == 2


def test_what_is_not_answered_is_sent_again_with_the_same_key() -> None:
    played = persistent(
        sessions.create("desktop"),
        [Unanswered("reset"), answer(503), answer(202, session_json(Phase.PENDING))],
    )
    assert len(played.sent) == 3
    assert len({request.headers["Idempotency-Key"] for request in played.sent}) == 1
    assert played.slept == [0.2, 0.4]


def test_what_may_not_be_done_twice_is_sent_again_only_if_it_was_not_done() -> None:
    done = answer(200, {"actions": 1})
    for refusal in (answer(429), answer(503)):
        played = persistent(desktops.type_(SESSION, "once"), [refusal, done])
        assert played.result.actions == 1
        assert len(played.sent) == 2
    for unknown, kind in ((Unanswered("reset"), Unreachable), (answer(504), Broken)):
        with pytest.raises(kind):
            persistent(desktops.type_(SESSION, "once"), [unknown])


def test_nobody_answers() -> None:
    with pytest.raises(Unreachable, match="refused"):
        persistent(sessions.get(SESSION), [Unanswered("refused")] * 5)


def test_the_server_says_when_to_try_again() -> None:
    busy = answer(429, {"code": "busy"}, retry_after="7")
    played = persistent(sessions.get(SESSION), [busy, answer(200, session_json(Phase.RUNNING))])
    assert played.slept == [7.0]


def test_a_server_cannot_make_us_wait_for_ever() -> None:
    assert Retry().pause(1, answer(503, retry_after="999999")) == 30.0


def test_giving_up_keeps_what_the_server_said() -> None:
    busy = answer(429, {"code": "busy", "detail": "Not now."}, retry_after="1")
    with pytest.raises(TooMany, match="Not now") as caught:
        persistent(sessions.get(SESSION), [busy] * 2, Retry(times=1))
    assert caught.value.retry_after == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, NotSignedIn),
        (403, NotAllowed),
        (404, NotFound),
        (409, Conflict),
        (412, Changed),
        (413, Invalid),
        (418, Answered),
        (422, Invalid),
        (500, Broken),
    ],
)
def test_a_refusal_is_an_error_by_its_code(status: int, kind: type[Answered]) -> None:
    problem = {
        "code": "some_code",
        "detail": "What is wrong.",
        "request_id": "r1",
        "errors": [{"field": "body.name", "message": "is too long"}],
    }
    with pytest.raises(kind) as caught:
        persistent(sessions.get(SESSION), [answer(status, problem)])
    error = caught.value
    assert type(error) is kind
    assert (error.code, str(error), error.request_id) == ("some_code", "What is wrong.", "r1")
    assert error.fields == {"body.name": "is too long"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff"])
def test_a_refusal_that_is_no_problem_document_still_is_an_error(body: bytes) -> None:
    with pytest.raises(NotFound, match="HTTP 404"):
        persistent(sessions.get(SESSION), [Answer(404, {}, body)])


def test_waiting_tells_what_it_sees_and_ends_when_ready() -> None:
    seen: list[Phase] = []
    phases = [Phase.PENDING, Phase.STARTING, Phase.RUNNING]
    played = Played(
        sessions.wait_ready(SESSION, seen=lambda session: seen.append(session.phase)),
        [answer(200, session_json(phase)) for phase in phases],
    )
    assert played.result.phase is Phase.RUNNING
    assert seen == phases


def test_waiting_ends_when_it_is_in_vain() -> None:
    failed = answer(200, session_json(Phase.FAILED, message="Its desktop ended too often."))
    with pytest.raises(SessionEnded, match="ended too often") as caught:
        Played(sessions.wait_ready(SESSION), [failed])
    assert caught.value.session.phase is Phase.FAILED


def test_waiting_ends_in_time_and_says_why_it_is_not_there() -> None:
    waiting = answer(200, session_json(Phase.PENDING, message="No agent is linked."))
    with pytest.raises(TimedOut, match=r"still Pending after 1 s\. No agent is linked"):
        Played(sessions.wait_ready(SESSION, timeout=1), [waiting] * 20)


def test_a_session_that_is_forgotten_is_gone() -> None:
    played = persistent(
        sessions.wait_gone(SESSION),
        [answer(200, session_json(Phase.TERMINATING)), answer(404, {"code": "not_found"})],
    )
    assert played.result is None


def test_deleting_what_is_gone_is_no_error() -> None:
    persistent(sessions.delete(SESSION), [answer(404, {"code": "not_found"})])


def test_a_list_has_all_its_pages() -> None:
    def page(name: str, following: str | None) -> Answer:
        item = {"name": name, "revision": 1, "title": name, "spec": {"title": name}}
        return answer(200, {"items": [item], "next": following})

    played = Played(everything("/t", Template), [page("a", "c1"), page("b", "c2"), page("c", None)])
    assert [item.name for item in played.result] == ["a", "b", "c"]
    assert [request.query.get("cursor") for request in played.sent] == [None, "c1", "c2"]


def test_a_list_stops_at_the_most_that_is_wanted() -> None:
    items = [{"name": name, "revision": 1, "title": name, "spec": {"title": name}} for name in "ab"]
    played = Played(
        everything("/t", Template, most=1), [answer(200, {"items": items, "next": "more"})]
    )
    assert [item.name for item in played.result] == ["a"]
    assert played.sent[0].query["limit"] == "1"


def test_what_a_newer_server_says_besides_is_kept() -> None:
    played = Played(
        sessions.get(SESSION), [answer(200, session_json(Phase.RUNNING, novelty={"a": 1}))]
    )
    assert played.result.model_extra == {"novelty": {"a": 1}}


def test_a_token_is_asked_for_without_what_is_not_said() -> None:
    made = {
        "id": str(uuid4()),
        "name": "ci",
        "user": "ada",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "token": "pht_x",
    }
    played = Played(people.create_token("ci"), [answer(201, made)])
    assert played.sent[0].body == {"name": "ci"}
    assert played.result.token == "pht_x"
