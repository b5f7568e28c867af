"""`python -m e2e.freeze`: keeps this checkout as the release that it is from now on."""

import shutil
import subprocess
import sys

from e2e.cluster.cache import Cache
from e2e.cluster.installing import CHART
from e2e.cluster.programs import HELM
from e2e.support.releases import FOLDER, Frozen
from porthole_client.cli.up import console
from porthole_images import wheel
from porthole_images.recipe import ROOT


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
    print(f"{made.folder} is kept.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
