"""The time of the database, so that all replicas have the same.

Deadlines, pauses and who was seen when are compared across replicas; one whose own clock is wrong
would keep its commands from the others for as long, or take the others for dead. Between two looks
our monotonic clock goes on, which nobody can set.
"""

from datetime import UTC, datetime, timedelta
from time import monotonic


class DatabaseClock:
    """Tells the database's time; until it has been told it once, our own."""

    def __init__(self) -> None:
        self._zero: datetime | None = None  # when the monotonic clock was 0

    def __call__(self) -> datetime:
        """Return the present moment, in UTC."""
        if self._zero is None:
            return datetime.now(UTC)
        return self._zero + timedelta(seconds=monotonic())

    def told(self, moment: datetime, *, asked: float, answered: float) -> None:
        """Take in what the database said, which was right at some moment in between.

        What fits changes nothing, so that a slow answer does not make time go back.

        Args:
            moment: what it said, aware.
            asked: when it was asked, by `monotonic`.
            answered: when the answer was here.
        """
        least = moment.astimezone(UTC) - timedelta(seconds=answered)
        most = moment.astimezone(UTC) - timedelta(seconds=asked)
        zero = self._zero or least + (most - least) / 2
        self._zero = min(max(zero, least), most)
