"""Rules of the house that no linter knows; each says why it is one."""

import re
import subprocess
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]

# Put together here, so that this file is no exception to its own rule.
REGISTRIES = (
    *(f"{name}.org" for name in ("pypi", "test.pypi", "debian", "npmjs")),
    *(f"{name}.com" for name in ("npmjs", "yarnpkg")),
    *(f"{name}.io" for name in ("docker", "quay", "ghcr", "gcr")),
    "pythonhosted" + ".org",
    "proxy.golang" + ".org",
)
PROSE = {".md", ".py", ".sh", ".ts", ".svelte", ".yaml", ".yml", ".toml"}


@cache
def committed() -> tuple[Path, ...]:
    """Return the files that are in the repository, and those about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return tuple(path for path in paths if path.is_file())


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_the_operators_room_never_becomes_a_package() -> None:
    """As a package it would shadow the standard library's `operator`."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's configuration, not ours."""
    named = re.compile("|".join(rf"\b{re.escape(host)}\b" for host in REGISTRIES))
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed()
        if (match := named.search(text_of(path)))
    ]
    assert found == []


@pytest.mark.parametrize("lock", ["requirements.lock", "tools.lock"])
def test_a_lock_has_hashes_and_no_hosts(lock: str) -> None:
    """What is installed is the bytes that were chosen, wherever they come from."""
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    without = [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]
    assert without == []


def _locked(lock: str) -> dict[str, str]:
    return {
        canonicalize_name(match[1]): match[2]
        for match in re.finditer(
            r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / lock).read_text(), re.MULTILINE
        )
    }


def test_the_locks_have_what_the_project_asks_for() -> None:
    """A dependency that is not locked would be missing after `git clone`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [
        ("requirements.lock", requirement)
        for requirement in (
            *project["project"]["dependencies"],
            *(
                one
                for extra in project["project"]["optional-dependencies"].values()
                for one in extra
            ),
            *groups["dev"],
        )
    ]
    wanted += [("tools.lock", requirement) for requirement in groups["tools"]]
    short = []
    for lock, text in wanted:
        requirement = Requirement(text)
        if requirement.name == project["project"]["name"]:
            continue
        version = _locked(lock).get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            short.append(f"{lock}: {text} (has {version})")
    assert short == [], "export the locks again, as CONTRIBUTING.md says"


def test_every_lint_rule_that_is_off_says_why() -> None:
    """A rule without its reason cannot be turned on again, for nobody knows who needs it."""
    inside, silent = False, []
    for number, line in enumerate((ROOT / "pyproject.toml").read_text().splitlines(), 1):
        if line.startswith("["):
            inside = line.startswith(("[tool.ruff.lint]", "[tool.ruff.lint.per-file-ignores]"))
        names_rules = re.search(r'"[A-Z]{1,4}[0-9]*"', line)
        if inside and names_rules and "#" not in line and '["ALL"]' not in line:
            silent.append(f"pyproject.toml:{number}: {line.strip()}")
    assert silent == []


def test_every_exception_in_the_code_says_why() -> None:
    """The same for one line of code."""
    # In two pieces, for the linters read comments everywhere.
    bare = re.compile(r"# no" r"qa(: [A-Z0-9, ]+)?$")
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in committed()
        if path.suffix == ".py"
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if bare.search(line.rstrip())
    ]
    assert silent == []


def test_test_files_have_names_of_their_own() -> None:
    """mypy takes two files of one name for one module."""
    names = Counter(
        path.name
        for path in committed()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in {"tests", "e2e"}
        and path.name not in {"conftest.py", "__init__.py", "__main__.py"}
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_nothing_is_left_to_do() -> None:
    """What is not done stands where work is planned, not in the code."""
    # Ruff sees to Python.
    left = re.compile(r"\b(TODO|FIXME)\b")
    found = [
        str(path.relative_to(ROOT))
        for path in committed()
        if path.suffix in PROSE - {".py"} and left.search(text_of(path))
    ]
    assert found == []


def _links() -> list[tuple[Path, str]]:
    pages = [path for path in committed() if path.suffix == ".md"]
    inline = re.compile(r"\]\(([^)\s]+)\)")
    return [(page, link) for page in pages for link in inline.findall(text_of(page))]


def test_links_between_pages_lead_somewhere() -> None:
    """A page that moved takes its readers along."""
    broken = []
    for page, link in _links():
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (page.parent / target).resolve() if target else page
        lost = (
            anchor and found.is_file() and found.suffix == ".md" and anchor not in _anchors(found)
        )
        if not found.exists() or lost:
            broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_paths_that_a_page_names_are_there() -> None:
    """`docs/architecture.md` in backticks is a promise as good as a link."""
    named = re.compile(r"`((?:docs|tests|e2e|bench|client|agent|desktop|contract)/[\w./-]+)`")
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in committed()
        if page.suffix == ".md"
        for path in named.findall(text_of(page))
        if not (ROOT / path).exists()
    ]
    assert missing == []
