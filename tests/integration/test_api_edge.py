"""The edge: hosts, sizes, headers, the console's files, probes, both ports of a real process."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from porthole_control import app as application
from porthole_control import console_files
from tests.support.control_plane import BASE, ControlPlane, a_control_plane
from tests.support.postgres import TestDatabase
from tests.support.processes import Process


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("LOCALHOST.:8080", 200),
        ("[::1]:8080", 200),
        ("10.1.2.3", 200),
        (socket.gethostname(), 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("", 421),
    ],
)
async def test_only_our_names_are_answered_to(control_plane: ControlPlane, host: str, status: int):
    answer = await control_plane.admin.get("/readyz", headers={"Host": host})
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["code"] == "wrong_host"


async def test_a_large_body_is_refused_however_it_comes(control_plane: ControlPlane):
    ten_megabytes = b'{"template": "' + b"x" * (10 << 20) + b'"}'
    whole = await control_plane.admin.post("/api/v1/sessions", content=ten_megabytes)
    assert (whole.status_code, whole.json()["code"]) == (413, "too_large")

    async def pieces():
        for _ in range(20):
            yield b"x" * (1 << 16)

    in_pieces = await control_plane.admin.post("/api/v1/sessions", content=pieces())
    assert (in_pieces.status_code, in_pieces.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"template": "desktop"}', "text/plain"),
        (b'{"template": "desktop"}', "application/xml"),
        (b"template=desktop", "application/x-www-form-urlencoded"),
        (b'{"template": "desktop", "nonsense": 1}', "application/json"),
        (b'{"template": "desktop@0"}', "application/json"),
        (b'{"template": "desktop", "env": [{"name": "A=B"}]}', "application/json"),
        (b'{"template": "desktop", "home": "a\\u0000"}', "application/json"),
        (b'{"template": "desktop", "home": "\\ud800"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"template": ' + b"1" * 5000 + b"}", "application/json"),
    ],
)
async def test_what_is_no_request_is_a_problem(
    control_plane: ControlPlane, content: bytes, kind: str
):
    answer = await control_plane.admin.post(
        "/api/v1/sessions", content=content, headers={"Content-Type": kind}
    )
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"invalid", "malformed"}
    assert answer.json()["detail"]


async def test_too_many_headers_are_refused(control_plane: ControlPlane):
    many = [(f"x-{number}", "1") for number in range(200)]
    assert (await control_plane.admin.get("/readyz", headers=many)).status_code == 431
    large = {"x-large": "x" * 40_000}
    assert (await control_plane.admin.get("/readyz", headers=large)).status_code == 431


async def test_every_answer_has_headers_for_browsers_and_an_id(control_plane: ControlPlane):
    for path in ("/readyz", "/api/v1/me", "/nothing/here", "/api/v1/nothing"):
        answer = await control_plane.admin.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-eval" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert len(answer.headers["x-request-id"]) == 32
    given = await control_plane.admin.get("/api/v1/nothing", headers={"X-Request-Id": "abc-12345"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "abc-12345"
    odd = await control_plane.admin.get("/readyz", headers={"X-Request-Id": "a b\tc"})
    assert odd.headers["x-request-id"] != "a b\tc"


async def test_the_consoles_page_alone_may_compile_webassembly(tmp_path: Path):
    for name in ("index.html", "one.js"):
        (tmp_path / name).write_text("")
    app = FastAPI()
    console_files.add_to(app, tmp_path)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as here:
        for path in ("/", "/index.html"):
            policy = (await here.get(path)).headers["content-security-policy"]
            assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert "content-security-policy" not in (await here.get("/one.js")).headers


async def test_methods_and_paths_that_are_not_there(control_plane: ControlPlane):
    missing = await control_plane.admin.get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = await control_plane.admin.put("/api/v1/sessions")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, POST"
    fixed = await control_plane.admin.patch("/api/v1/agents/enrol", json={})
    assert (fixed.status_code, fixed.headers["allow"]) == (405, "POST")
    odd = await control_plane.admin.patch("/api/v1/agents/not-an-id", json={})
    assert (odd.status_code, odd.json()["code"]) == (404, "not_found")
    slash = await control_plane.admin.get("/api/v1/sessions/")
    assert slash.status_code == 404


async def test_a_database_that_is_gone_is_said_and_comes_back(
    control_plane: ControlPlane, test_database: TestDatabase
):
    assert (await control_plane.admin.get("/readyz")).status_code == 200
    with test_database.server.admin() as admin:
        admin.execute(f"ALTER DATABASE {test_database.name} ALLOW_CONNECTIONS false")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [test_database.name],
        )
        try:
            control_plane.parts.guard.forget()
            answer = await control_plane.admin.get("/api/v1/sessions")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert "retry-after" in answer.headers
            assert (await control_plane.admin.get("/readyz")).status_code == 503
            assert (await control_plane.admin.get("/healthz")).status_code == 200
        finally:
            admin.execute(f"ALTER DATABASE {test_database.name} ALLOW_CONNECTIONS true")
    async with asyncio.timeout(10):
        while (await control_plane.admin.get("/api/v1/sessions")).status_code != 200:
            await asyncio.sleep(0.05)


async def test_the_consoles_files_are_served_and_nothing_else(
    test_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    console = tmp_path / "console"
    (console / "assets").mkdir(parents=True)
    (console / "index.html").write_text("<!doctype html>the console")
    (console / "assets" / "index-abc123.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(application, "CONSOLE", console)
    async with a_control_plane(test_database, tmp_path / "home") as running:
        client = running.admin
        index = await client.get("/")
        assert "the console" in index.text
        assert index.headers["cache-control"] == "no-cache"
        script = await client.get("/assets/index-abc123.js")
        assert "immutable" in script.headers["cache-control"]
        assert script.headers["content-type"].startswith("text/javascript")
        for path in ("/../secret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret", "/etc/passwd"):
            answer = await client.get(path)
            assert "secret" not in answer.text
            assert answer.status_code in {307, 404}, path
        led = await client.get("/sessions/abc")
        assert (led.status_code, led.headers["location"]) == (307, "/#/sessions/abc")
        for path in ("//evil.example", "/\\evil.example", "/%0d%0aSet-Cookie:a=b"):
            answer = await client.get(httpx.URL(BASE).copy_with(raw_path=path.encode()))
            location = answer.headers.get("location", "/#/")
            assert location.startswith("/#/"), path
            assert "set-cookie" not in answer.headers


async def test_a_console_that_was_not_built_says_so(
    test_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(application, "CONSOLE", tmp_path / "none")
    async with a_control_plane(test_database, tmp_path / "home") as running:
        answer = await running.admin.get("/")
        assert answer.status_code == 503
        assert "has not been built" in answer.text


@pytest.fixture
def process(test_database: TestDatabase, tmp_path: Path) -> Iterator[Process]:
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    tls_port = free.getsockname()[1]
    free.close()
    running = Process(test_database, tmp_path / "home", PORTHOLE_LISTEN=f"127.0.0.1:{tls_port}")
    running.tls_port = tls_port  # type: ignore[attr-defined]
    try:
        yield running
    finally:
        running.close()


def test_a_process_serves_its_three_ports_and_ends_in_good_order(process: Process):
    process.start()
    public = f"http://127.0.0.1:{process.port}"
    assert httpx.get(f"{public}/metrics", follow_redirects=False).status_code in {307, 503}
    internal = process.home / "run" / "control-plane.sock"
    assert internal.stat().st_mode & 0o777 == 0o600
    metrics_token = (process.home / "secrets" / "metrics-token").read_text().strip()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(internal))) as client:
        assert client.get("http://internal/readyz").json() == {"status": "ready"}
        assert client.get("http://internal/metrics").status_code == 401
        answer = client.get(
            "http://internal/metrics", headers={"Authorization": f"Bearer {metrics_token}"}
        )
        assert "porthole_http_request_seconds" in answer.text
        assert 'porthole_sessions{phase="Running"} 0.0' in answer.text
    # TLS with a certificate that it made, whose fingerprint a join token carries.
    token = (process.home / "secrets" / "admin-token").read_text().strip()
    authorization = {"Authorization": f"Bearer {token}"}
    made = httpx.post(
        f"{public}/api/v1/agents/join-tokens", json={"name": "one"}, headers=authorization
    ).json()
    certificate = process.home / "secrets" / "tls-certificate.pem"
    trusting = ssl.create_default_context(cafile=str(certificate))
    secure = made["url"]
    assert secure == f"https://127.0.0.1:{process.tls_port}"  # type: ignore[attr-defined]
    assert made["token"].endswith(f".{made['fingerprint']}")
    with httpx.Client(verify=trusting) as client:
        assert client.get(f"{secure}/readyz").headers["strict-transport-security"]
        url = client.post(f"{secure}/api/v1/sign-in-links", headers=authorization).json()["url"]
        assert url.startswith(f"{secure}/#/"), "back the way it was asked for"
        answer = client.post(
            f"{secure}/api/v1/sign-in", json={"token": url.rpartition("token=")[2]}
        )
        assert "__Host-porthole-" in answer.headers["set-cookie"]
        assert "Secure" in answer.headers["set-cookie"]
    assert process.stop() == 0
    log = process.log.read_text()
    for secret in (token, metrics_token, made["token"], url.rpartition("=")[2]):
        assert secret not in log


def test_a_port_in_use_is_said_in_a_sentence(process: Process):
    process.start()
    command = [sys.executable, "-m", "porthole_control", "--port", str(process.port)]
    second = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=process._environment,
        timeout=30,
    )
    assert second.returncode == 1
    assert f"port {process.port} cannot be listened on" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_setting_that_is_none_is_said_in_a_sentence():
    environment = {**os.environ, "PORTHOLE_PORT": "no", "PORTHOLE_LISTEN": "example"}
    done = subprocess.run(
        [sys.executable, "-m", "porthole_control"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
    )
    assert done.returncode == 2
    assert "PORTHOLE_PORT" in done.stderr
    assert "PORTHOLE_LISTEN" in done.stderr
    assert "Traceback" not in done.stderr


async def test_it_can_be_served_below_a_path(
    test_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A proxy may leave the path on what it passes on, or take it off."""
    built = tmp_path / "console"
    built.mkdir()
    (built / "index.html").write_text("the console")
    monkeypatch.setattr(application, "CONSOLE", built)
    public = "https://desks.example/porthole"
    async with a_control_plane(test_database, tmp_path / "home", public_url=public) as below:
        past = {"Host": "desks.example"}
        for path in ("/porthole/api/v1/me", "/api/v1/me"):
            assert (await below.admin.get(path, headers=past)).json()["name"] == "admin"
        for path in ("/porthole/", "/"):
            assert (await below.admin.get(path, headers=past)).text == "the console"
        for path, there in (
            ("/porthole", "/porthole/"),
            ("/porthole/sessions", "/porthole/#/sessions"),
            ("/portholes", "/porthole/#/portholes"),
        ):
            assert (await below.admin.get(path, headers=past)).headers["location"] == there
        made = await below.admin.post("/porthole/api/v1/sign-in-links", headers=past)
        assert made.json()["url"].startswith(f"{public}/#/sign-in?token=")


async def test_an_administrators_token_can_be_given(test_database: TestDatabase, tmp_path: Path):
    """Replicas have no folder in common: what they are given is one and the same."""
    given = tmp_path / "token"
    given.write_text(f"pht_{'a' * 32}_{'b' * 64}\n")
    for _ in range(2):
        async with (
            a_control_plane(
                test_database, tmp_path / "home", administrator_token_file=given
            ) as running,
            running.client(given.read_text().strip()) as client,
        ):
            assert (await client.get("/api/v1/me")).json()["name"] == "admin"
    assert not (tmp_path / "home" / "secrets" / "admin-token").exists()
