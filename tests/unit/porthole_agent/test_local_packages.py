"""Packages that templates need, with an apt-get that takes its time."""

import asyncio
from pathlib import Path

import pytest

from porthole_agent.runtimes.local import processes
from porthole_agent.runtimes.local.packages import Packages
from porthole_contract.template import SessionTemplateSpec
from tests.support.waiting import until

SLOW = """#!/bin/sh
echo begun > {folder}/begun
while [ ! -e {folder}/go ]; do sleep 0.01; done
echo unpacked
echo configured > {folder}/configured
"""


async def test_an_installation_goes_on_when_its_agent_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(SLOW.format(folder=tmp_path))
    apt.chmod(0o755)
    path = f"{tmp_path}:{processes.ENVIRONMENT['PATH']}"
    monkeypatch.setitem(processes.ENVIRONMENT, "PATH", path)
    packages = Packages(may_install=True, changed=lambda: None)
    wanted = SessionTemplateSpec(title="Any", packages=("no-such-package",))
    obstacle = await packages.obstacle(wanted, install=True)
    assert obstacle is not None
    assert obstacle.reason == "InstallingPackages"
    await until((tmp_path / "begun").exists)
    async with asyncio.timeout(5):
        await packages.close()
    (tmp_path / "go").touch()
    await until((tmp_path / "configured").exists)
