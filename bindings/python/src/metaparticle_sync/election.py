"""Elections for threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Callable, NamedTuple, Optional

from . import _native
from ._client import (
    DEFAULT_BASE_URI,
    LEADER,
    WAIT_AS_OPTION,
    Client,
    Event,
    Request,
    clients,
    logger,
    wait_ms,
)
from ._errors import AlreadyHeld, Cancelled, StoreError
from ._handle import ELECTION, Claimant, Held, Seconds, report

UNREACHABLE = -4
RETRY_S = 1.0


class Leader(NamedTuple):
    """Who leads, as others see it: identity, value for observers, and fencing token of the term."""

    holder: str
    value: Optional[str]
    token: int


def leader_of(event: Event) -> Optional[Leader]:
    """The leader that an event tells of; None: nobody leads."""
    return None if event.holder is None else Leader(event.holder, event.value, event.token)


class Observation:
    """Changes of one name's leader; `on_change` and `on_end` are called on the client's thread."""

    def __init__(
        self,
        client: Client,
        name: str,
        on_change: Callable[[Optional[Leader]], None],
        on_end: Callable[[Request], None],
    ) -> None:
        self._client = client
        request = Request(None, on_end)
        request.on_progress = lambda event: self._tell(event, on_change)
        self._number = client.start(
            request, lambda n: _native.mpsync_client_observe_start(client.native, n, name)
        )

    @staticmethod
    def _tell(event: Event, on_change: Callable[[Optional[Leader]], None]) -> None:
        if event.type == LEADER:
            on_change(leader_of(event))
        else:
            logger.warning("%s", event.message)  # the store is silent; it goes on by itself

    def stop(self) -> None:
        """End it; `on_end` is called when no more will come."""
        _native.mpsync_client_observe_stop(self._client.native, self._number)


class Election(Claimant):
    """One name that at most one candidate leads at a time.

    `run()` is the loop of programs that act while they lead; `campaign()` and `resign()` are its
    parts. The arguments are those of `Lock`; `value` is what observers see of this candidate.
    """

    def __init__(
        self,
        name: str,
        is_master_callback: Optional[Callable[[], object]] = None,
        lost_master_callback: Optional[Callable[[], object]] = None,
        base_uri: Optional[str] = DEFAULT_BASE_URI,
        *,
        url: Optional[str] = None,
        ttl: Seconds = None,
        identity: Optional[str] = None,
        wait: Seconds = None,
        value: Optional[str] = None,
    ) -> None:
        self.is_master_callback = is_master_callback
        self.lost_master_callback = lost_master_callback
        self._value = value
        self._stop = threading.Event()
        self._running = threading.Lock()
        super().__init__(ELECTION, name, url or base_uri, ttl=ttl, identity=identity, wait=wait)

    def campaign(self, value: Optional[str] = None, timeout: float = -1) -> Held:
        """Stand, wait, and return the term when this candidate leads.

        Raises `LockTimeout` when `timeout` seconds have passed; -1 waits as the option `wait` says.
        """
        wait = WAIT_AS_OPTION if timeout == -1 else wait_ms(timeout)
        return self._take(self._value if value is None else value, wait)

    def resign(self) -> None:
        """End the present term; `NotHeld` without one."""
        held = self._present()
        self._held = None
        held.release()

    def is_leader(self) -> bool:
        """Whether this candidate leads now."""
        return self._held is not None and self._held.is_held()

    @property
    def running(self) -> bool:
        """Whether `run()` is under way."""
        return self._running.locked()

    @property
    def lock(self) -> Election:
        """What is stood for, as a lock: its `name` and `base_uri` may be set between two terms."""
        return self

    is_held = locked = is_leader
    release = resign

    def set_value(self, value: Optional[str]) -> None:
        """Change what observers see of the present term."""
        handle = self._present().handle
        handle.client.ask(
            lambda n: _native.mpsync_election_set_value_start(handle.native, n, value)
        )
        self._value = value

    def observe(self) -> Iterator[Optional[Leader]]:
        """Yield who leads now (None: nobody), and then each change, until it is closed."""
        told: queue.SimpleQueue[object] = queue.SimpleQueue()
        observation = Observation(clients.of(self._url), self.name, told.put, told.put)
        try:
            while True:
                news = told.get()
                if isinstance(news, Request):
                    news.result()
                    return
                yield news  # type: ignore[misc]
        finally:
            observation.stop()

    def leader(self) -> Optional[Leader]:
        """Who leads now, or None."""
        changes = self.observe()
        try:
            return next(changes)
        finally:
            changes.close()  # type: ignore[attr-defined]

    def run(self) -> None:
        """Campaign again and again until `shutdown()`, and tell the callbacks.

        `is_master_callback` is called on this thread when a term begins, `lost_master_callback` on
        another when it has ended, for whatever reason: a callback that is still at work has to
        stop then. A new term begins when both have returned. What `is_master_callback` raises ends
        the term, and comes out of here.
        """
        if not self._running.acquire(blocking=False):
            raise AlreadyHeld(f'the election "{self.name}" is running already', -8)
        try:
            while not self._stop.is_set():
                self._run_term()
        finally:
            self._stop.clear()
            self._running.release()

    def shutdown(self) -> None:
        """End `run()`: a leader resigns, a candidate stands no more. Returns at once.

        Before `run()` it has no effect.
        """
        if not self.running:
            return
        self._stop.set()
        self._kind.cancel(self._own_handle().native)
        held = self._held
        if held:
            held.let_go()
            held.lost.set()

    def _run_term(self) -> None:
        held = self._next_term()
        if held is None:
            return
        watch = threading.Thread(
            target=self._watch, args=(held,), name="metaparticle-sync-term", daemon=True
        )
        watch.start()
        try:
            if self.is_master_callback and not held.lost.is_set():
                self.is_master_callback()
            while watch.is_alive():
                watch.join()
        except BaseException:
            held.let_go()
            held.lost.set()
            raise
        finally:
            self._held = None

    def _next_term(self) -> Optional[Held]:
        try:
            held = self._take(self._value, -1)
        except Cancelled:
            return None
        except StoreError as error:
            if error.status != UNREACHABLE:
                raise
            logger.warning("%s", error)
            self._stop.wait(RETRY_S)
            return None
        if self._stop.is_set():
            held.let_go()
            return None
        return held

    def _watch(self, held: Held) -> None:
        held.lost.wait()
        if self.lost_master_callback:
            report(self.lost_master_callback)
