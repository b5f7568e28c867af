"""Records of the local runtime for tests that decide."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from porthole_agent.runtimes.local.decide import Seen
from porthole_agent.runtimes.local.record import Record
from porthole_contract.effective import resolve
from porthole_contract.lifecycle import Phase
from porthole_contract.session import SessionSpec
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSION = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def a_template(**fields: Any) -> SessionTemplateSpec:
    """Return a template; nothing is said about resources."""
    return SessionTemplateSpec.model_validate({"title": "Desktop", **fields})


def a_spec(**fields: Any) -> SessionSpec:
    """Return the spec of a session of alice."""
    return SessionSpec.model_validate({"owner": "alice", "template": "desktop", **fields})


def a_record(
    phase: Phase = Phase.PENDING,
    *,
    spec: SessionSpec | None = None,
    template: SessionTemplateSpec | None = None,
    since: timedelta = timedelta(0),
    **fields: Any,
) -> Record:
    """Return a record that entered `phase` `since` ago; what runs was begun then."""
    content = template or a_template()
    at = NOW - since
    begun = phase in {Phase.STARTING, Phase.WAKING, Phase.RUNNING, Phase.HIBERNATING}
    return Record(
        **{
            "session": SESSION,
            "name": "desktop-1",
            "owner": "alice",
            "order": 1,
            "spec": spec or a_spec(),
            "template": PinnedTemplate(
                name="desktop", revision=1, digest=content.digest(), spec=content
            ),
            "created_at": at,
            "phase": phase,
            "phase_since": at,
            "begun_at": at if begun else None,
            "started_at": at if begun else None,
            "desktop_uid": 2_000_000,
            "gate_uid": 2_000_001,
            **fields,
        }
    )


def seen(record: Record, **fields: Any) -> Seen:
    """Return a look at it in which nothing lives, unless said otherwise."""
    assert record.template.spec is not None
    return Seen(**{"effective": resolve(record.spec, record.template.spec), **fields})


def alive(record: Record, **fields: Any) -> Seen:
    """Return a look at it in which everything lives."""
    everything = {"desktop": True, "gate": True, "network": True, "remains": True}
    return seen(record, **{**everything, **fields})
