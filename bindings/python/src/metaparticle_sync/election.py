"""Elections for threads."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Callable, NamedTuple, Optional, Union

from . import _native
from ._claims import Claim, Claimant, Run, Waiting
from ._client import (
    DEFAULT_BASE_URI,
    ENDING,
    LEADER,
    LOG,
    TERM,
    WAITING,
    Client,
    Event,
    aside,
    logger,
)
from ._errors import AlreadyHeld, Closed
from ._handle import ELECTION, Held, Term
from ._options import WAIT_AS_OPTION, Seconds, wait_ms


class Leader(NamedTuple):
    """Who leads, as others see it: identity, value for observers, and fencing token of the term."""

    holder: str
    value: Optional[str]
    token: int


class Observation:
    """Changes of one name's leader; `tell` gets each, and at the end an `Event`."""

    def __init__(self, client: Client, name: str, tell: Callable[[Any], object]) -> None:
        self._client = client
        self._tell = tell
        self._number = client.number()
        client.start(
            self._number,
            self._on_event,
            lambda n: _native.mpsync_client_observe_start(client.native, n, name),
        )

    def _on_event(self, event: Event) -> None:
        if event.type == LEADER:
            self._tell(event.holder and Leader(event.holder, event.value, event.token))
        elif event.type == LOG:  # the store is silent; it goes on by itself
            aside(logger.warning, "%s", event.message)
        else:
            self._tell(event)

    def stop(self) -> None:
        """End it; the last event tells that no more will come."""
        if self._client.is_ours():
            with suppress(Closed):  # then it has ended by itself
                _native.mpsync_client_observe_stop(self._client.native, self._number)


class Candidate(Claimant):
    """What elections of threads and of asyncio share."""

    _run: Optional[Run] = None
    _stopped = False

    def __init__(
        self,
        name: str,
        base_uri: Optional[str],
        client: Optional[Client],
        value: Optional[str],
        on_lost: Optional[Callable[[], object]],
        on_waiting: Optional[Callable[[Waiting], object]],
        **options: Seconds,
    ) -> None:
        super().__init__(ELECTION, name, base_uri, client, on_lost, on_waiting, **options)
        self._value = value

    def _value_or(self, value: Optional[str]) -> Optional[str]:
        return self._value if value is None else value

    def _stand(self, run: Run, value: Optional[str], wait: int) -> bool:
        """Begin to stand for term after term; False if it was stopped before."""
        with self._here.mutex:
            if self.running:
                raise AlreadyHeld(f'the election "{self.name}" is running already', -8)
            if self._stopped:
                self._stopped = False
                return False
            self._lend(run)
            self._run = run
        run.start(self._value_or(value), wait)
        return True

    def _stand_no_more(self, run: Run) -> None:
        with self._here.mutex:
            if self._run is run:
                self._run = None
            self._forget(run)

    @property
    def running(self) -> bool:
        """Whether `lead()` or `run()` is under way."""
        return self._run is not None and self._run in self._here.claims

    def stop(self) -> None:
        """End `lead()`, or the next one: the work of a term is told, and keeps the term meanwhile.

        Returns at once, so the work itself may call it.
        """
        with self._here.mutex:
            if self.running and self._run:
                self._run.stop()
            else:
                self._stopped = True

    def _resign_from_run(self, claim: Claim) -> bool:
        """In `lead()` the work of the term is asked to end, which may be what calls."""
        if isinstance(claim, Run) and claim.held:
            self._kind.release_start(claim.handle.native, 0, claim.held.grant)
        return isinstance(claim, Run)


