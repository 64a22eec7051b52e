"""One connection to one store, and the thread that hands out what its queue tells."""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
import weakref
from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional

from . import _native
from ._errors import Closed, error_of
from ._options import Owned, Seconds, options_of, plain_text

DEFAULT_BASE_URI = "http://localhost:13131"

HELD, LOST, RELEASED, BUSY, CANCELLED, FAILED, WAITING, LEADER, LOG, DONE, TERM, ENDING = range(
    1, 13
)
GO_ON = (WAITING, LEADER, LOG, TERM, ENDING)  # after which a request tells more

logger = logging.getLogger("metaparticle_sync")


class Event(NamedTuple):
    """An event of the C library (`mpsync_event`)."""

    type: int
    status: int
    reason: int
    position: int
    op_id: int
    lock: int
    grant: int
    token: int
    unchanged_ms: int
    name: Optional[str]
    holder: Optional[str]
    value: Optional[str]
    message: Optional[str]
    left_ms: int

    def result(self) -> Event:
        """The event itself, or the exception that it stands for."""
        if not self.status:
            return self
        message = self.message or _native.mpsync_status_text(self.status)
        if not self.message and self.holder:
            message = f"{message}: {self.holder} has it"
        raise error_of(self.status, message)


def report(call: Callable[..., object], *arguments: Any) -> None:
    """Call the program's function; what it raises is logged."""
    try:
        call(*arguments)
    except Exception:
        logger.exception("a callback raised an exception")


def aside(call: Callable[..., object], *arguments: Any) -> threading.Thread:
    """Call it on a thread of its own, so that nobody who waits for events waits for it."""
    thread = threading.Thread(
        target=report, args=(call, *arguments), name="metaparticle-sync-tell", daemon=True
    )
    thread.start()
    return thread


class Pump:
    """What the client's thread works with. It outlives the client until all is released."""

    def __init__(self, url: Optional[str], options: Owned) -> None:
        self.queue = Owned(_native.mpsync_queue_new(), _native.mpsync_queue_free)
        self.client = Owned(  # closed by the thread, freed after the last who may call with it
            _native.mpsync_client_open(url, options.native, self.queue.native),
            _native.mpsync_client_close,
        )
        self.numbers = itertools.count(1)
        self.requests: dict[int, Callable[[Event], object]] = {}
        self.handles: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._closing = 0
        self.thread = threading.Thread(target=self._run, name="metaparticle-sync", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Release all that is held, and end: begun here, done by the thread."""
        if not self._closing:
            self._closing = next(self.numbers)
            _native.mpsync_queue_wakeup(self.queue.native)

    def _run(self) -> None:
        asked = False
        while True:
            fields = _native.mpsync_queue_wait(self.queue.native, -1)
            if fields is not None:
                event = Event(*fields)
                if asked and event.op_id == self._closing:
                    return
                report(self._dispatch, event)
            elif self._closing and not asked:
                asked = True
                try:
                    _native.mpsync_client_close_start(self.client.native, self._closing)
                except Closed:
                    return

    def _dispatch(self, event: Event) -> None:
        tell = self.requests.get(event.op_id)
        if event.type == LOST:
            handle = self.handles.get(event.lock)
            if handle is not None:
                handle.on_lost(event)
        elif tell is None:
            if event.type == LOG:
                aside(logger.warning, "%s", event.message)
        else:
            if event.type not in GO_ON:
                del self.requests[event.op_id]
            tell(event)


class Client:
    """A connection to one store, which its locks and elections share.

    Without one they make their own for each URL of the process, which closes with the last of
    them. `close()`, or the end of a `with` block, releases all that is held; locks of a closed
    client raise `Closed`. The options are defaults for its locks: `ttl`, `identity`, `wait`.
    """

    def __init__(self, url: Optional[str] = None, **options: Seconds) -> None:
        self.url = url if url is None else plain_text("url", url)
        self._pid = os.getpid()
        self.pump = Pump(self.url, options_of(**options))

    @property
    def native(self) -> Any:
        """The C library's client."""
        return self.pump.client.native

    def is_ours(self) -> bool:
        """Whether this process opened it: a child of fork opens its own."""
        return self._pid == os.getpid()

    def number(self) -> int:
        """The next request's."""
        return next(self.pump.numbers)

    def start(
        self, number: int, tell: Callable[[Event], object], call: Callable[[int], object]
    ) -> None:
        """Make a call with this number; `tell` gets its events, on the client's thread."""
        self.pump.requests[number] = tell
        try:
            call(number)
        except BaseException:
            self.pump.requests.pop(number, None)
            raise

    def ask(self, call: Callable[..., object], native: object, argument: object) -> None:
        """Make a call of the C library, and wait for its end.

        Who is interrupted need not wait for it.
        """
        request = Awaited(self)
        call(native, request.number, argument)
        try:
            request.wait().result()
        except BaseException:
            request.leave()
            raise

    def close(self) -> None:
        """Release all that is held, no longer than the rights last, and end."""
        if self.is_ours():
            self.pump.close()
            if self.pump.thread is not threading.current_thread():
                self.pump.thread.join()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "pump") and self.is_ours() and not sys.is_finalizing():
            self.pump.close()


class Awaited:
    """A request whose asker waits in the C library, so that no other thread passes events on."""

    def __init__(self, client: Client) -> None:
        self.number = next(client.pump.numbers) | _native.MPSYNC_OP_AWAITED
        self._queue = client.pump.queue
        self._told: list[tuple[Any, ...]] = []

    def wait(self, tell: Callable[[Event], object] = lambda _: None) -> Event:
        """The event that ends it. May be called again after a signal's exception (Ctrl-C)."""
        told, ended = self._told, self.has_ended()
        while not ended:
            before = len(told)
            _native.mpsync_queue_wait_for(self._queue.native, self.number, told)
            ended = self.has_ended()
            if not ended and len(told) > before:
                tell(Event(*told[-1]))
        return Event(*told[-1])

    def has_ended(self) -> bool:
        """Whether its last event has come."""
        return bool(self._told) and self._told[-1][0] not in GO_ON

    def has_failed(self) -> bool:
        """Whether it has ended without a grant."""
        return self.has_ended() and self._told[-1][0] != HELD

    def leave(self) -> None:
        """Nobody waits any more: what it still tells is read and dropped."""
        if not self.has_ended():
            aside(self.wait)


class _Clients:
    """The clients of one process by URL, each as long as somebody uses it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._by_url: weakref.WeakValueDictionary[Optional[str], Client] = (
            weakref.WeakValueDictionary()
        )

    def of(self, url: Optional[str]) -> Client:
        url = None if url in (None, "", DEFAULT_BASE_URI) else url
        with self._lock:
            client = self._by_url.get(url)
            if client is None:
                client = self._by_url[url] = Client(url)
            return client


_clients = _Clients()


def client_of(url: Optional[str]) -> Client:
    """The client of the URL in this process, which may be a fork that Python was not told of."""
    global _clients
    if _clients.pid != os.getpid():
        _clients = _Clients()
    return _clients.of(url)
