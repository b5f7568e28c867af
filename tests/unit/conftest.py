"""A unit test reaches nothing: no network and no unix socket either.

`--disable-socket` stops the network; unix sockets stay creatable because an asyncio loop
wakes itself through a pair of them, so what is stopped here is binding and connecting one.
"""

import socket
from typing import Any, NoReturn

import pytest
from hypothesis import settings

# How long an example takes says more about who else uses the machine than about the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_socket: socket.socket, address: Any) -> NoReturn:
        raise AssertionError(f"A unit test wanted a socket at {address!r}; move it to integration.")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
