"""Throws rubbish at the parsers of RDP: `python -m tests.fuzz.rdp --seconds N`.

With atheris where it is installed (`pip install atheris`; the environment does without, for it
is large), else by changing what was recorded here and there and keeping what reaches new lines.
What is raised and is no fault of the peer ends it, with the input in hex. Prints which lines of
the gate's parsers were reached, and how long it took.
"""

import argparse
import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.support.rdp_targets import seeds, throw

ROOM = Path(__file__).parents[2] / "desktop/porthole_desktop/gate/rdp"
Line = tuple[str, int]


class Lines:
    """Notes which lines of the room are reached while it is on."""

    def __init__(self) -> None:
        self.reached: set[Line] = set()

    def run(self, data: bytes) -> bool:
        """Throw `data`; return whether it came where nothing has come before."""
        before = len(self.reached)
        sys.settrace(self._enter)
        try:
            throw(data)
        finally:
            sys.settrace(None)
        return len(self.reached) > before

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        return self._step if frame.f_code.co_filename.startswith(str(ROOM)) else None

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        del argument
        if event == "line":
            self.reached.add((frame.f_code.co_filename, frame.f_lineno))
        return self._step


def main() -> int:
    """Run it; 1 if something else than a fault of the peer was raised."""
    parser = argparse.ArgumentParser(description="Throws rubbish at the parsers of RDP.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    begun, lines = time.monotonic(), Lines()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        if importlib.util.find_spec("atheris"):
            how, runs, failed = "atheris", None, _by_atheris(Path(folder), options)
            corpus: Iterable[bytes] = [path.read_bytes() for path in Path(folder).iterdir()]
        else:
            print(f"seed {options.seed}")
            how, failed = "changes of what was recorded", False
            corpus, runs = _by_ourselves(lines, options.seconds, random.Random(options.seed))
        for data in corpus:
            lines.run(data)
    _report(lines, how, runs, time.monotonic() - begun)
    return int(failed)


def _by_ourselves(lines: Lines, seconds: int, chance: random.Random) -> tuple[list[bytes], int]:
    corpus, runs, until = list(seeds()), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        data = _changed(chance.choice(corpus), corpus, chance)
        runs += 1
        try:
            if lines.run(data):
                corpus.append(data)
        except BaseException:
            print(f"input: {data.hex()}")
            raise
    return corpus, runs


def _changed(data: bytes, corpus: list[bytes], chance: random.Random) -> bytes:
    """Return `data` with a few things changed; who it is meant for stays."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(1, len(out) + 1)
        match chance.randrange(6):
            case 0:
                out[at : at + 1] = bytes((chance.randrange(256),))
            case 1:
                out[at : at + 1] = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xFF)),))
            case 2:
                del out[at : at + chance.randrange(1, 9)]
            case 3:
                out[at:at] = chance.randbytes(chance.randrange(1, 9))
            case 4:
                other = chance.choice(corpus)
                out[at:] = other[chance.randrange(len(other)) :]
            case _:
                out[at:at] = out[at : at + chance.randrange(1, 200)]
    return bytes(out[: 1 << 16])


def _by_atheris(folder: Path, options: argparse.Namespace) -> bool:
    for number, data in enumerate(seeds()):
        (folder / f"seed-{number}").write_bytes(data)
    child = get_context("spawn").Process(target=_atheris, args=(folder, options))
    child.start()
    child.join()
    return child.exitcode != 0


def _atheris(folder: Path, options: argparse.Namespace) -> None:
    import atheris  # noqa: PLC0415 - known to be there by now

    atheris.instrument_all()
    words = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *words, "-print_final_stats=1", str(folder)], throw)
    atheris.Fuzz()


def _report(lines: Lines, how: str, runs: int | None, seconds: float) -> None:
    total = there = 0
    for path in sorted(ROOM.glob("*.py")):
        code = compile(path.read_text(), str(path), "exec")
        wanted = {(str(path), line) for line in _inside(code)}
        if wanted:
            reached = len(wanted & lines.reached)
            total, there = total + len(wanted), there + reached
            share = f"{reached / len(wanted):>7.0%}"
            print(f"{path.name:<14}{reached:>5} of {len(wanted):>4} lines{share}")
    thrown = "" if runs is None else f"{runs} inputs, "
    print(f"{there} of {total} lines ({there / total:.0%}), {thrown}{seconds:.1f} s, by {how}")


def _inside(code: CodeType) -> Iterator[int]:
    """Yield the lines inside functions: what is outside has run before."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & 0x2:  # of a function, not of a class
                yield from {line for *_, line in inner.co_lines() if line} - {inner.co_firstlineno}
            yield from _inside(inner)


if __name__ == "__main__":
    sys.exit(main())
