"""`python -m e2e.cluster build`: see to it that artefacts are there."""

import argparse
import sys

from e2e.cluster.cache import Cache
from e2e.cluster.kubernetes import KUBERNETES
from porthole_client.cli.exits import Failure

ARTEFACTS = {artefact.name: artefact for artefact in (KUBERNETES,)}


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    parser.add_argument("command", choices=["build"])
    parser.add_argument("names", nargs="*", choices=[*ARTEFACTS, []], metavar="ARTEFACT")
    wanted = parser.parse_args()
    cache = Cache.of_this_user(lambda line: print(line, file=sys.stderr, flush=True))
    try:
        for name in wanted.names or ARTEFACTS:
            print(cache.obtain(ARTEFACTS[name]))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return int(failure.code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
