"""A network namespace that reaches the outside by masquerade, and goes without a trace."""

import contextlib
import ipaddress
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_POOL = ipaddress.ip_network("10.213.0.0/16")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _free_net() -> ipaddress.IPv4Network:
    """Return a /30 that this machine has no route to but the default one."""
    known = _run("ip", "-4", "route", "show", "table", "all")
    for net in _POOL.subnets(new_prefix=30):
        if str(net.network_address) not in known:
            return net
    raise RuntimeError(f"All of {_POOL} is in use.")


@contextlib.contextmanager
def namespace() -> Iterator[Path]:
    """Make a network namespace with a way out; yield the path to enter it by.

    A sleeping process holds it, so nothing of it outlives this program.
    """
    outer, inner, table = (f"{kind}{os.getpid()}" for kind in ("fo", "fi", "fresh"))
    net = _free_net()
    here, there = list(net.hosts())
    forwarded = FORWARDING.read_text(encoding="ascii")
    with contextlib.ExitStack() as undo:
        holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
        )
        undo.callback(holder.wait)
        undo.callback(holder.kill)
        assert holder.stdout is not None
        holder.stdout.readline()  # it is inside by now
        inside = Path(f"/proc/{holder.pid}/ns/net")
        enter = ("nsenter", f"--net={inside}")
        peer = ("peer", "name", inner, "netns", str(holder.pid))
        _run("ip", "link", "add", outer, "type", "veth", *peer)
        _run("ip", "addr", "add", f"{here}/30", "dev", outer)
        _run("ip", "link", "set", outer, "up")
        _run(*enter, "ip", "addr", "add", f"{there}/30", "dev", inner)
        _run(*enter, "ip", "link", "set", inner, "up")
        _run(*enter, "ip", "route", "add", "default", "via", str(here))
        _run("nft", "add", "table", "ip", table)
        undo.callback(_run, "nft", "delete", "table", "ip", table)
        hook = "{ type nat hook postrouting priority 100; }"
        _run("nft", "add", "chain", "ip", table, "out", hook)
        _run("nft", "add", "rule", "ip", table, "out", "ip", "saddr", str(net), "masquerade")
        FORWARDING.write_text("1", encoding="ascii")
        undo.callback(FORWARDING.write_text, forwarded, encoding="ascii")
        yield inside
