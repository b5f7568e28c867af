"""Networks that are not the internet: what `egress: internet` does not let a desktop reach."""

from typing import Final

NOT_INTERNET_4: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""This network, private, shared (carriers' NAT), loopback, link-local, for documentation and
for benchmarks, multicast, reserved and broadcast."""

NOT_INTERNET_6: Final = (
    "::/8",  # unspecified, loopback, IPv4-mapped
    "64:ff9b::/32",  # NAT64: private IPv4 in disguise
    "100::/64",
    "2001::/23",  # Teredo and its neighbours
    "2002::/16",  # 6to4
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
