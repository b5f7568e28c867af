"""Writes what the chart has from elsewhere: `python -m tests.support.write_chart`.

A chart cannot look outside of its folder, so the kinds, the admission policies, the rights
and the built-in templates are copied into `helm/porthole/files`, each from the one place
where it is decided.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from porthole_agent.runtimes.kubernetes import rights as agent_rights
from porthole_contract.cluster import Scope
from porthole_contract.crd.kinds import kinds
from porthole_contract.crd.policies import Installation, policies
from porthole_contract.template import SessionTemplate
from porthole_operator import rights as operator_rights

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "helm" / "porthole" / "files"
TEMPLATES = ROOT / "agent" / "porthole_agent" / "runtimes" / "local" / "templates"
_HEAD = "# Made by `python -m tests.support.write_chart`; change {}, not this file.\n"

SYSTEM = "RELEASE-NAMESPACE"
SESSIONS = "SESSION-NAMESPACES"
"""What the chart's templates put their own words for."""

IMAGES = {
    "desktop": "desktop-vnc",
    "browser": "desktop-browser",
    "rdp": "desktop-rdp",
    "dual": "desktop-rdp",
}
"""The image of each built-in template; the operator knows where images of ours come from."""
_SANDBOXED = ("chromium",)
"""Programs with a sandbox of their own, which a pod under `restricted` does not allow them:
there, the pod is the boundary."""


def written() -> dict[Path, str]:
    """Return every file and what must be in it."""
    files = {
        FILES / "crds" / f"{kind['metadata']['name']}.yaml": _text("the contract", kind)
        for kind in kinds()
    }
    account = f"system:serviceaccount:{SYSTEM}:porthole"
    place = Installation(
        namespaces=(SESSIONS,), agent=f"{account}-agent", operator=f"{account}-operator"
    )
    files[FILES / "policies.yaml"] = _text("the contract", *policies(place))
    agent = {str(scope): agent_rights.rules(scope) for scope in Scope}
    files[FILES / "rights" / "agent.yaml"] = _text("runtimes/kubernetes/rights.py", agent)
    operator = {str(scope): operator_rights.rules(scope) for scope in Scope}
    files[FILES / "rights" / "operator.yaml"] = _text("porthole_operator/rights.py", operator)
    for name, image in IMAGES.items():
        files[FILES / "templates" / f"{name}.yaml"] = _text(
            "agent/porthole_agent/runtimes/local/templates", in_a_cluster(name, image)
        )
    return files


def in_a_cluster(name: str, image: str) -> dict[str, Any]:
    """Return a built-in template as it is in a cluster: an image instead of packages."""
    path = TEMPLATES / f"{name}.yaml"
    manifest: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    spec = manifest["spec"]
    del spec["packages"]
    sandboxed = [one for one in spec["programs"] if one["command"][0] in _SANDBOXED]
    for program in sandboxed:
        program["command"].insert(1, "--no-sandbox")
    if sandboxed:
        spec["description"] = (
            "The desktop with Chromium, which opens with it. Its boundary is the pod."
        )
    manifest["spec"] = {"title": spec.pop("title"), "image": image, **spec}
    SessionTemplate.from_manifest(manifest)
    return manifest


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _text(where: str, *manifests: Mapping[str, Any]) -> str:
    documents = yaml.dump_all(
        manifests, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100
    )
    return _HEAD.format(where) + documents


if __name__ == "__main__":
    for path, content in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
