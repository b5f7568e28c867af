"""What `./porthole` decides before there is an environment."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def script() -> ModuleType:
    loader = SourceFileLoader("porthole_script", str(ROOT / "porthole"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def settings(script: ModuleType, monkeypatch: pytest.MonkeyPatch, listing: str) -> dict[str, str]:
    monkeypatch.setattr(script, "run", lambda *_: listing)
    found: dict[str, str] = script.pip_settings(["pip"], {})
    return found


def test_pips_files_and_variables_are_one(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = (
        "global.index-url='https://mirror.example/simple'\n"
        "install.extra-index-url='\\nhttps://a.example\\nhttps://b.example'\n"
        "list.format='json'\n"
        ":env:.index-url='https://nearer.example/simple'\n"
    )
    assert settings(script, monkeypatch, listing) == {
        "index-url": "https://nearer.example/simple",
        "extra-index-url": "https://a.example https://b.example",
    }


def test_uv_is_told_what_pip_is_told(script: ModuleType, tmp_path: Path) -> None:
    told = script.uv_environment(
        {
            "index-url": "https://mirror.example/simple",
            "cert": "/etc/our.pem",
            "proxy": "http://proxy.example:3128",
            "find-links": f"{tmp_path} /not/there",
            "timeout": "60",
            "extra-index-url": "https://a.example https://b.example",
            "quiet": "1",
        },
        {"PATH": "/bin"},
    )
    assert told == {
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "SSL_CERT_FILE": "/etc/our.pem",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_HTTP_TIMEOUT": "60",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_is_set_for_uv_itself_wins(script: ModuleType) -> None:
    told = script.uv_environment(
        {"index-url": "https://pip.example"}, {"UV_DEFAULT_INDEX": "https://uv.example"}
    )
    assert told == {"UV_DEFAULT_INDEX": "https://uv.example"}


def test_one_package_of_a_lock_has_its_hashes(script: ModuleType) -> None:
    lines = script.pinned("tools.lock", "uv").splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 1
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])


def test_a_lock_that_changes_makes_the_environment_anew(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("requirements.lock", "tools.lock", "pyproject.toml", "porthole"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "STAMP", tmp_path / "stamp")
    first = script.wanted_stamp()
    assert not script.is_ready(first)
    (tmp_path / "stamp").write_text(first)
    assert script.is_ready(first)
    (tmp_path / "requirements.lock").write_text("y")
    assert not script.is_ready(script.wanted_stamp())


def test_an_old_python_is_refused_in_words(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.sys, "version_info", (3, 9))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed"):
        script.main()


def test_a_clone_of_somebody_else_is_refused_in_words(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = tmp_path / ".cache"
    taken.touch()  # who runs the tests may write anywhere
    monkeypatch.setattr(script, "CACHE", taken)
    with pytest.raises(SystemExit, match="in a clone of your own"):
        script.locked()
