"""Helm, as tests call it, and what it makes of the chart."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.cache import Cache
from e2e.cluster.programs import HELM

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "porthole"
NAMESPACE = "porthole-system"
RELEASE = "porthole"
KUBERNETES = "1.34.4"
"""Whose kinds a chart is rendered for when there is no cluster to ask."""

Manifest = dict[str, Any]


class Refused(AssertionError):
    """Helm said no; `str()` has its words."""


@dataclass(frozen=True)
class Helm:
    """The program, with its files in a folder of a test's own."""

    folder: Path

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> str:
        """Run helm and return what it printed.

        Raises:
            Refused: it failed.
        """
        program = Cache.of_this_user(print).obtain(HELM) / "helm"
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "HELM_CACHE_HOME": str(self.folder / "cache"),
                "HELM_CONFIG_HOME": str(self.folder / "config"),
                "HELM_DATA_HOME": str(self.folder / "data"),
                "KUBECONFIG": str(kubeconfig or self.folder / "none"),
            },
        )
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout

    def render(self, values: Manifest | None = None, *options: str) -> list[Manifest]:
        """Return every manifest of the chart, hooks included, as it is with these values."""
        file = self.folder / "values.yaml"
        file.write_text(yaml.safe_dump(values or {}), encoding="utf-8")
        place = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES)
        words = ("template", RELEASE, str(CHART), *place, "--values", str(file), *options)
        return [one for one in yaml.safe_load_all(self.run(*words)) if one]
