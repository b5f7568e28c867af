"""What the metrics of every program have in common."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Counter, Gauge, Histogram

from porthole_contract.lifecycle import LIVE, Phase


def tell_from_the_start(
    expected: Iterable[tuple[Counter | Gauge | Histogram, Iterable[str]]],
) -> None:
    """Tell what may come as 0: nobody can see a rise from nothing at all.

    Args:
        expected: metrics of one label, each with the values that we know of.
    """
    for metric, values in expected:
        for value in values:
            metric.labels(value)


def follow(gauge: Gauge, phases: Callable[[], Mapping[Phase, int]]) -> None:
    """Have a gauge of sessions by phase tell what `phases` returns when it is asked."""

    def one(phase: Phase) -> Callable[[], float]:
        return lambda: phases().get(phase, 0)

    for phase in LIVE:
        gauge.labels(str(phase)).set_function(one(phase))
