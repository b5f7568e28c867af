"""`porthole cluster`: a real Kubernetes cluster on this machine, for those who work on Porthole.

What makes it lies in the checkout (`e2e/cluster`) and is run from there.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from porthole_client.cli import checkout

app = typer.Typer(no_args_is_help=True, help="A Kubernetes cluster on this machine, by kind.")

Name = Annotated[str, typer.Option(help="The cluster's name.")]
_NAME = "porthole"


@app.command()
def up(
    name: Name = _NAME,
    nodes: Annotated[int, typer.Option(min=1, max=5, help="Pods may run on all of them.")] = 2,
    port: Annotated[
        list[str] | None,
        typer.Option(metavar="HERE:NODEPORT", help="Lead a port of 127.0.0.1 to a node port."),
    ] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Make the cluster alone.")] = False,
) -> None:
    """Make the cluster with Porthole on it, and print a link.

    One that is there is taken as it is.

    With Docker and images that can be pulled it is kind as everybody uses it. Where nothing can
    be pulled, engine and node image are built here, once: about ten minutes of two cores.
    """
    ports = [word for one in port or () for word in ("--port", one)]
    alone = ["--bare"] if bare else []
    _become("up", "--name", name, "--nodes", str(nodes), *ports, *alone)


@app.command()
def install(name: Name = _NAME) -> None:
    """Put this checkout's Porthole on the cluster.

    It takes the place of what is there; a link to it is printed.
    """
    _become("install", "--name", name)


@app.command()
def down(name: Name = _NAME) -> None:
    """Take the cluster down; nothing of it is left but what was built."""
    _become("down", "--name", name)


@app.command()
def env(name: Name = _NAME) -> None:
    """Print what a shell needs: `eval "$(./porthole cluster env)"`."""
    _become("env", "--name", name)


@app.command()
def load(
    archives: Annotated[
        list[Path], typer.Argument(metavar="IMAGE.tar", help="As `docker save` writes them.")
    ],
    name: Name = _NAME,
) -> None:
    """Put images onto every node of the cluster."""
    _become("load", "--name", name, *(str(archive.resolve()) for archive in archives))


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="What to build: all, if nothing is named.")
    ] = None,
) -> None:
    """Build what a cluster is made of, and print where it lies."""
    _become("build", *(names or ()))


def _become(*words: str) -> None:
    root = checkout.need(f"porthole cluster {words[0]}")
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "e2e.cluster", *words])
