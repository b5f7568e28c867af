"""Writes `crds/` from the contract: `python -m tests.support.write_crds`.

Folded texts, no aliases, keys in the order in which the makers give them: a person reads
these files, and a change to them shows what changed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from porthole_contract.crd.kinds import kinds
from porthole_contract.crd.policies import Installation, policies

CRDS = Path(__file__).resolve().parents[2] / "crds"
_HEAD = "# Made by `python -m tests.support.write_crds`; change the contract, not this file.\n"


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def written() -> dict[Path, str]:
    """Return every file and what must be in it."""
    files = {CRDS / f"{kind['metadata']['name']}.yaml": text([kind]) for kind in kinds()}
    files[CRDS / "policies" / "policies.yaml"] = text(policies(Installation()))
    return files


def text(manifests: Iterable[dict[str, Any]]) -> str:
    """Return YAML documents as they are written."""
    documents = yaml.dump_all(
        list(manifests), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100
    )
    return _HEAD + documents


if __name__ == "__main__":
    for path, content in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
