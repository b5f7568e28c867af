"""The source tree, where there is one: developers' commands and the console's build need it."""

from pathlib import Path

from porthole_client.cli.exits import Exit, Failure


def find() -> Path | None:
    """Return the root of the checkout that this package runs from, or None."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "porthole").is_file() and (root / "pyproject.toml").is_file() else None


def need(what: str) -> Path:
    """Return the root of the checkout.

    Args:
        what: the command that needs it, for the sentence.

    Raises:
        Failure: Porthole is installed without its sources.
    """
    root = find()
    if root is None:
        raise Failure(
            f"`{what}` is for people who work on Porthole. Clone its repository and run"
            f" `./{what}` there.",
            Exit.USAGE,
        )
    return root
