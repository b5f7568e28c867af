"""What the operator asks of the C library's memory before it begins."""

import ctypes
from collections.abc import Coroutine

import pytest

from porthole_operator import __main__ as program

LARGE = 24 * 1024 * 1024
"""Bytes of a piece for which no room is left over in what this process has used before."""


class _Info(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks")),
        ("others", ctypes.c_size_t * 6),
    )


def _mapped() -> int:
    """Return how many pieces of memory are mapped by themselves."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Info
    return int(libc.mallinfo2().hblks)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc tells since 2.33")
def test_what_is_large_is_mapped_by_itself_also_after_some_was_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    seen: list[int] = []

    def run(work: Coroutine[None, None, None]) -> None:
        work.close()
        # Left to itself malloc takes such pieces from its heap as soon as one was given back.
        libc.free(libc.malloc(LARGE))
        before = _mapped()
        pieces = [libc.malloc(LARGE) for _ in range(3)]
        seen.append(_mapped() - before)
        for piece in pieces:
            libc.free(piece)

    monkeypatch.setattr(program, "configure", lambda *_: None)
    monkeypatch.setattr("uvloop.run", run)
    assert program.main() == 0
    assert seen == [3]
