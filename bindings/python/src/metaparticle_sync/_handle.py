"""What locks and elections share: a native handle, its grants, and how their loss is told."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Callable, NamedTuple, Optional, Union

from . import _native
from ._client import HELD, AwaitedRequest, Client, Event, Options, clients, logger, plain_text
from ._errors import LockLost, NotHeld

Seconds = Union[str, float, None]


class Kind(NamedTuple):
    """The C functions of one kind of handle."""

    new: Callable[..., Any]
    free: Callable[[Any], None]
    id: Callable[[Any], int]
    start: Callable[[Any, int, Optional[str], int], int]
    cancel: Callable[[Any], int]
    release_start: Callable[[Any, int, int], int]
    is_held: Callable[[Any, int], int]
    remaining_ms: Callable[[Any, int], int]
    lost_reason: Callable[[Any, int], int]


LOCK = Kind(
    _native.mpsync_lock_new,
    _native.mpsync_lock_free,
    _native.mpsync_lock_id,
    lambda lock, number, _, wait_ms: _native.mpsync_lock_acquire_start(lock, number, wait_ms),
    _native.mpsync_lock_cancel,
    _native.mpsync_lock_release_start,
    _native.mpsync_lock_is_held,
    _native.mpsync_lock_remaining_ms,
    _native.mpsync_lock_lost_reason,
)
ELECTION = Kind(
    _native.mpsync_election_new,
    _native.mpsync_election_free,
    _native.mpsync_election_id,
    _native.mpsync_election_campaign_start,
    _native.mpsync_election_cancel,
    _native.mpsync_election_resign_start,
    _native.mpsync_election_is_leader,
    _native.mpsync_election_remaining_ms,
    _native.mpsync_election_lost_reason,
)


def report(callback: Callable[[], object]) -> None:
    """Call the program's function; what it raises is logged, and the client lives on."""
    try:
        callback()
    except Exception:
        logger.exception("a callback raised an exception")


class Held:
    """One grant of a lock, or one term of a leader. It stays ended when it has ended."""

    __slots__ = (
        "__weakref__",
        "_grant",
        "_is_held",
        "_native",
        "handle",
        "lost",
        "name",
        "reason",
        "token",
    )

    def __init__(self, handle: Handle, event: Event) -> None:
        self.handle = handle
        self.name = handle.name
        #: The fencing token, greater than that of every earlier grant of the name.
        self.token = event.token
        #: Set when the right has ended without a release; wait on it in another thread.
        self.lost = threading.Event()
        #: Why it was lost: "expired", "taken", "deleted", "revoked", …; None while it was not.
        self.reason: Optional[str] = None
        self._native = handle.native
        self._grant = event.grant
        self._is_held = handle.kind.is_held

    def is_of(self, event: Event) -> bool:
        """Whether the event tells of this grant."""
        return self._grant == event.grant

    def is_held(self) -> bool:
        """Whether this very grant is held now; right after any pause, for it asks the clock."""
        return self._is_held(self._native, self._grant) != 0

    def remaining(self) -> float:
        """Seconds until the right ends unless it is renewed; 0.0 when it is not held."""
        return self.handle.kind.remaining_ms(self._native, self._grant) / 1000

    def check(self) -> None:
        """Raise `LockLost` unless it is held."""
        if not self.is_held():
            raise LockLost(f'"{self.name}" is not held any more ({self.reason or "ended"})', -3)

    def release(self) -> None:
        """Release this grant and wait until the store knows, or the right has run out."""
        handle = self.handle
        if handle.client.pid != os.getpid():
            raise NotHeld(f'"{self.name}" is held by the parent process', -7)
        try:
            handle.client.ask(lambda n: handle.kind.release_start(self._native, n, self._grant))
        except NotHeld:
            self.look_for_loss()
            raise

    def look_for_loss(self) -> None:
        """Tell of a loss whose event the client's thread has not come to yet."""
        reason = self.handle.kind.lost_reason(self._native, self._grant)
        if reason:
            self.handle.tell_lost(self, reason)

    def let_go(self) -> None:
        """Release it without waiting, and without a word if it has ended already."""
        self.handle.let_go(self._grant)


