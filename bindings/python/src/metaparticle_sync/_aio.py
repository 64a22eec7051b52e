"""Locks and elections for asyncio: no thread waits, and a loss cancels the task that holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Callable, Optional

from . import _native
from ._client import DEFAULT_BASE_URI, WAIT_AS_OPTION, Request, clients, wait_ms
from ._errors import LockLost, LockTimeout, NotHeld
from ._handle import ELECTION, LOCK, Claimant, Held, Kind, Seconds
from .election import Leader, Observation


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> bool:
    """Run it in the loop; False when the loop is closed."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return False
    return True


async def _ended(claimant: _AsyncClaimant, call: Callable[[Request], object]) -> Request:
    """Start a request and wait for its end; cancelling withdraws it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def on_end(request: Request) -> None:
        told = _in_loop(loop, lambda: None if future.done() else future.set_result(None))
        if not told and request.held:
            request.held.let_go()

    handle = claimant._own_handle()
    request = Request(handle, on_end)
    call(request)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        claimant._kind.cancel(handle.native)
        while not future.done():
            await asyncio.wait([future])
        if request.held:
            request.held.let_go()
        raise
    return request


class _AsyncClaimant(Claimant):
    """What asynchronous locks and elections share."""

    def __init__(self, kind: Kind, name: str, url: Optional[str], **options: Seconds) -> None:
        self._task: Optional[asyncio.Task[object]] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._cancelled_by_us = False
        self._end: Optional[asyncio.Future[Optional[str]]] = None
        super().__init__(kind, name, url, **options)

    def _lost_callback(self) -> Optional[Callable[[Held], None]]:
        def on_lost(held: Held) -> None:
            if self._loop:
                _in_loop(self._loop, lambda: self._lose(held))

        return on_lost

    def _lose(self, held: Held) -> None:
        if held is not self._held:
            return
        self._tell_end(held.reason)
        if self._task and not self._task.done():
            self._cancelled_by_us = self._task.cancel()

    def _tell_end(self, reason: Optional[str]) -> None:
        if self._end and not self._end.done():
            self._end.set_result(reason)

    async def lost(self) -> Optional[str]:
        """Wait for the end of the present grant: why it was lost, or None when it is released."""
        self._present()
        assert self._end is not None
        return await asyncio.shield(self._end)

    def _start(self, request: Request, value: Optional[str], wait_ms: int) -> None:
        handle = request.handle
        handle.client.start(request, lambda n: self._kind.start(handle.native, n, value, wait_ms))

    async def _take_async(self, value: Optional[str], wait: int) -> Held:
        request = await _ended(self, lambda request: self._start(request, value, wait))
        request.result()
        held: Held = request.held
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.create_future()
        if held.lost.is_set():
            self._tell_end(held.reason)
        return held

    async def _release_async(self, held: Held) -> None:
        handle = held.handle
        try:
            request = await _ended(
                self,
                lambda request: handle.client.start(
                    request,
                    lambda n: handle.kind.release_start(held._native, n, held._grant),
                ),
            )
            request.result()
        except NotHeld:
            held.look_for_loss()
            raise
        finally:
            self._tell_end(held.reason)

    async def _give_up(self) -> None:
        held = self._present()
        self._held = None
        await self._release_async(held)

    async def _enter(self, value: Optional[str]) -> Held:
        held = await self._take_async(value, WAIT_AS_OPTION)
        self._task = asyncio.current_task()
        self._cancelled_by_us = False
        if held.lost.is_set():
            self._lose(held)
        return held

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        task, self._task = self._task, None
        held, self._held = self._held, None
        if held is None:
            return
        lost = held.lost.is_set()
        if not lost:
            try:
                await self._release_async(held)
            except NotHeld:
                lost = True
        if self._cancelled_by_us and task and hasattr(task, "uncancel"):
            task.uncancel()
        if lost and (kind is None or (kind is asyncio.CancelledError and self._cancelled_by_us)):
            raise LockLost(f'"{held.name}" was lost ({held.reason}) in its block', -3) from error


class AsyncLock(_AsyncClaimant):
    """`Lock` for asyncio. In `async with`, a loss cancels the task; the block raises `LockLost`."""

    def __init__(
        self,
        name: str,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        *,
        url: Optional[str] = None,
        ttl: Seconds = None,
        identity: Optional[str] = None,
        wait: Seconds = None,
    ) -> None:
        super().__init__(LOCK, name, url or base_uri, ttl=ttl, identity=identity, wait=wait)

    async def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Return True when it is held, False when the wait ended without it."""
        wait = 0 if not blocking else WAIT_AS_OPTION if timeout == -1 else wait_ms(timeout)
        try:
            await self._take_async(None, wait)
        except LockTimeout:
            return False
        return True

    async def try_acquire(self) -> bool:
        """Acquire it without waiting."""
        return await self.acquire(blocking=False)

    async def release(self) -> None:
        """Release it; `NotHeld` if it is not held."""
        await self._give_up()

    def is_held(self) -> bool:
        """Whether this object holds it now."""
        return self._held is not None and self._held.is_held()

    locked = is_held

    async def __aenter__(self) -> Held:
        return await self._enter(None)


class AsyncElection(_AsyncClaimant):
    """`Election` for asyncio. In `async with`, the end of the term cancels the task."""

    def __init__(
        self,
        name: str,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        *,
        url: Optional[str] = None,
        ttl: Seconds = None,
        identity: Optional[str] = None,
        wait: Seconds = None,
        value: Optional[str] = None,
    ) -> None:
        self._value = value
        super().__init__(ELECTION, name, url or base_uri, ttl=ttl, identity=identity, wait=wait)

    async def campaign(self, value: Optional[str] = None, timeout: float = -1) -> Held:
        """Stand, wait, and return the term when this candidate leads."""
        wait = WAIT_AS_OPTION if timeout == -1 else wait_ms(timeout)
        return await self._take_async(self._value if value is None else value, wait)

    async def resign(self) -> None:
        """End the present term; `NotHeld` without one."""
        await self._give_up()

    def is_leader(self) -> bool:
        """Whether this candidate leads now."""
        return self._held is not None and self._held.is_held()

    async def set_value(self, value: Optional[str]) -> None:
        """Change what observers see of the present term."""
        handle = self._present().handle
        request = await _ended(
            self,
            lambda request: handle.client.start(
                request,
                lambda n: _native.mpsync_election_set_value_start(handle.native, n, value),
            ),
        )
        request.result()
        self._value = value

    async def observe(self) -> AsyncIterator[Optional[Leader]]:
        """Yield who leads now (None: nobody), and then each change, until it is closed."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[object] = asyncio.Queue()

        def tell(news: object) -> None:
            _in_loop(loop, lambda: told.put_nowait(news))

        observation = Observation(clients.of(self._url), self.name, tell, tell)
        try:
            while True:
                news = await told.get()
                if isinstance(news, Request):
                    news.result()
                    return
                yield news  # type: ignore[misc]
        finally:
            observation.stop()

    async def leader(self) -> Optional[Leader]:
        """Who leads now, or None."""
        changes = self.observe()
        try:
            return await changes.__anext__()
        finally:
            await changes.aclose()  # type: ignore[attr-defined]

    async def __aenter__(self) -> Held:
        return await self._enter(self._value)
