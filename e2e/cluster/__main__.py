"""`porthole cluster`, for those who work on Porthole: `python -m e2e.cluster --help`."""

import argparse
import contextlib
import re
import shlex
import socket
import sys
from argparse import Namespace
from pathlib import Path

from e2e.cluster import installing
from e2e.cluster.artefacts import ALL, obtain_for_a_cluster
from e2e.cluster.cache import Cache
from e2e.cluster.cluster import Cluster
from e2e.cluster.config import DEFAULT_NAME, MOST_NODES, Wanted
from e2e.cluster.record import Up
from porthole_client.cli.exits import Exit, Failure


def main() -> int:
    """Run the command; return its exit status."""
    asked = _parser().parse_args()
    cache = Cache.of_this_user(lambda line: print(line, file=sys.stderr, flush=True))
    try:
        asked.run(cache, asked)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return int(failure.code)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    return int(Exit.OK)


def _up(cache: Cache, asked: Namespace) -> None:
    cluster = Cluster(asked.name, cache)
    with cluster.held():
        ports = dict(asked.port)
        if not asked.bare and installing.CONSOLE not in ports.values():
            ports[_port_for_console(cluster)] = installing.CONSOLE
        cluster.up(Wanted(asked.name, asked.nodes, ports))
        if not asked.bare:
            _say_where(cluster, installing.install(cluster, cache))


def _port_for_console(cluster: Cluster) -> int:
    """Return the port that it has already, or the usual one, or a free one."""
    found = Up.read(cluster.place)
    if found is not None:
        return installing.console_port(cluster)
    for port in (installing.USUAL_PORT, 0):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            return int(tried.getsockname()[1])
    raise Failure("There is no free port on 127.0.0.1.")


def _install(cache: Cache, asked: Namespace) -> None:
    cluster = Cluster(asked.name, cache)
    with cluster.held():
        _say_where(cluster, installing.install(cluster, cache))


def _say_where(cluster: Cluster, link: str) -> None:
    name = "" if cluster.name == DEFAULT_NAME else f" --name {cluster.name}"
    print(f"Porthole is on cluster {cluster.name}. This link signs you in, once:\n\n  {link}\n")
    print("Its certificate was made there, so the browser asks before it goes on. For kubectl:\n")
    print(f'  eval "$(./porthole cluster env{name})"\n  kubectl get sessions -A')


def _down(cache: Cache, asked: Namespace) -> None:
    cluster = Cluster(asked.name, cache)
    with cluster.held():
        cluster.down()


def _env(cache: Cache, asked: Namespace) -> None:
    for name, value in Cluster(asked.name, cache).environment().items():
        print(f"export {name}={shlex.quote(value)}")


def _load(cache: Cache, asked: Namespace) -> None:
    for archive in asked.archives:
        Cluster(asked.name, cache).load(archive)


def _build(cache: Cache, asked: Namespace) -> None:
    if not asked.names:
        obtain_for_a_cluster(cache)
    for name in asked.names or ALL:
        print(cache.obtain(ALL[name]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="porthole cluster", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="make the cluster, unless it is there")
    up.set_defaults(run=_up)
    up.add_argument("--nodes", type=_nodes, default=2)
    up.add_argument("--bare", action="store_true")
    up.add_argument("--port", type=_ports, action="append", default=[], metavar="HERE:NODEPORT")
    install = commands.add_parser("install", help="bring Porthole on it up to date")
    install.set_defaults(run=_install)
    down = commands.add_parser("down", help="take it down")
    down.set_defaults(run=_down)
    env = commands.add_parser("env", help="print what a shell needs to reach it")
    env.set_defaults(run=_env)
    load = commands.add_parser("load", help="put images onto its nodes")
    load.set_defaults(run=_load)
    load.add_argument("archives", nargs="+", type=Path)
    for command in (up, install, down, env, load):
        command.add_argument("--name", type=_name, default=DEFAULT_NAME)
    build = commands.add_parser("build", help="see to it that artefacts are there")
    build.set_defaults(run=_build)
    build.add_argument("names", nargs="*", choices=[*ALL, []], metavar="ARTEFACT")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,29}", text):
        raise argparse.ArgumentTypeError("up to 30 small letters, digits and hyphens")
    return text


def _nodes(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_NODES:
        raise argparse.ArgumentTypeError(f"a cluster has 1 to {MOST_NODES} nodes")
    return number


def _ports(text: str) -> tuple[int, int]:
    here, _, inside = text.partition(":")
    return int(here), int(inside)


if __name__ == "__main__":
    sys.exit(main())
