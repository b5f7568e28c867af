"""Where a window goes when the screen has become smaller."""

import pytest

from porthole_desktop.supervisor.windows import Box, fitted

AREA = Box(0, 0, 1000, 600)


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        (Box(10, 20, 300, 200), Box(10, 20, 300, 200)),
        (Box(900, 20, 300, 200), Box(700, 20, 300, 200)),
        (Box(10, 590, 300, 200), Box(10, 400, 300, 200)),
        (Box(400, 300, 1200, 900), Box(0, 0, 1000, 600)),
        (Box(-50, -20, 300, 200), Box(0, 0, 300, 200)),
        (Box(2000, 2000, 1, 1), Box(999, 599, 1, 1)),
    ],
)
def test_it_is_moved_before_it_is_made_smaller(box, wanted):
    assert fitted(box, AREA) == wanted
    assert fitted(wanted, AREA) == wanted


def test_it_leaves_the_panels_alone():
    assert fitted(Box(0, 0, 800, 900), Box(0, 30, 800, 500)) == Box(0, 30, 800, 500)
