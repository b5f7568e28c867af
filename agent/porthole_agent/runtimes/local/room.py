"""Whether there is room for one more session (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass

from porthole_agent.runtimes.local.decide import Obstacle
from porthole_agent.runtimes.port import Capacity
from porthole_contract.conditions import Reason
from porthole_contract.effective import Effective


@dataclass(frozen=True, slots=True)
class Room:
    """How many sessions, cores and bytes of memory sessions may have together."""

    sessions: int
    cpu: float
    memory: int

    def capacity(self, taken: Iterable[Effective]) -> Capacity:
        """Return what there is and what is taken."""
        running = list(taken)
        return Capacity(
            sessions=self.sessions,
            sessions_used=len(running),
            cpu=self.cpu,
            cpu_used=sum(one.cpu_request for one in running),
            memory=self.memory,
            memory_used=sum(one.memory_request for one in running),
        )

    def obstacle(self, wanted: Effective, taken: Iterable[Effective]) -> Obstacle | None:
        """Return why `wanted` does not fit beside what is taken, or None."""
        now = self.capacity(taken)
        if now.sessions_used >= now.sessions:
            return _none_left(f"All {now.sessions} places for sessions are taken.")
        if now.cpu_used + wanted.cpu_request > now.cpu:
            return _none_left(
                f"It asks for {wanted.cpu_request:g} cores and"
                f" {max(0.0, now.cpu - now.cpu_used):g} of {now.cpu:g} are free."
            )
        if now.memory_used + wanted.memory_request > now.memory:
            return _none_left(
                f"It asks for {wanted.memory_request // 2**20} MiB of memory and"
                f" {max(0, now.memory - now.memory_used) // 2**20} of"
                f" {now.memory // 2**20} MiB are free."
            )
        return None


def _none_left(message: str) -> Obstacle:
    return Obstacle(Reason.NO_CAPACITY, message)
