"""Locks and elections for asyncio: no thread waits, and a loss cancels the task that holds."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Callable, Optional, Union

from . import _native
from ._claims import Claim, Claimant, Run, Waiting
from ._client import DEFAULT_BASE_URI, ENDING, GO_ON, TERM, WAITING, Client, Event, logger
from ._errors import LockLost, LockTimeout, NotHeld
from ._handle import LOCK, Held, Term
from ._options import WAIT_AS_OPTION, Seconds, wait_ms
from .election import Candidate, Leader, Observation

Timeout = Union[float, timedelta, None]


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *told: Any) -> bool:
    """Call it in the loop; False when the loop is closed."""
    try:
        loop.call_soon_threadsafe(call, *told)
    except RuntimeError:
        return False
    return True


class _TaskClaim(Claim):
    """A claim of a task, which may be in a block that a loss ends."""

    def __init__(self) -> None:
        super().__init__(asyncio.current_task())
        self.loop = asyncio.get_running_loop()
        self.end: asyncio.Future[Optional[str]] = self.loop.create_future()
        self.block: Optional[asyncio.Task[Any]] = None
        self.cancelled_by_us = False

    def tell_end(self, reason: Optional[str]) -> None:
        """In the loop: the grant has ended; why, if it was lost."""
        if not self.end.done():
            self.end.set_result(reason)

    def lose(self) -> None:
        """In the loop: it was lost."""
        self.tell_end(self.held.reason if self.held else None)
        if self.block and not self.block.done() and not self.cancelled_by_us:
            self.cancelled_by_us = self.block.cancel()

    def when_lost(self) -> Callable[[Held], object]:
        """What tells of the loss, from any thread; it does not keep the claim alive."""
        own = weakref.ref(self)

        def tell(held: Held) -> None:
            claim = own()
            if claim and claim.held is held:
                _in_loop(claim.loop, claim.lose)

        return tell


class _AsyncClaimant(Claimant):
    """What asynchronous locks and elections share."""

    def _owner(self) -> object:
        return asyncio.current_task()

    async def _answer(
        self, client: Client, call: Callable[[int], object], claim: Optional[Claim] = None
    ) -> Event:
        """Make a call and wait for its end. Who is cancelled meanwhile need not wait for it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Event] = loop.create_future()

        def end(event: Event) -> None:
            if not future.done():
                future.set_result(event)

        def tell(event: Event) -> None:
            told = _in_loop(loop, self._tell_waiting if event.type in GO_ON else end, event)
            if not told and claim:
                claim.withdraw()

        client.start(claim.number if claim else client.number(), tell, call)
        return (await future).result()

    async def _take_async(self, claim: _TaskClaim, value: Optional[str], wait: int) -> Held:
        """As `_take`."""
        handle = self._lend(claim)
        handle.on_loss = claim.when_lost()
        event = await self._answer(
            handle.client, lambda n: self._kind.start(handle.native, n, value, wait), claim
        )
        claim.held = held = handle.on_held(event)
        if held.reason:
            claim.lose()
        return held

    async def _release_async(self, claim: Claim) -> None:
        held = claim.held
        assert isinstance(claim, _TaskClaim)
        assert held
        handle = held.handle
        try:
            await self._answer(
                handle.client,
                lambda n: handle.kind.release_start(handle.native, n, held.grant),
            )
        except NotHeld:
            held.look_for_loss()
            raise
        finally:
            self._take_back(claim)
            claim.tell_end(held.reason)

    async def lost(self) -> Optional[str]:
        """Wait for the end of the present grant: why it was lost, or None when it is released."""
        claim = self._present()
        assert isinstance(claim, _TaskClaim)
        return await asyncio.shield(claim.end)

    async def _enter_async(self, value: Optional[str]) -> Held:
        claim = _TaskClaim()
        try:
            held = await self._take_async(claim, value, WAIT_AS_OPTION)
            claim.block = asyncio.current_task()
            if held.reason:
                claim.lose()
            return self._enter(claim, held)
        except BaseException:
            self._take_back(claim)
            raise

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        claim = self._leave()
        if not isinstance(claim, _TaskClaim) or claim.held is None:
            return
        task, claim.block = claim.block, None
        lost = claim.held.reason is not None
        if lost:
            self._forget(claim)
        else:
            try:
                await self._release_async(claim)
            except NotHeld:
                lost = True
        if claim.cancelled_by_us and task:
            await self._uncancel(task, kind)
        if lost and (kind is None or (kind is asyncio.CancelledError and claim.cancelled_by_us)):
            held = claim.held
            raise LockLost(f'"{held.name}" was lost ({held.reason}) in its block', -3) from error

    async def _uncancel(self, task: asyncio.Task[Any], kind: Optional[type[BaseException]]) -> None:
        """Take our cancelling back; the block may have ended without noticing it."""
        if kind is not asyncio.CancelledError:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        if hasattr(task, "uncancel"):
            task.uncancel()


