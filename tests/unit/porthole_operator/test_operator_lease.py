"""A replica of the operator that is told to stop as it takes the Lease."""

import asyncio
import os
import signal
from typing import Any

import pytest

from porthole_contract.cluster import Kind, Object
from porthole_operator import __main__ as operator
from porthole_operator.settings import Settings


class Api:
    """Has a Lease; while it is made, the replica is told to stop."""

    configuration: Any = None

    def __init__(self) -> None:
        self.lease: Object | None = None

    async def get(self, *_: Any, **__: Any) -> Object | None:
        return self.lease

    async def create(self, _: Kind, thing: Object) -> Object:
        self.lease = thing
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        return thing

    async def replace(self, _: Kind, thing: Object, *, within: float) -> Object:
        del within
        self.lease = thing
        return thing

    async def close(self) -> None:
        pass


async def test_it_lets_go_of_it_and_the_next_one_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Api()

    async def connect(*_: Any) -> Api:
        return api

    monkeypatch.setattr(operator.Cluster, "connect", connect)
    await operator.run(Settings(health_port=0))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
    assert api.lease is not None
    assert api.lease["spec"]["holderIdentity"] == ""
