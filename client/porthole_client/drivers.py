"""The two ways to run the same steps: blocking, and in an asyncio loop.

`verb` turns a function that returns steps into a method of a noun: on `Porthole`'s nouns
it returns the result, on `AsyncPorthole`'s it returns a coroutine of it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from uuid import UUID

import httpx

from porthole_client.place import Place
from porthole_client.steps import Answer, Outcome, Retry, Send, Sleep, Steps, Unanswered, persist
from porthole_client.trust import context_for

P = ParamSpec("P")
T = TypeVar("T")


def _request(send: Send) -> dict[str, Any]:
    headers = dict(send.headers)
    request: dict[str, Any] = {"method": send.method, "url": send.path, "headers": headers}
    if send.query:
        request["params"] = dict(send.query)
    if send.timeout is not None:
        request["timeout"] = send.timeout
    if isinstance(send.body, bytes):
        request["content"] = send.body
    elif isinstance(send.body, str):
        request["content"] = send.body.encode()
    elif send.body is not None:
        request["json"] = send.body
    return request


def _answer(response: httpx.Response) -> Answer:
    headers = {key.lower(): value for key, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content)


def _options(place: Place, timeout: float) -> dict[str, Any]:
    return {
        "base_url": place.server,
        "headers": {"Authorization": f"Bearer {place.token}"} if place.token else {},
        "timeout": timeout,
        "verify": context_for(place) or False,
        "follow_redirects": False,
    }


class SyncDriver:
    """Runs steps in the calling thread."""

    def __init__(self, place: Place, *, timeout: float, retry: Retry) -> None:
        self.place = place
        self._retry = retry
        self._http = httpx.Client(**_options(place, timeout))

    def run(self, steps: Steps[T]) -> T:
        """Do the steps and return their result."""
        persistent = persist(steps, self._retry)
        try:
            wish = next(persistent)
            while True:
                wish = persistent.send(self._do(wish))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _do(self, wish: Send | Sleep) -> Outcome:
        if isinstance(wish, Sleep):
            time.sleep(wish.seconds)
            return time.monotonic()
        try:
            return _answer(self._http.request(**_request(wish)))
        except httpx.TransportError as error:
            return Unanswered(_why(error, self.place))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncDriver:
    """Runs steps in the running asyncio loop."""

    def __init__(self, place: Place, *, timeout: float, retry: Retry) -> None:
        self.place = place
        self._retry = retry
        self._http = httpx.AsyncClient(**_options(place, timeout))

    async def run(self, steps: Steps[T]) -> T:
        """Do the steps and return their result."""
        persistent = persist(steps, self._retry)
        try:
            wish = next(persistent)
            while True:
                wish = persistent.send(await self._do(wish))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _do(self, wish: Send | Sleep) -> Outcome:
        if isinstance(wish, Sleep):
            await asyncio.sleep(wish.seconds)
            return time.monotonic()
        try:
            return _answer(await self._http.request(**_request(wish)))
        except httpx.TransportError as error:
            return Unanswered(_why(error, self.place))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _why(error: httpx.TransportError, place: Place) -> str:
    return f"{str(error) or type(error).__name__} ({place.server})"


class SyncNoun:
    """One kind of thing, as a blocking program sees it."""

    def __init__(self, driver: SyncDriver) -> None:
        self.driver = driver


class AsyncNoun:
    """One kind of thing, as an asyncio program sees it."""

    def __init__(self, driver: AsyncDriver) -> None:
        self.driver = driver


class verb(Generic[P, T]):  # noqa: N801 - it is used as a decorator
    """A function that returns steps, as a method of both kinds of nouns."""

    def __init__(self, steps: Callable[P, Steps[T]]) -> None:
        self._steps = steps
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, noun: SyncNoun, kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, noun: AsyncNoun, kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(
        self, noun: SyncNoun | AsyncNoun, kind: type
    ) -> Callable[P, T | Coroutine[Any, Any, T]]:
        """Return the method of `noun`."""

        def method(*arguments: P.args, **named: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return noun.driver.run(self._steps(*arguments, **named))

        method.__doc__ = self.__doc__
        return method


class SyncDesktop:
    """One session's desktop, as a blocking program uses it."""

    def __init__(self, driver: SyncDriver, session: UUID | str) -> None:
        self.driver = driver
        self.session = session


class AsyncDesktop:
    """One session's desktop, as an asyncio program uses it."""

    def __init__(self, driver: AsyncDriver, session: UUID | str) -> None:
        self.driver = driver
        self.session = session


class deed(Generic[P, T]):  # noqa: N801 - it is used as a decorator
    """A function of a session that returns steps, as a method of both kinds of desktops."""

    def __init__(self, steps: Callable[Concatenate[UUID | str, P], Steps[T]]) -> None:
        self._steps = steps
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, desktop: SyncDesktop, kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, desktop: AsyncDesktop, kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(
        self, desktop: SyncDesktop | AsyncDesktop, kind: type
    ) -> Callable[P, T | Coroutine[Any, Any, T]]:
        """Return the method of `desktop`."""

        def method(*arguments: P.args, **named: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return desktop.driver.run(self._steps(desktop.session, *arguments, **named))

        method.__doc__ = self.__doc__
        return method
