"""A program looks at a desktop in a cluster and uses it."""

import io
import time

import pytest
from PIL import Image

from e2e.support.installed import Installed
from porthole_client import Porthole
from porthole_client.models import Session
from porthole_contract.lifecycle import Phase

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]
TEXT = "Grüße — “日本語”, 5 €"


def test_a_desktop_in_the_cluster_is_seen_and_used_and_its_files_while_it_sleeps(
    installed: Installed,
):
    with installed.client() as porthole:
        with porthole.sessions.running("desktop", name="driven", home="driven") as session:
            _is_seen_and_used(porthole, session)
            _lends_its_files_while_it_sleeps(porthole, session)
        porthole.sessions.wait_gone(session.id, timeout=60)
        home = next(home for home in porthole.homes.list() if home.name == "driven")
        porthole.homes.delete(home.id)


def _is_seen_and_used(porthole: Porthole, session: Session) -> None:
    desktop = porthole.desktop(session)
    desktop.wait_window("Terminal", within=60)
    desktop.wait_still()
    before = desktop.screenshot()
    assert Image.open(io.BytesIO(before)).width > 640
    desktop.click(400, 250)
    desktop.type(f"echo '{TEXT}'\n")
    desktop.wait_still()
    assert desktop.screenshot() != before
    desktop.copy(TEXT)
    assert desktop.clipboard() == TEXT
    kinds = {event.kind for event in porthole.sessions.events(session.id)}
    assert {"PictureTaken", "InputSent", "ClipboardRead", "ClipboardWritten"} <= kinds


def _lends_its_files_while_it_sleeps(porthole: Porthole, session: Session) -> None:
    sessions, kept = porthole.sessions, bytes(range(256)) * 4096
    with sessions.files(session.id) as files:
        files.write("kept", kept)
    ran = sessions.exec(session.id, ["sh", "-c", "cksum < kept; id -u; exit 3"])
    assert (ran.exit_code, ran.stdout.split()[1:]) == (3, [b"1048576", b"1000"])
    sessions.hibernate(session.id)
    sessions.wait_phase(session.id, Phase.HIBERNATED, timeout=60)
    begun = time.monotonic()
    with sessions.files(session.id) as files:
        assert files.read("kept") == kept
        print(f"files of one that sleeps after {time.monotonic() - begun:.1f} s")
        files.write("more", b"put in meanwhile")
    # A start does not wait until nobody uses them.
    begun = time.monotonic()
    sessions.wake(session.id)
    sessions.wait_ready(session.id, timeout=60)
    print(f"awake {time.monotonic() - begun:.1f} s after it was asked to be")
    with sessions.files(session.id) as files:
        assert files.read("more") == b"put in meanwhile"
