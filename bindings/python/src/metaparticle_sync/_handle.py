"""What is held: a native lock or election, its grants, and how their end is told."""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from contextlib import suppress
from typing import Any, Callable, NamedTuple, Optional

from . import _native
from ._client import Client, Event, aside
from ._errors import Closed, LockLost, NotHeld
from ._options import Owned


class Kind(NamedTuple):
    """The C functions of one kind of handle."""

    new: Callable[..., Any]
    free: Callable[[Any], None]
    id: Callable[[Any], int]
    grant: Callable[[Any], int]
    start: Callable[[Any, int, Optional[str], int], int]
    withdraw: Callable[[Any, int], int]
    cancel: Callable[[Any], int]
    release_start: Callable[[Any, int, int], int]
    is_held: Callable[[Any, int], int]
    remaining_ms: Callable[[Any, int], int]
    lost_reason: Callable[[Any, int], int]


LOCK = Kind(
    _native.mpsync_lock_new,
    _native.mpsync_lock_free,
    _native.mpsync_lock_id,
    _native.mpsync_lock_grant,
    lambda lock, number, _, wait_ms: _native.mpsync_lock_acquire_start(lock, number, wait_ms),
    _native.mpsync_lock_withdraw,
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
    _native.mpsync_election_grant,
    _native.mpsync_election_campaign_start,
    _native.mpsync_election_withdraw,
    _native.mpsync_election_cancel,
    _native.mpsync_election_resign_start,
    _native.mpsync_election_is_leader,
    _native.mpsync_election_remaining_ms,
    _native.mpsync_election_lost_reason,
)


class Callbacks:
    """What a lock tells its program: read when it is used, so it may be set at any time."""

    def __init__(self) -> None:
        self.lock_callback: Optional[Callable[[], object]] = None
        self.lock_lost_callback: Optional[Callable[[], object]] = None
        self.on_lost: Optional[Callable[[], object]] = None

    def tell_lost(self) -> None:
        """Tell of a loss, each callback on a thread of its own."""
        for callback in (self.on_lost, self.lock_lost_callback):
            if callback:
                aside(callback)


class Held:
    """One grant of a lock, or one term of a leader. It stays ended when it has ended."""

    __slots__ = (
        "__weakref__",
        "_is_held",
        "_lost",
        "_native",
        "grant",
        "handle",
        "reason",
        "token",
    )

    def __init__(self, handle: Handle, event: Event) -> None:
        self.handle = handle
        #: The fencing token, greater than that of every earlier grant of the name.
        self.token = event.token
        self._lost: Optional[threading.Event] = None
        #: Why it was lost: "expired", "taken", "deleted", "revoked", …; None while it was not.
        self.reason: Optional[str] = None
        self.grant = event.grant
        self._native = handle.native
        self._is_held = handle.kind.is_held

    @property
    def name(self) -> str:
        """What is held."""
        return self.handle.name

    @property
    def lost(self) -> threading.Event:
        """Set when the right has ended without a release; wait on it in another thread."""
        with self.handle.losing:
            if self._lost is None:  # made for who asks: it costs as much as the rest of a grant
                event = threading.Event()
                self._lost = self._lost or event  # a signal's handler may have asked meanwhile
                if self.reason:
                    self._lost.set()
            return self._lost

    def lose(self, reason: str) -> bool:
        """Note why it was lost. False if that was known."""
        with self.handle.losing:
            if self.reason:
                return False
            self.reason = reason
            if self._lost:
                self._lost.set()
            return True

    def is_held(self) -> bool:
        """Whether this very grant is held now; right after any pause, for it asks the clock."""
        return self._is_held(self._native, self.grant) != 0

    def remaining(self) -> float:
        """Seconds until the right ends unless it is renewed; 0.0 when it is not held."""
        return self.handle.kind.remaining_ms(self._native, self.grant) / 1000

    def check(self) -> None:
        """Raise `LockLost` unless it is held."""
        if not self.is_held():
            raise LockLost(f'"{self.name}" is not held any more ({self.reason or "ended"})', -3)

    def release(self) -> None:
        """Release this grant and wait until the store knows, or the right has run out."""
        handle = self.handle
        if not handle.client.is_ours():
            raise NotHeld(f'"{self.name}" is held by the parent process', -7)
        try:
            handle.client.ask(handle.kind.release_start, self._native, self.grant)
        except NotHeld:
            self.look_for_loss()
            raise

    def look_for_loss(self) -> None:
        """Tell of a loss whose event the client's thread has not come to yet."""
        reason = self.handle.kind.lost_reason(self._native, self.grant)
        if reason:
            self.handle.tell_lost(self, reason)


class Term(Held):
    """A term in which work is to be done: `ending` says when the work is to end."""

    __slots__ = ("ending", "ending_reason", "left")

    def __init__(self, handle: Handle, event: Event) -> None:
        super().__init__(handle, event)
        #: Set when the work is to end; wait on it, or ask `ending.is_set()`, and return.
        self.ending = threading.Event()
        #: Why: "stopped", "asked" (a resign), "closed", or why the right is lost, as of `reason`.
        self.ending_reason: Optional[str] = None
        #: How many seconds the term stays held then; None: until the work has ended; 0.0: lost.
        self.left: Optional[float] = None

    def end(self, event: Event) -> None:
        """Tell of ENDING."""
        self.ending_reason = _native.mpsync_reason_text(event.reason)
        self.left = None if event.left_ms < 0 else event.left_ms / 1000
        self.look_for_loss()
        self.ending.set()


class Handle:
    """A native lock or election, freed with this object: what it holds is then released."""

    def __init__(
        self, kind: Kind, client: Client, name: str, options: Owned, callbacks: Callbacks
    ) -> None:
        self.kind = kind
        self.client = client
        self.name = name
        self.native = kind.new(client.native, name, options.native)
        self._callbacks = callbacks
        self.losing = threading.RLock()
        self._current: Optional[weakref.ref[Held]] = None
        #: Called with the grant that was lost.
        self.on_loss: Callable[[Held], object] = lambda _: None
        client.pump.handles[kind.id(self.native)] = self

    def __del__(self) -> None:
        if not hasattr(self, "native") or sys.is_finalizing():
            return
        dropped = self.client.is_ours() and self.kind.grant(self.native) != 0
        self.kind.free(self.native)
        if dropped:
            self._callbacks.tell_lost()
            warnings.warn(
                f'"{self.name}" was held by an object that nobody refers to any more, '
                "and is released",
                ResourceWarning,
                stacklevel=2,
            )

    def withdraw(self, number: int) -> None:
        """Take a request back, whatever has become of it."""
        if self.client.is_ours():
            with suppress(Closed):
                self.kind.withdraw(self.native, number)

    def on_held(self, event: Event) -> Held:
        """Called by who reads HELD. LOST may have been read before."""
        return self.begin(Held(self, event))

    def begin(self, held: Held) -> Held:
        """From now on this grant is the one whose loss is told."""
        self._current = weakref.ref(held)
        held.look_for_loss()
        return held

    def on_lost(self, event: Event) -> None:
        """Called by the client's thread: a grant has ended unasked."""
        held = self._current() if self._current else None
        if held and held.grant == event.grant:
            self.tell_lost(held, event.reason)

    def tell_lost(self, held: Held, reason: int) -> None:
        """Tell of a loss, once."""
        if held.lose(_native.mpsync_reason_text(reason)):
            self._callbacks.tell_lost()
            self.on_loss(held)
