"""The home through its gate: in and out, on from where it broke, and never out of the home."""

import asyncio
import contextlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest

from porthole_contract.stream import control
from tests.support.desktop_pair import DesktopPair, NotAdmitted, a_stream
from tests.support.talking import Busy, Fault, Talker, digest

MIB = 2**20


@pytest.fixture(scope="module")
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop()
        made.start_gate()
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture
def home(pair: DesktopPair) -> Iterator[Path]:
    """A home with nothing in it but what a test puts there."""
    yield pair.home
    for one in pair.home.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


@pytest.fixture(autouse=True)
async def _closed(pair: DesktopPair) -> AsyncIterator[None]:
    yield
    await pair.close_streams()


@pytest.fixture
async def files(pair: DesktopPair, home: Path) -> Talker:
    assert home.is_dir()
    return await Talker.open(pair, "files")


async def refused(work: Awaitable[object]) -> str:
    with pytest.raises(Fault) as caught:
        await work
    return str(caught.value.code)


def mount(folder: Path) -> bool:
    """Give a folder a file system with room for 4 MiB; return whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False).returncode == 0


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


def uploads(home: Path) -> list[Path]:
    return list(home.glob(".porthole-upload-*"))


async def test_a_file_goes_in_and_comes_out(files: Talker, home: Path) -> None:
    data = os.urandom(3 * MIB + 17)
    await files.write("a file", data, mode=0o750, modified=1_700_000_000_000)
    assert (home / "a file").read_bytes() == data
    about = (home / "a file").stat()
    assert (about.st_mode & 0o777, about.st_mtime) == (0o750, 1_700_000_000)
    assert await files.read("a file") == data
    assert await files.read("a file", offset=3 * MIB) == data[3 * MIB :]
    [entry] = [one for one in await files.list() if one["name"] == "a file"]
    assert (entry["kind"], entry["size"]) == ("file", len(data))
    assert not uploads(home)


async def test_an_upload_goes_on_from_where_it_broke(
    pair: DesktopPair, files: Talker, home: Path
) -> None:
    data = os.urandom(3 * MIB)
    await files.ask("write", path="f", size=len(data), upload="a" * 16)
    await files.carry(1, data[: 2 * MIB + 5])
    while not (found := uploads(home)) or found[0].stat().st_size < 2 * MIB + 5:
        await asyncio.sleep(0.02)
    files.close()
    assert not (home / "f").exists()
    again = await Talker.open(pair, "files")
    assert not await again.list()
    ready = {"offset": -1}
    while ready["offset"] < 0:  # the other stream lets go of it a moment later
        with contextlib.suppress(Busy):
            ready = await again.ask("write", path="f", size=len(data), upload="a" * 16)
    assert ready["offset"] == 2 * MIB
    await again.carry(1, data[2 * MIB :])
    again.say("commit", digest=digest(data))
    await again.answer()
    assert (home / "f").read_bytes() == data


async def test_one_that_goes_on_with_other_bytes_changes_nothing(
    pair: DesktopPair, files: Talker, home: Path
) -> None:
    (home / "f").write_text("before")
    old, new = bytes(2 * MIB), os.urandom(2 * MIB)
    await files.ask("write", path="f", size=len(old), upload="b" * 16, replace=True)
    await files.carry(1, old[:MIB])
    while not (found := uploads(home)) or found[0].stat().st_size < MIB:
        await asyncio.sleep(0.02)
    files.close()
    again = await Talker.open(pair, "files")
    code = "busy"
    while code == "busy":
        code = await refused(again.write("f", new, "b" * 16, replace=True))
    assert code == "differs"
    assert (home / "f").read_text() == "before"
    assert not uploads(home)
    await again.write("f", new, "b" * 16, replace=True)
    assert (home / "f").read_bytes() == new


async def test_two_writers_each_write_a_whole_file(
    pair: DesktopPair, files: Talker, home: Path
) -> None:
    other = await Talker.open(pair, "files")
    one, two = b"1" * MIB, b"2" * MIB
    await files.ask("write", path="f", size=MIB, upload="1" * 16)
    await other.ask("write", path="f", size=MIB, upload="2" * 16)
    third = await Talker.open(pair, "files")
    assert await refused(third.ask("write", path="f", size=MIB, upload="1" * 16)) == "busy"
    await files.carry(1, one)
    await other.carry(1, two)
    files.say("commit", digest=digest(one))
    await files.answer()
    other.say("commit", digest=digest(two))
    assert await refused(other.answer()) == "exists"
    assert (home / "f").read_bytes() == one
    await other.write("f", two, "2" * 16, replace=True)
    assert (home / "f").read_bytes() == two


async def test_more_than_was_said_is_refused(files: Talker, home: Path) -> None:
    await files.ask("write", path="f", size=10, upload="c" * 16)
    await files.carry(1, bytes(100))
    files.say("commit", digest=digest(bytes(10)))
    assert await refused(files.answer()) == "too_much"
    await files.ask("write", path="f", size=10, upload="c" * 16)
    await files.carry(1, bytes(4))
    files.say("commit", digest=digest(bytes(4)))
    assert await refused(files.answer()) == "not_whole"
    assert not (home / "f").exists()


async def test_no_way_leads_out_of_the_home(files: Talker, home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (home / "folder").mkdir()
    (home / "out").symlink_to(outside)
    (home / "file").symlink_to(outside / "secret")
    (home / "up").symlink_to("../..")
    (home / "folder/loop").symlink_to("loop")
    (home / "root").symlink_to("/proc/self/root")
    paths = [
        *("..", "../x", "folder/../../x", "a/../..", "./../x", "folder/..", "//etc/passwd"),
        *("/etc/passwd", f"{home}/../x", f"{home}x", "out/secret", "file", "up/etc/passwd"),
        *("root/etc/passwd", "folder/loop", "a\0b", "\ud800"),
    ]
    for path in paths:
        for ask in (
            files.read(path),
            files.list(path),
            files.read(path, "archive"),
        ):
            assert await refused(ask) in {"outside", "is_link", "invalid_path", "not_a_folder"}
    inside = ["out/new", "up/new", "root/tmp/new", "../new", "folder/../new", f"{home}/../new"]
    for path in inside:
        size = {"size": 1, "upload": "d" * 16}
        assert await refused(files.ask("write", path=path, **size)) == "outside"
        assert await refused(files.ask("make_folder", path=path)) == "outside"
        assert await refused(files.ask("rename", path="folder", to=path)) == "outside"
        assert await refused(files.ask("delete", path=path, recursive=True)) == "outside"
    for verb in ("delete", "rename"):
        assert await refused(files.ask(verb, path="", to="x", recursive=True)) == "is_home"
    assert [one.name for one in outside.iterdir()] == ["secret"]
    # What replaces or deletes a link is about the link.
    await files.write("file", b"mine", replace=True)
    await files.ask("delete", path="out", recursive=True)
    assert (outside / "secret").read_text() == "secret"
    assert (home / "file").read_text() == "mine"


async def test_links_inside_the_home_are_followed(files: Talker, home: Path) -> None:
    (home / "folder").mkdir()
    (home / "folder/file").write_text("here")
    (home / "link").symlink_to("folder")
    assert await files.read("link/file") == b"here"
    assert [one["name"] for one in await files.list("link")] == ["file"]


@pytest.mark.parametrize(
    "name", ["n\new\tline", "x" * 255, "\udcff\udc80", "ü" * 127, "-rf", " ", "…", "\x1b[31m"]
)
async def test_any_name_is_a_name(files: Talker, home: Path, name: str) -> None:
    await files.write(name, b"content")
    assert [one["name"] for one in await files.list()] == [name]
    assert await files.read(name) == b"content"
    assert [os.fsencode(one.name) for one in home.iterdir()] == [os.fsencode(name)]
    await files.ask("rename", path=name, to="other")
    await files.ask("delete", path="other")
    assert not await files.list()


async def test_a_name_that_is_too_long_is_said(files: Talker) -> None:
    assert await refused(files.write("x" * 256, b"")) == "name_too_long"
    assert await refused(files.ask("make_folder", path="y/" * 3000)) == "name_too_long"


async def test_an_archive_is_a_file_like_any_other(files: Talker, home: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in ("zeros", "../out"):
            bomb.writestr(name, bytes(64 * MIB))
    assert len(packed.getvalue()) < MIB
    before = {one.name for one in home.iterdir()}
    await files.write("bomb.zip", packed.getvalue())
    assert {one.name for one in home.iterdir()} - before == {"bomb.zip"}
    assert await files.read("bomb.zip") == packed.getvalue()


async def test_folders_are_made_renamed_and_deleted(files: Talker, home: Path) -> None:
    await files.ask("make_folder", path="a/b/c", parents=True)
    await files.ask("make_folder", path="a/b/c", parents=True)
    assert await refused(files.ask("make_folder", path="a/b")) == "exists"
    await files.write("a/b/c/f", b"x")
    assert await refused(files.ask("delete", path="a")) == "not_empty"
    await files.ask("make_folder", path="z")
    assert await refused(files.ask("rename", path="a", to="z")) == "exists"
    assert await refused(files.ask("rename", path="a", to="a/b/inside")) == "invalid_path"
    await files.ask("rename", path="a", to="z/a")
    assert (home / "z/a/b/c/f").read_text() == "x"
    await files.ask("delete", path="z", recursive=True)
    assert not list(home.iterdir())
    assert await refused(files.ask("stat", path="z")) == "not_found"


async def test_a_great_folder_is_listed_whole(files: Talker, home: Path) -> None:
    for number in range(700):
        (home / (f"{number:04}" + "\n" * 200)).touch()
    assert len(await files.list()) == 700


async def test_pipes_and_sockets_are_no_files(files: Talker, home: Path) -> None:
    os.mkfifo(home / "pipe")
    assert await refused(files.read("pipe")) == "not_a_file"
    assert await refused(files.read("")) == "is_folder"


async def test_a_file_that_changed_is_not_gone_on_with(files: Talker, home: Path) -> None:
    (home / "f").write_bytes(bytes(1000))
    begin = await files.ask("read", path="f")
    await files.hear()
    assert (await files.answer())["type"] == "done"
    (home / "f").write_bytes(b"1" * 1000)
    asked = files.read("f", offset=500, version=begin["version"])
    assert await refused(asked) == "changed"


@pytest.mark.parametrize("kind", ["tar", "zip"])
async def test_a_folder_comes_out_as_an_archive(files: Talker, home: Path, kind: str) -> None:
    (home / "f/sub").mkdir(parents=True)
    data = os.urandom(600_000)
    (home / "f/sub/data").write_bytes(data)
    (home / "f/link").symlink_to("/etc")
    os.mkfifo(home / "f/pipe")
    made = io.BytesIO(await files.read("f", "archive", format=kind))
    if kind == "tar":
        tar = tarfile.open(fileobj=made)  # noqa: SIM115 - in memory
        assert set(tar.getnames()) == {"f", "f/sub", "f/sub/data", "f/link"}
        assert (file := tar.extractfile("f/sub/data")) is not None
        assert file.read() == data
    else:
        whole = zipfile.ZipFile(made)
        assert set(whole.namelist()) == {"f/", "f/sub/", "f/sub/data"}
        assert whole.read("f/sub/data") == data


async def test_a_full_home_is_said_before_and_while_it_fills() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ph-"))
    small = DesktopPair(folder)
    if not mount(small.home):
        pytest.skip("mounting is not allowed here")
    try:
        small.start_desktop(programs=[])
        small.start_gate()
        small.wait_healthy()
        files = await Talker.open(small, "files")
        assert await refused(files.write("f", bytes(8 * MIB))) == "full"
        await files.ask("write", path="f", size=3 * MIB, upload="e" * 16)
        (small.home / "other").write_bytes(bytes(3 * MIB))
        await files.carry(1, bytes(3 * MIB))
        files.say("commit", digest=digest(bytes(3 * MIB)))
        assert await refused(files.answer()) == "full"
        assert [one["name"] for one in await files.list() if one["kind"] == "file"] == ["other"]
        assert not uploads(small.home)
        await small.close_streams()
    finally:
        small.stop()
        unmount(small.home)
        shutil.rmtree(folder)


async def test_who_may_only_look_changes_nothing(pair: DesktopPair, home: Path) -> None:
    (home / "f").write_text("x")
    files = await Talker.open(pair, "files", "view")
    assert await files.read("f") == b"x"
    size = {"size": 1, "upload": "0" * 16}
    for verb in ("write", "make_folder", "rename", "delete"):
        assert await refused(files.ask(verb, path="f", to="g", **size)) == "view_only"
    await files.carry(1, b"x")
    with pytest.raises(EOFError):
        await files.hear()


async def test_a_right_that_is_taken_back_is_gone(pair: DesktopPair, home: Path) -> None:
    name = a_stream()
    files = Talker(*await pair.open(pair.identity.request("files", "control", name)))
    await files.write("f", b"x")
    commander = await pair.control()
    done = await commander.order(control.SetMode, stream=name, mode="view")
    assert done.error is None
    assert await refused(files.ask("delete", path="f")) == "view_only"
    assert (home / "f").exists()


@pytest.mark.parametrize("rules", [{"upload": False}, {"download": False}])
async def test_what_a_template_forbids_is_stopped_at_the_gate(
    pair: DesktopPair, home: Path, rules: dict[str, bool]
) -> None:
    (home / "f").write_text("x")
    pair.stop_gate()
    pair.start_gate(files=rules)
    try:
        await asyncio.to_thread(pair.wait_healthy)
        files = await Talker.open(pair, "files")
        assert [one["name"] for one in await files.list()] == ["f"]
        if "download" in rules:
            assert await refused(files.read("f")) == "download_forbidden"
            assert await refused(files.read("", "archive")) == "download_forbidden"
            await files.write("g", b"y")
        else:
            assert await refused(files.write("g", b"y")) == "upload_forbidden"
            assert await refused(files.ask("delete", path="f")) == "upload_forbidden"
            assert await files.read("f") == b"x"
        with pytest.raises(NotAdmitted) as caught:
            await Talker.open(pair, "exec")
        assert caught.value.code == "programs_forbidden"
    finally:
        pair.stop_gate()
        pair.start_gate()
        await asyncio.to_thread(pair.wait_healthy)


async def test_requests_that_make_no_sense_are_answered(files: Talker) -> None:
    for kind, fields in (
        ("explode", {}),
        ("list", {"path": 7}),
        ("read", {"path": "x", "offset": -1}),
        ("archive", {"format": "rar"}),
        ("write", {"path": "x", "size": "big", "upload": "0" * 16}),
        ("write", {"path": "x", "size": 1, "upload": "../../etc"}),
        ("write", {"path": "x", "size": 2**70, "upload": "0" * 16}),
    ):
        assert await refused(files.ask(kind, **fields)) in {
            *("unknown_request", "invalid_path", "invalid", "not_found"),
        }
    assert isinstance(await files.list(), list)
