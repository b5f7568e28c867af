"""How much of a tone is in samples."""

import math
from collections.abc import Sequence


def loudness(samples: Sequence[int], hertz: float, rate: int) -> float:
    """Return how much of a frequency is in samples (Goertzel's algorithm)."""
    factor = 2 * math.cos(2 * math.pi * hertz / rate)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    return math.sqrt(max(0.0, last**2 + before**2 - factor * last * before)) / len(samples)
