"""Which templates there are, and who can run them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from porthole_control.templates.repository import Offer, Revision


@dataclass(frozen=True, slots=True)
class Known:
    """A template as sessions can be made from it.

    Attributes:
        newest: what a new session pins.
        source: `api`, or `agent` if it was made where an agent is.
        offers: what agents say about it; an agent that says nothing can run what is ours.
        message: why no agent can run it, in a sentence; empty if one can.
    """

    newest: Revision
    source: str
    offers: Sequence[Offer]
    message: str

    @property
    def available(self) -> bool:
        """Whether some agent can run it."""
        return not self.message


def known(own: Sequence[Revision], offers: Sequence[Offer], agents: int) -> dict[str, Known]:
    """Return all templates by name, sorted.

    A template of ours is preferred to one of the same name that an agent brings along.

    Args:
        own: the newest revisions of ours.
        offers: what agents say.
        agents: how many agents could run something at all.
    """
    by_name: dict[str, list[Offer]] = {}
    for offer in offers:
        by_name.setdefault(offer.name, []).append(offer)
    found = {
        revision.name: Known(
            revision,
            "api",
            by_name.get(revision.name, []),
            _why_not_ours(by_name.get(revision.name, []), agents),
        )
        for revision in own
    }
    for name, said in by_name.items():
        brought = [offer for offer in said if offer.revision is not None]
        if name in found or not brought:
            continue
        first = next((offer for offer in brought if offer.offered), brought[0])
        assert first.revision is not None
        found[name] = Known(first.revision, "agent", said, "" if first.offered else first.message)
    return dict(sorted(found.items()))


def _why_not_ours(said: Sequence[Offer], agents: int) -> str:
    refusals = [offer for offer in said if not offer.offered]
    if agents > len(refusals):
        return ""
    if refusals:
        return refusals[0].message or "No agent can run it."
    return "No agent is enrolled."