class Handle:
    """A native lock or election, freed with this object: what it holds is then released."""

    def __init__(self, kind: Kind, client: Client, name: str, options: Options) -> None:
        self.kind = kind
        self.client = client
        self.name = name
        self.native = kind.new(client.native, name, options.native)
        self._losing = threading.Lock()
        self._current: Optional[weakref.ref[Held]] = None
        self.lost_callback: Optional[Callable[[Held], None]] = None
        client.handles[kind.id(self.native)] = self

    def __del__(self) -> None:
        if hasattr(self, "native"):
            self.kind.free(self.native)

    def let_go(self, grant: int) -> None:
        """Release a grant without waiting, and without a word if it has ended already."""
        try:
            self.kind.release_start(self.native, 0, grant)
        except NotHeld:
            return

    def on_held(self, event: Event) -> Held:
        """Called by who reads HELD, before the asker goes on. LOST may have been read before."""
        held = Held(self, event)
        self._current = weakref.ref(held)
        held.look_for_loss()
        return held

    def on_lost(self, event: Event) -> None:
        """Called by the client's thread: a grant has ended unasked."""
        held = self._current() if self._current else None
        if held and held.is_of(event):
            self.tell_lost(held, event.reason)

    def tell_lost(self, held: Held, reason: int) -> None:
        """Tell of a loss, once."""
        with self._losing:
            if held.lost.is_set():
                return
            held.reason = _native.mpsync_reason_text(reason)
            held.lost.set()
        if self.lost_callback:
            self.lost_callback(held)


class Claimant:
    """A name, its options, and the handle with which this process asks for it."""

    def __init__(self, kind: Kind, name: str, url: Optional[str], **options: Seconds) -> None:
        self.name = name
        self.base_uri = url
        self._kind = kind
        self._options = Options(dict(options))
        self._held: Optional[Held] = None
        self._open()

    @property
    def _url(self) -> Optional[str]:
        return None if self.base_uri is None else plain_text("url", self.base_uri)

    def _open(self) -> None:
        name = plain_text("name", self.name)
        self._handle = Handle(self._kind, clients.of(self._url), name, self._options)
        self._opened = (self.name, self.base_uri)
        self._handle.lost_callback = self._lost_callback()

    def _lost_callback(self) -> Optional[Callable[[Held], None]]:
        return None

    def _own_handle(self) -> Handle:
        """The handle of this very process: a child of fork opens its own."""
        if self._handle.client.pid != os.getpid():
            self._held = None
            self._open()
        return self._handle

    def _asking_handle(self) -> Handle:
        """The handle for the name and the store as they are now: both may change between grants."""
        self._own_handle()
        held = self._held is not None and self._held.is_held()
        if self._opened != (self.name, self.base_uri) and not held:
            self._open()
        return self._handle

    def _take(self, value: Optional[str], wait_ms: int) -> Held:
        """Ask and wait. Ctrl-C withdraws the request."""
        handle = self._asking_handle()
        request = AwaitedRequest(
            handle.client, lambda n: self._kind.start(handle.native, n, value, wait_ms)
        )
        try:
            event = request.wait()
            if event.type == HELD:
                self._held = held = handle.on_held(event)
                return held
        except BaseException:
            self._kind.cancel(handle.native)
            event = request.wait()
            if event.type == HELD:
                handle.let_go(event.grant)
            raise
        raise event.error()

    def _present(self) -> Held:
        """The present grant, or NotHeld."""
        self._own_handle()
        if self._held is None:
            raise NotHeld(f'"{self.name}" is not held', -7)
        return self._held

    def cancel(self) -> None:
        """End the waiting of another thread, which then raises `Cancelled`."""
        self._kind.cancel(self._own_handle().native)

    @property
    def token(self) -> Optional[int]:
        """The fencing token of the present grant, or None."""
        held = self._held
        return held.token if held and held.is_held() else None

    def remaining(self) -> float:
        """Seconds until the present grant ends unless it is renewed; 0.0 without one."""
        return self._held.remaining() if self._held else 0.0

    def __repr__(self) -> str:
        state = "held" if self._held and self._held.is_held() else "not held"
        return f"<{type(self).__name__} {self.name!r}, {state}>"
