"""From a kubeconfig to a desktop in the browser: the order of it all, until Ctrl-C."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import typer

from porthole_client.cli import links
from porthole_client.cli.exits import Exit
from porthole_client.cli.open import kubeconfig as kubeconfigs
from porthole_client.cli.open import page
from porthole_client.cli.open.cluster import Cluster
from porthole_client.cli.open.desktop import Desktop
from porthole_client.cli.open.forward import PortForward
from porthole_client.cli.output import Form, Output
from porthole_client.cli.up import console
from porthole_contract.stream.channels import Mode


def show(
    out: Output,
    name: str,
    *,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    watch_only: bool,
    browser: bool,
    within: float,
) -> None:
    """Show a session of a cluster until somebody ends this.

    Args:
        out: where the link and the news go.
        name: of the Session.
        kubeconfig: the file to read; None: as kubectl does.
        context: of the kubeconfig; None: its current one.
        namespace: of the session; None: the context's.
        watch_only: nothing is typed.
        browser: it is opened, if there is one.
        within: seconds to wait for the session to be ready.

    Raises:
        Failure: it cannot be shown; the sentence says what to do.
    """
    files = kubeconfigs.files(kubeconfig)
    chosen = kubeconfigs.Kubeconfig(files, context=context, namespace=namespace)

    async def work(stopped: asyncio.Event) -> None:
        async with Cluster(chosen) as cluster:
            desktop = Desktop(cluster, PortForward(cluster), name, watch_only=watch_only)
            await _unless(stopped, prepare(desktop, out, within))
            await asyncio.to_thread(console.build, out.note)
            async with page.served(desktop, lambda news: out.note(f"{name}: {news}")) as link:
                with tempfile.TemporaryDirectory(prefix="porthole-open-") as private:
                    _announce(out, name, link, Path(private) if browser else None)
                    await stopped.wait()

    asyncio.run(_until_told(work))


async def prepare(desktop: Desktop, out: Output, within: float) -> None:
    """Wait until a session can be looked at, and prove that it can be from here.

    Raises:
        Failure: it cannot.
    """
    with out.waiting(f"session/{desktop.name} in {desktop.where.context}") as tell:
        await desktop.ready(within, tell)
        tell("asking the operator for a ticket")
        opening = await desktop.ticket(Mode.VIEW)
        tell(f"reaching the gate in pod {opening.pod}")
        await desktop.check_way(opening)


def _announce(out: Output, name: str, link: str, private: Path | None) -> None:
    if out.form is Form.JSON:
        out.json({"session": name, "url": link})
        sys.stdout.flush()
        return
    opened = private is not None and links.open_in_browser(link, private)
    if opened:
        print(f"Session {name} is in the browser. Should it not be there, this link is good once:")
    else:
        print(f"This link shows session {name}. It is good once, on this machine:")
    print(f"\n    {link}\n\nCtrl-C here ends the view; the session goes on.", flush=True)


async def _until_told(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # elsewhere Ctrl-C ends it less gently
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, stopped.set)
    await work(stopped)


async def _unless(stopped: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do something unless we are told to end.

    Raises:
        typer.Exit: we are.
    """
    doing, told = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise typer.Exit(Exit.INTERRUPTED)
        doing.result()
    finally:
        for task in (doing, told):
            task.cancel()
        await asyncio.gather(doing, told, return_exceptions=True)
