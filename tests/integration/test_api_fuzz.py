"""Every call of the API's description, tried with what it allows and with what it does not.

A bounded form of `schemathesis run`: the same checks, fewer examples, on the whole
application with sessions, agents, homes and templates in it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.test_api_edge import Process
from tests.support.postgres import TestDatabase

EXAMPLES = "4"
SEED = "20240607"


@pytest.fixture
def server(test_database: TestDatabase, tmp_path: Path) -> Iterator[Process]:
    running = Process(test_database, tmp_path / "home")
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.mark.timeout(300)
def test_the_description_is_kept(server: Process, tmp_path: Path):
    base = f"http://127.0.0.1:{server.port}"
    token = (server.home / "secrets" / "admin-token").read_text().strip()
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}) as client:
        for path, body in (
            ("templates", {"name": "mine", "spec": {"title": "Mine"}}),
            ("sessions", {"template": "mine", "home": "work"}),
            ("agents/join-tokens", {"name": "one"}),
        ):
            client.post(f"/api/v1/{path}", json=body).raise_for_status()
    # The token stands in a file: what is in a command line, every user of the machine reads.
    (tmp_path / "schemathesis.toml").write_text(
        f'headers = {{ Authorization = "Bearer {token}" }}\n'
        f"continue-on-failure = true\nseed = {SEED}\n"
        f"[generation]\nmax-examples = {EXAMPLES}\n"
        # A session that was ended stays to be seen, with why and when: that is a promise.
        "[checks]\nuse_after_free.enabled = false\n"
        # The calls that would end the tester's own rights.
        '[[operations]]\ninclude-name = "DELETE /api/v1/tokens/{token_id}"\nenabled = false\n'
    )
    tried = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run"),
            f"{base}/api/v1/openapi.json",
            "--phases=examples,coverage,fuzzing,stateful",
            "--request-timeout=20",
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "hypothesis")},
    )
    assert tried.returncode == 0, tried.stdout[-60000:] + tried.stderr[-2000:]
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    assert [one for one in events if one["level"] == "error"] == []
    assert token not in server.log.read_text()
