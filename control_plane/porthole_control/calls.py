"""Which calls the API has, after its own description: paths, and the methods of each."""

import re
from functools import cache
from typing import cast

from fastapi import FastAPI

_PARAMETER = re.compile(r"\{[^}]+\}")


@cache
def _table(app: FastAPI) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    paths = cast("dict[str, dict[str, object]]", app.openapi()["paths"])
    # Fixed paths first: `/agents/enrol` is no agent.
    ordered = sorted(paths, key=lambda path: path.count("{"))
    return tuple(
        (
            re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(path)))),
            tuple(sorted(method.upper() for method in paths[path])),
        )
        for path in ordered
    )


def methods_of(app: FastAPI, path: str) -> tuple[str, ...]:
    """Return the methods with which a path is called, sorted; none if there is no such path."""
    return next((methods for known, methods in _table(app) if known.fullmatch(path)), ())
