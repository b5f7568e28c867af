"""The console's own checks: its types, its tests, its build. A stage of `tests/run.py`."""

import sys
from pathlib import Path

from porthole_client.cli import checkout
from porthole_client.cli.exits import Failure
from porthole_client.cli.up import console


def _is_fresh(root: Path) -> bool:
    """Whether the types of the API's client are those of the API as it is described."""
    made = root / ".cache" / "schema.d.ts"
    command = ("openapi-typescript", "../openapi.json", "--default-non-nullable=false")
    console.run(root, "exec", "--", *command, "--output", str(made))
    committed = root / "control_plane" / "web" / "src" / "api" / "schema.d.ts"
    return made.read_text() == committed.read_text()


def main() -> int:
    """Run them; return the exit code."""
    root = checkout.need("porthole test")
    try:
        console.install(root)
        if not _is_fresh(root):
            print("src/api/schema.d.ts is old: run `npm run generate` in control_plane/web.")
            return 1
        for check in (("run", "check"), ("test",)):
            print(console.run(root, *check), flush=True)
        console.build(print)
    except Failure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
