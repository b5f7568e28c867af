"""Everything that can happen, breadth first: the first violation found has the shortest story.

Safety is looked at in every state. Liveness: from every state, without any further fault, a
state can be reached in which nothing is left to do, and in every such state all is as it
should be.
"""

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.invariants import AT_REST, IN_EVERY_STATE, NO_WAY_OUT, Violation
from tests.model.wiring import RIGHT, Wiring
from tests.model.world import FAULTS, Step, Story, World


@dataclass(frozen=True)
class Explored:
    """What came of it. `states` were visited, the last of them `depth` steps from the first.

    `whole`: nothing was left out. `violation`: the sentence that does not hold, and `trace`
    the steps that lead there.
    """

    story: Story
    states: int
    depth: int
    seconds: float
    whole: bool
    at_rest: int
    violation: Violation | None = None
    trace: tuple[Step, ...] = ()


class _Space:
    """The states that were found, by number, and how each was reached."""

    def __init__(self, first: World) -> None:
        self.numbers = {hash(first.key()): 0}
        self.parents: list[int] = [-1]
        self.how: list[Step] = [()]
        self.depths: list[int] = [0]
        self.before: list[list[int]] = [[]]  # by which states it follows without a fault
        self.resting: set[int] = set()
        self.unexplored: set[int] = set()

    def add(self, key: object, parent: int, how: Step) -> tuple[int, bool]:
        """Return a state's number, and whether it is new."""
        number = self.numbers.setdefault(hash(key), len(self.parents))
        new = number == len(self.parents)
        if new:
            self.parents.append(parent)
            self.how.append(how)
            self.depths.append(self.depths[parent] + 1)
            self.before.append([])
        return number, new

    def trace(self, number: int) -> tuple[Step, ...]:
        """Return the steps that lead to a state."""
        steps = []
        while number:
            steps.append(self.how[number])
            number = self.parents[number]
        return tuple(reversed(steps))

    def stuck(self, *, for_ever: bool) -> int | None:
        """Return the first state from which nothing at rest can be reached; None: there is none.

        `for_ever`: from what was not explored neither.
        """
        reached = set(self.resting) if for_ever else self.resting | self.unexplored
        waiting = list(reached)
        while waiting:
            for number in self.before[waiting.pop()]:
                if number not in reached:
                    reached.add(number)
                    waiting.append(number)
        return next((one for one in range(len(self.parents)) if one not in reached), None)


def explore(
    story: Story, wiring: Wiring = RIGHT, *, most: int = 10**9, seconds: float = 1e9
) -> Explored:
    """Explore a story until a violation is found, everything was seen, or a bound is reached.

    Args:
        story: what is explored.
        wiring: how the parts are joined.
        most: states.
        seconds: after which no more states are looked at.
    """
    gc.disable()  # nothing here refers to itself, and there is very much of it
    try:
        return _explore(story, wiring, most, seconds)
    finally:
        gc.enable()


def _explore(story: Story, wiring: Wiring, most: int, seconds: float) -> Explored:
    begun = time.monotonic()
    first = World(story, wiring)
    space = _Space(first)
    level: list[tuple[int, World]] = [(0, first)]
    broken: tuple[Violation, int] | None = None
    while level and broken is None:
        following: list[tuple[int, World]] = []
        for number, world in level:
            if len(space.parents) >= most or time.monotonic() - begun > seconds:
                space.unexplored.add(number)
            elif broken := _look_around(space, number, world, following):
                break
        level = following
    # A bug that goes round and round has no end to be explored to.
    if broken is None and (stuck := space.stuck(for_ever=wiring is not RIGHT)) is not None:
        broken = NO_WAY_OUT, stuck
    return Explored(
        story,
        states=len(space.parents),
        depth=space.depths[-1],
        seconds=time.monotonic() - begun,
        whole=not space.unexplored,
        at_rest=len(space.resting),
        violation=broken[0] if broken else None,
        trace=space.trace(broken[1]) if broken else (),
    )


def _look_around(
    space: _Space, number: int, world: World, following: list[tuple[int, World]]
) -> tuple[Violation, int] | None:
    """Find what follows a state; return what is broken, and in which state."""
    rests = True
    for how, after in world.steps():
        known, new = space.add(after.key(), number, how)
        if how[0] not in FAULTS:
            rests = False
            space.before[known].append(number)
        if new:
            if broken := _first(IN_EVERY_STATE, after):
                return broken, known
            following.append((known, after))
    if rests:
        space.resting.add(number)
        if broken := _first(AT_REST, world):
            return broken, number
    return None


def _first(sentences: tuple[Violation, ...], world: World) -> Violation | None:
    return next((one for one in sentences if not one.holds(world)), None)


def replay(story: Story, wiring: Wiring, trace: tuple[Step, ...]) -> Iterator[tuple[Step, World]]:
    """Yield the steps of a trace, each with the world after it."""
    world = World(story, wiring)
    for step in trace:
        world = next(after for how, after in world.steps() if how == step)
        yield step, world
