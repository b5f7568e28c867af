"""`python -m e2e.freeze`: keeps this checkout as the release that it is from now on.

What users notice of it becomes a section of the change log.
"""

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path

from e2e.cluster.cache import Cache
from e2e.cluster.installing import CHART
from e2e.cluster.programs import HELM
from e2e.support.releases import FOLDER, Frozen
from porthole_client.cli.up import console
from porthole_images import wheel
from porthole_images.recipe import ROOT

CHANGES = ROOT / "changes"
LOG = ROOT / "CHANGELOG.md"
HEADING = "# Changes\n"
KINDS = {
    "feature": "New",
    "change": "Different",
    "fix": "Mended",
    "security": "Security",
    "removal": "Gone",
}


def section(version: str, date: dt.date, fragments: list[Path]) -> str:
    """Return the change log's section about a release: its fragments by kind, by name."""
    lines = [f"\n## {version}, {date}"]
    for kind, title in KINDS.items():
        told = [path for path in sorted(fragments) if path.name.endswith(f".{kind}.md")]
        if told:
            lines.append(f"\n### {title}\n")
            lines += [_item(path.read_text(encoding="utf-8")) for path in told]
    return "\n".join(lines) + "\n"


def _item(text: str) -> str:
    first, *more = text.strip().splitlines()
    return "\n".join((f"* {first}", *(f"  {line}" if line else "" for line in more)))


def main() -> int:
    """Write the release's folder; return the exit status."""
    console.build(print)
    version = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    made = Frozen(FOLDER / version)
    if made.folder.exists():
        print(f"{version} was released; raise the version in pyproject.toml and Chart.yaml first.")
        return 1
    made.folder.mkdir()
    wheel.build(made.folder)
    shutil.copyfile(ROOT / "requirements.lock", made.lock)
    helm = Cache.of_this_user(print).obtain(HELM) / "helm"
    subprocess.run([helm, "package", CHART, "--destination", made.folder], check=True)
    if not made.is_whole():
        shutil.rmtree(made.folder)
        print("The wheel and the chart are not of one version.")
        return 1
    fragments = [path for path in CHANGES.glob("*.md") if path.name != "README.md"]
    before = LOG.read_text(encoding="utf-8").removeprefix(HEADING) if LOG.exists() else ""
    today = dt.datetime.now(dt.UTC).date()
    LOG.write_text(HEADING + section(version, today, fragments) + before, encoding="utf-8")
    for path in fragments:
        path.unlink()
    print(f"{made.folder} is kept. Raise the version in pyproject.toml and in Chart.yaml now.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
