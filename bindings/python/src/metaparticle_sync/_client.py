"""One connection for each URL of the process, and the thread that hands out its events."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import weakref
from typing import Any, Callable, NamedTuple, Optional, Union

from . import _native
from ._errors import InvalidArgument, error_of

DEFAULT_BASE_URI = "http://localhost:13131"
WAIT_AS_OPTION = -2

HELD, LOST, RELEASED, BUSY, CANCELLED, FAILED, WAITING, LEADER, LOG, DONE = range(1, 11)

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

    def error(self) -> Exception:
        """What this event says, as an exception."""
        message = self.message or _native.mpsync_status_text(self.status)
        if not self.message and self.holder:
            message = f"{message}: {self.holder} has it"
        return error_of(self.status, message)

    def result(self) -> Event:
        """The event itself, or the exception that it stands for."""
        if self.status:
            raise self.error()
        return self


class Options:
    """The C library's options, freed with this object."""

    def __init__(self, given: dict[str, Union[str, float, None]]) -> None:
        self.native = _native.mpsync_options_new()
        for name, value in given.items():
            if value is not None:
                _native.mpsync_options_set(self.native, name, option_text(name, value))

    def __del__(self) -> None:
        if hasattr(self, "native"):
            _native.mpsync_options_free(self.native)


def option_text(name: str, value: Union[str, float]) -> str:
    """A number is seconds; text is passed on as it is."""
    if isinstance(value, str):
        return plain_text(name, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: seconds or text like '15s' are expected, not {value!r}")
    return f"{wait_ms(value)}ms"


def plain_text(what: str, text: str) -> str:
    """Text that C can take whole, or an error that says what is wrong with it."""
    if not isinstance(text, str):
        raise TypeError(f"{what}: text is expected, not {text!r}")
    if "\0" in text:
        raise InvalidArgument(f"{what}: {text!r} has a NUL character in it", -1)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what}: {text!r} is not valid Unicode: {error}", -1) from None
    return text


def wait_ms(seconds: float) -> int:
    """Milliseconds, rounded up, so that a short wait is never none."""
    if not 0 <= seconds < 2**53 / 1000:
        raise InvalidArgument(f"{seconds!r} is not a number of seconds from 0 on", -1)
    return int(-(-seconds * 1000 // 1))


class Request:
    """A call under way; `on_end` is called once, on the client's thread."""

    __slots__ = ("event", "handle", "held", "on_end", "on_progress")

    def __init__(self, handle: Any, on_end: Callable[[Request], None]) -> None:
        self.handle = handle
        self.on_end = on_end
        self.on_progress: Optional[Callable[[Event], None]] = None
        self.event: Optional[Event] = None
        self.held: Any = None

    def result(self) -> Event:
        """The event that ended it, or the exception that it stands for."""
        assert self.event is not None
        return self.event.result()


class AwaitedRequest:
    """A call whose asker waits for its end in the C library, not for the client's thread."""

    __slots__ = ("_client", "_ended", "_number")

    def __init__(self, client: Client, call: Callable[[int], object]) -> None:
        self._ended: list[Any] = []
        self._client = client
        self._number = client.number() | _native.MPSYNC_OP_AWAITED
        client.awaited.add(self._number)
        try:
            call(self._number)
        except BaseException:
            client.awaited.discard(self._number)
            raise

    def wait(self) -> Event:
        """The event that ended it. Wait again after a signal's exception (Ctrl-C)."""
        while not self._ended:
            _native.mpsync_queue_wait_for(self._client.queue, self._number, self._ended)
        self._client.awaited.discard(self._number)
        return Event(*self._ended[0])


class Client:
    """A connection to one store, its queue, and the thread that reads it."""

    def __init__(self, url: Optional[str]) -> None:
        self.pid = os.getpid()
        self.queue = _native.mpsync_queue_new()
        self.native = _native.mpsync_client_open(url, None, self.queue)
        self._numbers = itertools.count(1)
        self._requests: dict[int, Request] = {}
        self.awaited: set[int] = set()
        self.handles: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._closed = False
        self._thread = threading.Thread(target=self._pump, name="metaparticle-sync", daemon=True)
        self._thread.start()

    def number(self) -> int:
        """The next request's."""
        return next(self._numbers)

    def start(self, request: Request, call: Callable[[int], object]) -> int:
        """Give the request a number and make the call with it."""
        number = self.number()
        self._requests[number] = request
        try:
            call(number)
        except BaseException:
            self._requests.pop(number, None)
            raise
        return number

    def ask(self, call: Callable[[int], object]) -> Event:
        """Make a call that ends soon, and wait for its end."""
        return AwaitedRequest(self, call).wait().result()

    def close(self) -> None:
        """Release all that is held, and end."""
        if self._closed or self.pid != os.getpid():
            return
        self._closed = True
        _native.mpsync_client_close(self.native)
        _native.mpsync_queue_wakeup(self.queue)
        self._thread.join()
        if not self.awaited:  # else another thread is still on its way out of there
            _native.mpsync_queue_free(self.queue)

    def _pump(self) -> None:
        while True:
            fields = _native.mpsync_queue_wait(self.queue, -1)
            if fields is None:
                if self._closed:
                    return
                continue
            try:
                self._dispatch(Event(*fields))
            except Exception:
                logger.exception("an event could not be delivered")

    def _dispatch(self, event: Event) -> None:
        handle = self.handles.get(event.lock)
        if event.type == LOST:
            if handle is not None:
                handle.on_lost(event)
            return
        request = self._requests.get(event.op_id)
        if request is None:
            return
        if event.type in (WAITING, LEADER, LOG):
            if request.on_progress:
                request.on_progress(event)
            return
        del self._requests[event.op_id]
        request.event = event
        if event.type == HELD:
            request.held = request.handle.on_held(event)
        request.on_end(request)


class _Clients:
    """The process's clients by URL; a child of fork starts with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_url: dict[Optional[str], Client] = {}
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self._close)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._by_url = {}

    def of(self, url: Optional[str]) -> Client:
        url = None if url in (None, "", DEFAULT_BASE_URI) else url
        with self._lock:
            client = self._by_url.get(url)
            if client is None:
                client = self._by_url[url] = Client(url)
            return client

    def _close(self) -> None:
        for client in self._by_url.values():
            client.close()


clients = _Clients()
