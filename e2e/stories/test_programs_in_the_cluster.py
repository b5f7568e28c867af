"""A program looks at a desktop in a cluster and uses it."""

import io

import pytest
from PIL import Image

from e2e.support.installed import Installed
from porthole_client import Porthole
from porthole_client.models import Session

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]
TEXT = "Grüße — “日本語”, 5 €"


def test_a_desktop_in_the_cluster_is_seen_and_used(installed: Installed):
    with installed.client() as porthole:
        with porthole.sessions.running("desktop", name="driven") as session:
            _is_seen_and_used(porthole, session)
        porthole.sessions.wait_gone(session.id, timeout=60)


def _is_seen_and_used(porthole: Porthole, session: Session) -> None:
    desktop = porthole.desktop(session)
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
