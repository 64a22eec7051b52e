"""Locks for threads."""

from __future__ import annotations

import functools
import inspect
from datetime import timedelta
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, Union

from ._claims import Claim, Claimant, Waiting, callback
from ._client import DEFAULT_BASE_URI, Client
from ._errors import LockLost, LockTimeout, NotHeld
from ._handle import LOCK, Held
from ._options import WAIT_AS_OPTION, Seconds, wait_ms

Function = TypeVar("Function", bound=Callable[..., Any])


class Lock(Claimant):
    """One name that at most one holder has at a time, on however many machines.

    Use it as `threading.Lock`, or better as a context manager, which raises `LockTimeout` instead
    of entering without the lock, and `LockLost` at the block's end if it was lost in it. Threads
    may share the object: they wait for one another. Another thread may release what one acquired.

    - `name`: 1 to 1,024 bytes of UTF-8, compared by bytes.
    - `base_uri`, `url`: where the locks live (`http://…`, `file:…`, `kubernetes:`, `etcd://…`,
      `memory:`); without one MPSYNC_URL says it, else the elector next to this program.
    - `client`: a `Client` instead of a URL.
    - `ttl`: how long a silent holder keeps others out, in seconds, as a timedelta, or text like
      "15s"; 15 s by default.
    - `wait`: how long an acquire waits, likewise; for ever by default.
    - `identity`: how others see the holder; host and process by default.
    - `on_waiting`: called with a `Waiting` by the thread that waits, when what it waits for
      changes.
    """

    lock_callback = callback("lock_callback", "Called before the call that acquired it returns.")
    lock_lost_callback = callback(
        "lock_lost_callback",
        "Called when it is not held any more: by a release before that returns, and on a thread of "
        "its own when it was lost.",
    )

    def __init__(
        self,
        name: str,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        lock_callback: Optional[Callable[[], object]] = None,
        lock_lost_callback: Optional[Callable[[], object]] = None,
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
        self.lock_callback = lock_callback
        self.lock_lost_callback = lock_lost_callback

    def acquire(self, blocking: bool = True, timeout: Union[float, timedelta, None] = None) -> bool:
        """Return True when it is held, False when the wait ended without it.

        timeout: seconds or a timedelta; infinity waits for ever, None and -1 as long as the option
        `wait` says. A wait also waits for a store that is not there yet; a try
        (`blocking=False`) raises `StoreError`. Raises ThreadError (`AlreadyHeld`) when this
        thread has acquired it already.
        """
        wait = wait_ms(timeout, blocking)
        claim = Claim(self._owner())
        told = False
        try:
            self._take(claim, None, wait)
            if self.lock_callback:
                told = True  # what the callback raises comes out of here, and the lock is held
                self.lock_callback()
            return True
        except LockTimeout:
            if told:
                raise
            self._take_back(claim)
            return False
        except BaseException:
            if not told:
                self._take_back(claim)
            raise

    def try_acquire(self) -> bool:
        """Acquire it without waiting: `acquire(blocking=False)`."""
        return self.acquire(blocking=False)

    def release(self) -> None:
        """Release it; ThreadError (`NotHeld`) if it is not held."""
        try:
            self._release(self._present())
        except BaseException:
            self._give_up()
            raise
        if self.lock_lost_callback:
            self.lock_lost_callback()

    locked = Claimant.is_held

    def __enter__(self) -> Held:
        claim = Claim(self._owner())
        try:
            held = self._enter(claim, self._take(claim, None, WAIT_AS_OPTION))
            if self.lock_callback:
                self.lock_callback()
            return held
        except BaseException:
            self._take_back(claim)
            raise

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        claim: Optional[Claim] = None
        try:
            claim = self._leave()
            if claim is None:
                return
            self._release(claim)
        except NotHeld:
            self._give_up()
            held = claim and claim.held
            if kind is None and held and held.reason:
                raise LockLost(f'"{held.name}" was lost ({held.reason}) in its block', -3) from None
            return
        except BaseException:
            self._give_up()
            raise
        if self.lock_lost_callback:
            self.lock_lost_callback()


def synchronized(name: str, **options: Any) -> Callable[[Function], Function]:
    """Let a function run under the lock `name`; `options` are those of `Lock`.

    An `async def` takes an `AsyncLock`. A generator holds the lock from its first value to its
    end.
    """
    if not isinstance(name, str):
        raise TypeError('the name of the lock is missing: @synchronized("name")')

    def decorate(function: Function) -> Function:
        asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)

        @functools.cache
        def lock() -> Any:  # made by the first call, shared by all
            from ._aio import AsyncLock

            return AsyncLock(name, **options) if asynchronous else Lock(name, **options)

        def called(*args: Any, **kwargs: Any) -> Any:
            with lock():
                result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(
                    f"{function!r} hides an async def, which would run without the lock"
                )
            return result

        def generator(*args: Any, **kwargs: Any) -> Any:
            with lock():
                return (yield from function(*args, **kwargs))

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            async with lock():
                return await function(*args, **kwargs)

        async def async_generator(*args: Any, **kwargs: Any) -> Any:
            async with lock():
                values = function(*args, **kwargs)
                try:
                    async for value in values:
                        yield value
                finally:
                    await values.aclose()

        if inspect.isasyncgenfunction(function):
            return functools.wraps(function)(async_generator)  # type: ignore[return-value]
        if inspect.iscoroutinefunction(function):
            return functools.wraps(function)(coroutine)  # type: ignore[return-value]
        if inspect.isgeneratorfunction(function):
            return functools.wraps(function)(generator)  # type: ignore[return-value]
        return functools.wraps(function)(called)  # type: ignore[return-value]

    return decorate
