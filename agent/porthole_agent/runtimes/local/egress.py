"""What a session's programs may reach, as a ruleset for nftables (pure).

The rules are loaded into the session's own network namespace before its desktop begins, and
nothing in the desktop may change them. slirp4netns carries what passes; it is told not to
carry anything to this machine's loopback, whatever the rules say.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, ip_network
from typing import Final

from porthole_contract.networks import NOT_INTERNET_4, NOT_INTERNET_6
from porthole_contract.template import Egress, EgressMode, EgressRule

NAMESERVER: Final = "10.0.2.3"
"""slirp4netns's own, which asks this machine's."""


def ruleset(egress: Egress, this_machine: Iterable[str]) -> str:
    """Return the ruleset for a session.

    Args:
        egress: the template's.
        this_machine: addresses of this machine, which are refused wherever private ones
            are: services here may listen on all of them.
    """
    body = "\n".join(f"    {line}" for line in _lines(egress, tuple(this_machine)))
    return (
        "table inet porthole {\n"
        "  chain output {\n"
        "    type filter hook output priority 0; policy drop;\n"
        '    oifname "lo" accept\n'
        "    ct state established,related accept\n"
        f"{body}\n"
        "  }\n"
        "  chain input {\n"
        "    type filter hook input priority 0; policy drop;\n"
        '    iifname "lo" accept\n'
        "    ct state established,related accept\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority 0; policy drop;\n"
        "  }\n"
        "}\n"
    )


def _lines(egress: Egress, this_machine: Sequence[str]) -> list[str]:
    refuse = "reject with icmpx admin-prohibited"
    if egress.mode is EgressMode.NONE:
        return [refuse]
    names = [
        f"ip daddr {NAMESERVER} udp dport 53 accept",
        f"ip daddr {NAMESERVER} tcp dport 53 accept",
    ]
    match egress.mode:
        case EgressMode.ALL:
            return [*names, "accept"]
        case EgressMode.RULES:
            return [*names, *(line for rule in egress.rules for line in _rule(rule)), refuse]
        case EgressMode.INTERNET:
            mine_4 = sorted(a for a in this_machine if ":" not in a)
            mine_6 = sorted(a for a in this_machine if ":" in a)
            return [
                *names,
                *(f"ip daddr {network} {refuse}" for network in (*NOT_INTERNET_4, *mine_4)),
                *(f"ip6 daddr {network} {refuse}" for network in (*NOT_INTERNET_6, *mine_6)),
                "accept",
            ]


def _rule(rule: EgressRule) -> list[str]:
    network = ip_network(rule.cidr, strict=False)
    family = "ip" if isinstance(network, IPv4Network) else "ip6"
    if not rule.ports:
        return [f"{family} daddr {network} accept"]
    ports = ", ".join(str(port) for port in sorted(set(rule.ports)))
    return [
        f"{family} daddr {network} tcp dport {{ {ports} }} accept",
        f"{family} daddr {network} udp dport {{ {ports} }} accept",
    ]