class AsyncLock(_AsyncClaimant):
    """`Lock` for asyncio. In `async with`, a loss cancels the task; the block raises `LockLost`.

    Tasks may share the object: they wait for one another.
    """

    def __init__(
        self,
        name: str,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        *,
        url: Optional[str] = None,
        client: Optional[Client] = None,
        ttl: Seconds = None,
        identity: Optional[str] = None,
        wait: Seconds = None,
        on_lost: Optional[Callable[[], object]] = None,
        on_waiting: Optional[Callable[[Waiting], object]] = None,
    ) -> None:
        options = {"ttl": ttl, "identity": identity, "wait": wait}
        super().__init__(LOCK, name, url or base_uri, client, on_lost, on_waiting, **options)

    async def acquire(self, blocking: bool = True, timeout: Timeout = None) -> bool:
        """Return True when it is held, False when the wait ended without it; as of `Lock`."""
        wait = wait_ms(timeout, blocking)
        claim = _TaskClaim()
        try:
            await self._take_async(claim, None, wait)
            return True
        except LockTimeout:
            self._take_back(claim)
            return False
        except BaseException:
            self._take_back(claim)
            raise

    async def try_acquire(self) -> bool:
        """Acquire it without waiting."""
        return await self.acquire(blocking=False)

    async def release(self) -> None:
        """Release it; `NotHeld` if it is not held."""
        await self._release_async(self._present())

    locked = Claimant.is_held

    async def __aenter__(self) -> Held:
        return await self._enter_async(None)


class AsyncElection(Candidate, _AsyncClaimant):
    """`Election` for asyncio. In `async with`, the end of the term cancels the task."""

    def __init__(
        self,
        name: str,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        *,
        url: Optional[str] = None,
        client: Optional[Client] = None,
        ttl: Seconds = None,
        identity: Optional[str] = None,
        wait: Seconds = None,
        drain: Seconds = None,
        value: Optional[str] = None,
        on_lost: Optional[Callable[[], object]] = None,
        on_waiting: Optional[Callable[[Waiting], object]] = None,
    ) -> None:
        options = {"ttl": ttl, "identity": identity, "wait": wait, "drain": drain}
        super().__init__(name, url or base_uri, client, value, on_lost, on_waiting, **options)

    async def campaign(self, value: Optional[str] = None, timeout: Timeout = None) -> Held:
        """Stand, wait, and return the term when this candidate leads."""
        wait = wait_ms(timeout)
        claim = _TaskClaim()
        try:
            return await self._take_async(claim, self._value_or(value), wait)
        except BaseException:
            self._take_back(claim)
            raise

    async def resign(self) -> None:
        """End the present term; `NotHeld` without one. In `lead()` its work is asked to end."""
        claim = self._present()
        if not self._resign_from_run(claim):
            await self._release_async(claim)

    is_leader = Claimant.is_held

    async def set_value(self, value: Optional[str]) -> None:
        """Change what observers see of the present term."""
        handle = self._present().handle
        await self._answer(
            handle.client,
            lambda n: _native.mpsync_election_set_value_start(handle.native, n, value),
        )
        self._value = value

    async def observe(self) -> AsyncIterator[Optional[Leader]]:
        """Yield who leads now (None: nobody), and then each change, until it is closed."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[Any] = asyncio.Queue()
        observation = Observation(
            self._connection(), self.name, lambda news: _in_loop(loop, told.put_nowait, news)
        )
        try:
            while True:
                news = await told.get()
                if isinstance(news, Event):
                    news.result()
                    return
                yield news
        finally:
            observation.stop()

    async def leader(self) -> Optional[Leader]:
        """Who leads now, or None."""
        changes = self.observe()
        try:
            return await changes.__anext__()
        finally:
            await changes.aclose()  # type: ignore[attr-defined]

    async def lead(
        self, work: Callable[[Term], Coroutine[Any, Any, object]], value: Optional[str] = None
    ) -> None:
        """Stand again and again, and run `work(term)` as a task of its own while it leads.

        The task is cancelled when the term is to end, and the term stays held until the task has
        ended, unless it is lost. It is given back then, and the candidate stands again. What `work`
        raises is logged, and the next term waits a while. Ends by `stop()`, or when the task that
        runs it is cancelled.
        """
        loop = asyncio.get_running_loop()
        news: asyncio.Queue[Event] = asyncio.Queue()

        def tell(event: Event) -> None:
            if not _in_loop(loop, news.put_nowait, event):
                run.withdraw()

        run = Run(asyncio.current_task(), tell)
        working: Optional[asyncio.Task[object]] = None
        try:
            if not self._stand(run, value, WAIT_AS_OPTION):
                return
            while True:
                event = await news.get()
                if event.type == TERM and run.term:
                    working = self._begin_work(run, run.term, work)
                elif event.type == ENDING and working:
                    working.cancel()
                elif event.type == WAITING:
                    self._tell_waiting(event)
                elif event.type != ENDING:
                    event.result()
                    return
        except BaseException:
            run.stop()
            if working is None or working.done():
                run.withdraw()
            else:
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([working])
            raise
        finally:
            self._stand_no_more(run)

    def _begin_work(
        self, run: Run, term: Term, work: Callable[[Term], Coroutine[Any, Any, object]]
    ) -> asyncio.Task[object]:
        async def begin() -> object:
            return await work(term)

        def end(task: asyncio.Task[object]) -> None:
            problem = None if task.cancelled() else task.exception()
            if problem:
                logger.error('the work of a term of "%s" failed', term.name, exc_info=problem)
            run.done(term, problem is not None)

        task = asyncio.get_running_loop().create_task(begin())
        task.add_done_callback(end)
        return task

    async def __aenter__(self) -> Held:
        return await self._enter_async(self._value)