class Election(Candidate):
    """One name that at most one candidate leads at a time.

    `lead()` stands again and again and does work while it leads; `campaign()` and `resign()` are
    for one term. `run()` and `shutdown()` are the first API's loop. The arguments are those of
    `Lock`; `value` is what observers see of this candidate.
    """

    def __init__(
        self,
        name: str,
        is_master_callback: Optional[Callable[[], object]] = None,
        lost_master_callback: Optional[Callable[[], object]] = None,
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
        self.master_callback = is_master_callback
        self.lost_master_callback = lost_master_callback
        options = {"ttl": ttl, "identity": identity, "wait": wait, "drain": drain}
        super().__init__(name, url or base_uri, client, value, on_lost, on_waiting, **options)

    def campaign(
        self, value: Optional[str] = None, timeout: Union[float, timedelta, None] = None
    ) -> Held:
        """Stand, wait, and return the term when this candidate leads.

        Raises `LockTimeout` when `timeout` has passed; without one it waits as the option `wait`
        says.
        """
        wait = wait_ms(timeout)
        claim = Claim(self._owner())
        try:
            return self._take(claim, self._value_or(value), wait)
        except BaseException:
            self._take_back(claim)
            raise

    def resign(self) -> None:
        """End the present term; `NotHeld` without one. In `lead()` its work is asked to end."""
        try:
            claim = self._present()
            if not self._resign_from_run(claim):
                self._release(claim)
        except BaseException:
            self._give_up()
            raise

    is_leader = locked = Claimant.is_held
    release = resign

    @property
    def lock(self) -> Election:
        """What is stood for, as a lock: its `name` and `base_uri` may be set between two terms."""
        return self

    def set_value(self, value: Optional[str]) -> None:
        """Change what observers see of the present term."""
        handle = self._present().handle
        handle.client.ask(_native.mpsync_election_set_value_start, handle.native, value)
        self._value = value

    def observe(self) -> Iterator[Optional[Leader]]:
        """Yield who leads now (None: nobody), and then each change, until it is closed."""
        told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        observation = Observation(self._connection(), self.name, told.put)
        try:
            while True:
                news = told.get()
                if isinstance(news, Event):
                    news.result()
                    return
                yield news
        finally:
            observation.stop()

    def leader(self) -> Optional[Leader]:
        """Who leads now, or None."""
        changes = self.observe()
        try:
            return next(changes)
        finally:
            changes.close()  # type: ignore[attr-defined]

    def lead(self, work: Callable[[Term], object], value: Optional[str] = None) -> None:
        """Stand again and again, and call `work(term)` on this thread while it leads.

        The term stays held until `work` has returned, whatever ends it but a loss:
        `term.ending` is set when it shall return. It is given back then, and the candidate stands
        again. What `work` raises is logged, and the next term waits a while. Ends by `stop()`.
        """

        def serve(run: Run, term: Term) -> None:
            failed = True
            try:
                work(term)
                failed = False
            except Exception:
                logger.exception('the work of a term of "%s" failed', term.name)
            finally:
                run.done(term, failed)

        self._serve_terms(value, WAIT_AS_OPTION, serve)

    def run(self) -> None:
        """Campaign again and again until `shutdown()`, and tell the callbacks.

        `is_master_callback` is called on this thread when a term begins, `lost_master_callback` on
        another, once, when it ends, for whatever reason: a callback that is still at work has to
        stop then. The term stays held until both have returned, unless it is lost; then a new one
        begins. What `is_master_callback` raises ends the term, and comes out of here.
        """

        def serve(run: Run, term: Term) -> None:
            watch = aside(self._watch, term)
            failed = True
            try:
                if self.master_callback:
                    self.master_callback()
                watch.join()
                failed = False
            finally:
                term.ending.set()
                watch.join()
                run.done(term, failed)

        self._serve_terms(None, -1, serve)

    def shutdown(self) -> None:
        """End `run()`: a leader is told, and resigns when its callbacks have returned.

        Returns at once. Before `run()` it has no effect.
        """
        if self.running:
            self.stop()

    def _watch(self, term: Term) -> None:
        term.ending.wait()
        if self.lost_master_callback:
            self.lost_master_callback()

    def _serve_terms(
        self, value: Optional[str], wait: int, serve: Callable[[Run, Term], None]
    ) -> None:
        news: queue.SimpleQueue[Event] = queue.SimpleQueue()
        run = Run(self._owner(), news.put)
        try:
            if not self._stand(run, value, wait):
                return
            while True:
                event = news.get()
                if event.type == TERM and run.term:
                    serve(run, run.term)
                    run.check_process()
                elif event.type == WAITING:
                    self._tell_waiting(event)
                elif event.type != ENDING:
                    event.result()
                    return
        except BaseException:
            run.withdraw()
            raise
        finally:
            self._stand_no_more(run)
