"""Locks for threads."""

from __future__ import annotations

import functools
import threading
import weakref
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar

from ._client import DEFAULT_BASE_URI, WAIT_AS_OPTION, wait_ms
from ._errors import LockLost, LockTimeout, NotHeld
from ._handle import LOCK, Claimant, Held, Seconds, report

Function = TypeVar("Function", bound=Callable[..., Any])


class Lock(Claimant):
    """One name that at most one holder has at a time, on however many machines.

    Use it as `threading.Lock`, or better as a context manager, which raises `LockTimeout` instead
    of entering without the lock, and `LockLost` at the block's end if it was lost in it. The lock
    is held by this object, not by a thread; other threads may release it.

    - `name`: 1 to 1,024 bytes of UTF-8, compared by bytes.
    - `base_uri`, `url`: where the locks live (`http://…`, `file:…`, `kubernetes:`, `etcd://…`,
      `memory:`); without one MPSYNC_URL says it, else the elector next to this program.
    - `lock_callback`: called when it is acquired, before the call that acquired it returns.
    - `lock_lost_callback`: called when it is not held any more, by a release before that returns,
      and on a thread of its own when it was lost.
    - `on_lost`: called when it was lost, on a thread of its own; not by a release.
    - `ttl`: how long a silent holder keeps others out, in seconds or text like "15s"; 15 s by
      default.
    - `wait`: how long an acquire waits, likewise; for ever by default.
    - `identity`: how others see the holder; host and process by default.
    """

    def __init__(
        self,
        name: str,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        lock_callback: Optional[Callable[[], object]] = None,
        lock_lost_callback: Optional[Callable[[], object]] = None,
        *,
        url: Optional[str] = None,
        ttl: Seconds = None,
        identity: Optional[str] = None,
        wait: Seconds = None,
        on_lost: Optional[Callable[[], object]] = None,
    ) -> None:
        self.lock_callback = lock_callback
        self.lock_lost_callback = lock_lost_callback
        self.on_lost = on_lost
        super().__init__(LOCK, name, url or base_uri, ttl=ttl, identity=identity, wait=wait)

    def _lost_callback(self) -> Optional[Callable[[Held], None]]:
        own = weakref.ref(self)

        def tell(_: Held) -> None:
            lock = own()
            for callback in (lock.on_lost, lock.lock_lost_callback) if lock else ():
                if callback:
                    threading.Thread(
                        target=report, args=(callback,), name="metaparticle-sync-lost", daemon=True
                    ).start()

        return tell

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Return True when it is held, False when the wait ended without it.

        timeout: seconds; -1 waits as long as the option `wait` says, by default for ever.
        Raises ThreadError (`AlreadyHeld`) when this object holds it or asks for it already, and
        `StoreError` when the store cannot be asked.
        """
        wait = 0 if not blocking else WAIT_AS_OPTION if timeout == -1 else wait_ms(timeout)
        try:
            self._take(None, wait)
        except LockTimeout:
            return False
        self._tell_held()
        return True

    def try_acquire(self) -> bool:
        """Acquire it without waiting: `acquire(blocking=False)`."""
        return self.acquire(blocking=False)

    def release(self) -> None:
        """Release it; ThreadError (`NotHeld`) if it is not held."""
        held = self._present()
        self._held = None
        self._give_back(held)

    def _give_back(self, held: Held) -> None:
        held.release()
        if self.lock_lost_callback:
            self.lock_lost_callback()

    def is_held(self) -> bool:
        """Whether this object holds it now."""
        return self._held is not None and self._held.is_held()

    locked = is_held

    def _tell_held(self) -> None:
        if self.lock_callback:
            self.lock_callback()

    def __enter__(self) -> Held:
        held = self._take(None, WAIT_AS_OPTION)
        try:
            self._tell_held()
        except BaseException:
            self._held = None
            held.let_go()
            raise
        return held

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        try:
            self._give_back(held)
        except NotHeld:
            if kind is None and held.lost.is_set():
                raise LockLost(f'"{held.name}" was lost ({held.reason}) in its block', -3) from None


def synchronized(name: str, **options: Any) -> Callable[[Function], Function]:
    """Let a function run under the lock `name`; `options` are those of `Lock`."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def locked(*args: Any, **kwargs: Any) -> Any:
            with Lock(name, **options):
                return function(*args, **kwargs)

        return locked  # type: ignore[return-value]

    return decorate
