"""The NetworkPolicy: nobody comes in but to the gate, and out goes what the template allows.

It is worth as much as the cluster's network plugin makes it worth; nothing rests on it alone.
"""

from typing import Any, Final

from porthole_contract.names import LABEL_SESSION
from porthole_contract.networks import NOT_INTERNET_4, NOT_INTERNET_6
from porthole_contract.template import Egress, EgressMode
from porthole_operator.desired.recipe import Recipe, metadata, shaped
from porthole_operator.status import GATE_PORT

_NAMESPACE: Final = "kubernetes.io/metadata.name"
_NAMES: Final[dict[str, Any]] = {
    "to": [{"namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
"""The cluster's own name servers, without which nothing else is of use."""


def network_policy(recipe: Recipe) -> dict[str, Any]:
    """Return the NetworkPolicy."""
    system = {"matchLabels": {_NAMESPACE: recipe.site.system_namespace}}
    return shaped(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(recipe),
            "spec": {
                "podSelector": {"matchLabels": {LABEL_SESSION: recipe.subject.name}},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {
                        "from": [{"namespaceSelector": system}],
                        "ports": [{"protocol": "TCP", "port": GATE_PORT}],
                    }
                ],
                "egress": egress(recipe.template.spec.egress),
            },
        }
    )


def egress(allowed: Egress) -> list[dict[str, Any]]:
    """Return the rules for what may be reached."""
    match allowed.mode:
        case EgressMode.NONE:
            return []
        case EgressMode.ALL:
            return [{}]
        case EgressMode.INTERNET:
            everything = (("0.0.0.0/0", NOT_INTERNET_4), ("::/0", NOT_INTERNET_6))
            return [
                _NAMES,
                {
                    "to": [
                        {"ipBlock": {"cidr": cidr, "except": list(excepted)}}
                        for cidr, excepted in everything
                    ]
                },
            ]
        case EgressMode.RULES:
            return [_NAMES, *(_rule(rule.cidr, rule.ports) for rule in allowed.rules)]


def _rule(cidr: str, ports: tuple[int, ...]) -> dict[str, Any]:
    rule: dict[str, Any] = {"to": [{"ipBlock": {"cidr": cidr}}]}
    if ports:
        rule["ports"] = [
            {"protocol": protocol, "port": port} for port in ports for protocol in ("TCP", "UDP")
        ]
    return rule
