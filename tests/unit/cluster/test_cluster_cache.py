"""What is built once per machine: whole or not at all, and once however many ask."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.cluster.cache import Artefact, Cache


def counting(made: list[str], name: str = "thing", **about: object) -> Artefact:
    def make(folder: Path, _cache: Cache) -> None:
        made.append(name)
        (folder / "content").write_text("made")

    return Artefact(name, make, version="1", **about)  # type: ignore[arg-type]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> Cache:
    return Cache(tmp_path / "cache", said.append)


def test_it_is_made_once(cache: Cache) -> None:
    made: list[str] = []
    artefact = counting(made)
    assert not cache.has(artefact)
    place = cache.obtain(artefact)
    assert cache.obtain(artefact) == place
    assert (place / "content").read_text() == "made"
    assert made == ["thing"]


def test_two_at_once_make_it_once(cache: Cache) -> None:
    made: list[str] = []
    together = threading.Barrier(4)

    def obtain() -> Path:
        together.wait()
        return cache.obtain(counting(made))

    with ThreadPoolExecutor(4) as pool:
        places = {task.result() for task in [pool.submit(obtain) for _ in range(4)]}
    assert (len(places), made) == (1, ["thing"])


def test_what_failed_is_not_there(cache: Cache) -> None:
    def fail(folder: Path, _cache: Cache) -> None:
        (folder / "half").touch()
        raise RuntimeError("no")

    artefact = Artefact("thing", fail, version="1")
    with pytest.raises(RuntimeError):
        cache.obtain(artefact)
    assert not cache.has(artefact)
    assert [path.name for path in cache.folder.iterdir()] == ["locks"]


def test_what_was_left_by_a_kill_goes(cache: Cache) -> None:
    abandoned = cache.folder / ".making-thing-abc"
    abandoned.mkdir(parents=True)
    cache.obtain(counting([]))
    assert not abandoned.exists()


def test_a_source_that_changed_makes_it_another(cache: Cache, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_text("one")
    artefact = counting([], sources=(source,))
    keys = [artefact.key]
    (source / "deep" / "file").write_text("two")
    keys.append(artefact.key)
    (source / "deep" / "file").chmod(0o755)
    keys.append(artefact.key)
    (source / "deep" / "file").rename(source / "file")
    keys.append(artefact.key)
    assert len(set(keys)) == len(keys)
    place = cache.obtain(artefact)
    assert place.name == f"thing-{keys[-1][:16]}"


def test_what_it_is_made_of_is_made_first_and_part_of_it(cache: Cache) -> None:
    made: list[str] = []
    stone = counting(made, "stone")
    house = counting(made, "house", needs=(stone,))
    cache.obtain(house)
    assert made == ["stone", "house"]
    assert house.key != counting(made, "house").key


def test_lanes_stop_where_one_fails(cache: Cache) -> None:
    made: list[str] = []

    def fail(_folder: Path, _cache: Cache) -> None:
        raise RuntimeError("no")

    bad = Artefact("bad", fail, version="1")
    with pytest.raises(RuntimeError):
        cache.obtain_all((bad, counting(made, "never")))
    assert made == []
    cache.obtain_all((counting(made, "one"),), (counting(made, "two"),))
    assert sorted(made) == ["one", "two"]


def test_it_says_how_long_it_took_last_time(cache: Cache, said: list[str]) -> None:
    cache.obtain(counting([], usual=300))
    assert said.pop(0) == "thing: making it (about 300 s)"
    assert re.fullmatch(r"thing: done in \d+ s, 0 MB", said.pop(0))
    cache.obtain(Artefact("thing", counting([]).make, version="2"))
    assert re.fullmatch(r"thing: making it \(\d+ s last time\)", said[0])
    said.clear()
    for _ in range(2):
        with cache.step("doing"):
            pass
    assert re.fullmatch(r"doing: begun \(\d+ s last time\)", said[2])
