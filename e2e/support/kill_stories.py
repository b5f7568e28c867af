"""The table of kill stories on a cluster: who dies where, and when.

The programs end themselves at named places; a story has one of each, so that whatever one of
them was doing, another may be dead as well. Everybody is killed when a session was just asked
for, while it runs, and when its end was just asked for. The rest are about nodes and replicas.
"""

from dataclasses import dataclass, replace

from porthole_agent import failpoints as agent
from porthole_control import failpoints as control
from porthole_operator import failpoints as operator

LASTING = ("operator.sleep", "kubernetes.change")
"""What is passed only by sessions that are put to sleep and wake again."""


@dataclass(frozen=True)
class KillStory:
    """What dies, and when.

    Attributes:
        title: what the story is called.
        places: the failpoint of each program at which it dies, once.
        create: who is killed once the session was accepted, in this order.
        running: who is killed when it runs, one after the other.
        delete: who is killed once its end was accepted.
        special: the name of a story that is not the life of one session alone.
        template: what the session is made from.
    """

    title: str
    places: tuple[tuple[str, str], ...] = ()
    create: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    special: str = ""
    template: str = "desktop"

    @property
    def id(self) -> str:
        """What pytest calls it."""
        return self.title.replace(",", "").replace(" ", "-")

    @property
    def losses(self) -> int:
        """How often its desktop is lost."""
        return sum(who in {"desktop", "pod"} for who in (*self.create, *self.running))

    @property
    def sleeps(self) -> bool:
        """Whether the session has to be put to sleep, for a place that only then is passed."""
        return any(place.startswith(LASTING) for _, place in self.places)


def _at_places() -> list[KillStory]:
    told = []
    for number, name in enumerate(control.NAMES):
        at_operator = operator.NAMES[number % len(operator.NAMES)]
        at_agent = agent.KUBERNETES[number % len(agent.KUBERNETES)]
        places = (("control-plane", name), ("operator", at_operator), ("agent", at_agent))
        loses = any(place.startswith("operator.lose") for _, place in places)
        running = ("desktop",) if loses else ()
        title = f"at {name}, {at_operator.removeprefix('operator.')}"
        told.append(
            KillStory(f"{title}, {at_agent.removeprefix('kubernetes.')}", places, running=running)
        )
    return told


PLACES = _at_places()
MOMENTS = [
    *(
        KillStory(f"{who} at create, while it runs, at delete", (), (who,), (who,), (who,))
        for who in ("operator", "agent", "control-plane", "database")
    ),
    KillStory(
        "gate and desktop at every moment", (), ("gate", "desktop"), ("gate", "desktop"), ("gate",)
    ),
    KillStory("pod deleted while it runs, desktop at delete", (), (), ("pod",), ("desktop",)),
]
AROUND = [
    KillStory(title, special=special)
    for title, special in (
        ("the agent hands over as planned", "planned"),
        ("the agent is killed and another takes over", "killed"),
        ("the operator is away during a delete", "away"),
        ("a node is drained", "drained"),
        ("a node is killed", "node"),
    )
]
BEGIN = KillStory("the round begins", special="begin")
END = KillStory("nothing is left of the round", special="end")
_LOST = next(story for story in PLACES if "operator.lose.noted" in dict(story.places).values())
OVER_RDP = [
    replace(story, title=f"{story.title}, over RDP", template="rdp")
    for story in (_LOST, MOMENTS[4])
]
SHORT = [_LOST, MOMENTS[4], AROUND[0], AROUND[1], *OVER_RDP]
"""Those that are always told."""


def table() -> list[KillStory]:
    """Return every story, between the two that compare."""
    return [BEGIN, *PLACES, *MOMENTS, *AROUND, END]


def of_round(number: int) -> list[KillStory]:
    """Return the stories of one round: two of places and one of the others; from round 0.

    Eleven rounds tell all of them.
    """
    two = [PLACES[(2 * number + nth) % len(PLACES)] for nth in range(2)]
    others = [*reversed(AROUND), *MOMENTS]  # what takes longest first
    return [BEGIN, *two, others[number % len(others)], END]
