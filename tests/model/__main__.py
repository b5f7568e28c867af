"""Explores the command protocol: `python -m tests.model`.

    python -m tests.model                      the stories of every run of the tests
    python -m tests.model --deep               all stories, to their ends or to --seconds each
    python -m tests.model --bug no_poll        the shortest story that a planted bug allows
    python -m tests.model --story WORDS        the stories whose name has these words

Each story is told with the states visited, the depth in steps, and the time. The exit status is
1 if a sentence is broken (with --bug: if none is).
"""

import argparse
import sys

from tests.model.explore import Explored, explore
from tests.model.explored_stories import DEEPER, FINDING, SEARCHED, USUAL
from tests.model.story import told
from tests.model.wiring import BUGS


def main(arguments: list[str]) -> int:
    """Explore what `arguments` ask for; return the exit status."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.model", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--deep", action="store_true", help="all stories")
    parser.add_argument("--bug", choices=sorted(BUGS), help="find what is planted")
    parser.add_argument("--story", default="", help="words of a story's name")
    parser.add_argument("--seconds", type=float, default=240.0, help="for each story")
    parser.add_argument("--states", type=int, default=1_500_000, help="for each story, at the most")
    asked = parser.parse_args(arguments)
    if asked.bug is not None:
        found = explore(FINDING[asked.bug], BUGS[asked.bug], most=SEARCHED)
        print(_counted(found))
        if found.violation is not None:
            print(told(found, BUGS[asked.bug]))
        return 0 if found.violation is not None else 1
    broken = False
    for story in DEEPER if asked.deep or asked.story else USUAL:
        if asked.story in story.name:
            found = explore(story, most=asked.states, seconds=asked.seconds)
            print(_counted(found), flush=True)
            if found.violation is not None:
                broken = True
                print(told(found), flush=True)
    return 1 if broken else 0


def _counted(found: Explored) -> str:
    end = "all of it" if found.whole else "as far as it went"
    return (
        f"{found.story.name}: {found.states} states, {found.depth} steps deep,"
        f" {found.at_rest} at rest, {found.seconds:.1f} s, {end}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
