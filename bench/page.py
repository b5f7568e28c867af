"""`python -m bench.page`: write the table of `results.json` into `docs/benchmarks.md`."""

import json
from pathlib import Path
from typing import Any

from bench.figures import RESULTS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_BEGIN = "<!-- table: made by `python -m bench.page` -->\n"
_END = "<!-- end of table -->\n"
_GOALS = {"ratio": "{sign} {goal:g} times", "value": "{sign} {goal:g} {unit}"}


def page(text: str, figures: dict[str, Any]) -> str:
    """Return the page with the table of these figures."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = ["| figure | measured | baseline | goal | |", "|---|---|---|---|---|"]
    for one in figures.values():
        sign = "≥" if one["better"] == "more" else "≤"
        goal = ""
        if one["goal"] is not None:
            goal = _GOALS.get(one["judged"], "{sign} {goal:g} {unit} more").format(sign=sign, **one)
        measured = f"{one['value']:,.1f} {one['unit']}"
        baseline = f"{one['baseline']:,.1f} {one['unit']}: {one['against']}"
        met = {True: "met", False: "**not met**", None: ""}[one["met"]]
        rows.append(f"| {one['name']} | {measured} | {baseline} | {goal} | {met} |")
    seen = sorted({(one["measured_at"][:10], one["machine"]) for one in figures.values()})
    told = "; ".join(f"{day} on {machine}" for day, machine in seen)
    table = "\n".join(["", *rows, "", f"Measured {told}.", ""])
    return f"{before}{_BEGIN}{table}\n{_END}{after}"


def fresh() -> str:
    """Return the page as it should be."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
    return page(PAGE.read_text(encoding="utf-8"), figures)


def write() -> None:
    """Bring the page up to date."""
    PAGE.write_text(fresh(), encoding="utf-8")


if __name__ == "__main__":
    write()
