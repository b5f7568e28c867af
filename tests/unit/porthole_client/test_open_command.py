"""Which way `porthole open` goes, before anything is asked of anybody."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from porthole_client.cli.desk import Desk
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.command import open_
from porthole_client.errors import Nowhere


def opened(which: str, desk: Desk | None = None, **given: Any) -> None:
    options = {"context": None, "kubeconfig": None, "namespace": None}
    more = {"view": False, "no_browser": True, "timeout": 1.0}
    open_(desk or Desk(), which, **{**options, **more, **given})


def test_a_name_alone_is_a_session_of_the_control_plane(tmp_path: Path) -> None:
    with pytest.raises(Nowhere, match="porthole up"):
        opened("x", Desk(home=tmp_path))


@pytest.mark.parametrize("given", [{"context": "c"}, {"namespace": "n"}])
def test_naming_a_cluster_means_one(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for which, more in (("x", given), ("session/x", {})):
        with pytest.raises(Failure, match="There is no kubeconfig") as failed:
            opened(which, **more)
        assert failed.value.code is Exit.NOT_FOUND


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    for which, desk, given in (
        ("x", Desk(home=tmp_path), {"view": True}),
        ("session/x", Desk(server="https://desktops.example"), {}),
        ("pod/x", Desk(), {}),
    ):
        with pytest.raises(Failure) as failed:
            opened(which, desk, **given)
        assert failed.value.code is Exit.USAGE


def test_without_the_kubernetes_client_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['kubernetes'] = None; sys.argv[1:] = ['open', 'session/x'];"
        "from porthole_client.cli import main; main()"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'porthole[client,kubernetes]'" in done.stderr
    assert "Traceback" not in done.stderr
