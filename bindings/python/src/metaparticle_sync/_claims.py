"""Who asks for what: the threads and tasks that share one lock or election object."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any, Callable, NamedTuple, Optional

from . import _native
from ._client import (
    ENDING,
    LOG,
    TERM,
    WAITING,
    Awaited,
    Client,
    Event,
    aside,
    client_of,
    logger,
    report,
)
from ._errors import AlreadyHeld, Closed, NotHeld
from ._handle import Callbacks, Handle, Held, Kind, Term
from ._options import Seconds, options_of, plain_text


class Waiting(NamedTuple):
    """What is known while one waits: who has the name, the place in the queue, a silence's length.

    `position` 1 is next, 0 is not known; `unchanged` is how many seconds the holder was silent.
    """

    holder: Optional[str]
    position: int
    unchanged: float


class Claim:
    """One request of one owner, a thread or a task, with the grant or the terms it leads to."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.handle: Any = None  # a Handle, once it has been lent
        self.number = 0
        self.held: Optional[Held] = None
        self.request: Optional[Awaited] = None

    def is_alive(self) -> bool:
        """Whether it asks, or holds: its owner cannot ask again."""
        return self.held is None or self.held.is_held()

    def frees_its_handle(self) -> bool:
        """Whether its handle takes another request now, which queues behind what is left."""
        return self.handle is not None

    def withdraw(self) -> None:
        """Whatever has become of the request, nothing of it stays."""
        if self.number and not (self.request and self.request.has_failed()):
            self.handle.withdraw(self.number)


class Run(Claim):
    """A claim that stands for term after term; the C library decides when, `tell` is told."""

    def __init__(self, owner: object, tell: Callable[[Event], object]) -> None:
        super().__init__(owner)
        self._tell = tell
        self._left = False
        self.term: Optional[Term] = None

    def is_alive(self) -> bool:
        """Until its loop has ended."""
        return True

    def frees_its_handle(self) -> bool:
        """Nothing queues behind a run, which may never end."""
        return self.number not in self.handle.client.pump.requests

    def start(self, value: Optional[str], wait_ms: int) -> None:
        """Begin to stand; `number` was drawn before, so that `stop` can come first."""
        native = self.handle.native
        self.handle.client.start(
            self.number,
            self._on_event,
            lambda n: _native.mpsync_election_run_start(native, n, value, wait_ms),
        )

    def stop(self) -> None:
        """End it: the work of a term is told so, and keeps the term until it has ended."""
        if self.number and self.handle.client.is_ours():
            with suppress(Closed):  # then it has ended by itself
                _native.mpsync_election_run_stop(self.handle.native, self.number)

    def done(self, term: Term, failed: bool) -> None:
        """The work of a term has ended."""
        with suppress(NotHeld, Closed):
            _native.mpsync_election_term_done(self.handle.native, term.grant, failed)

    def check_process(self) -> None:
        """Raise `Closed` in a child that was forked by the work of a term."""
        if not self.handle.client.is_ours():
            raise Closed("the election is run by the parent process", -11)

    def withdraw(self) -> None:
        """Nobody will work in it any more."""
        self._left = True
        self.stop()
        if self.term:
            self.done(self.term, True)

    def _on_event(self, event: Event) -> None:
        if event.type == LOG:
            aside(logger.warning, "%s", event.message)
            return
        if event.type == TERM:
            self.held = self.term = Term(self.handle, event)
            self.handle.begin(self.term)
            if self._left:
                self.done(self.term, True)
        elif event.type == ENDING and self.term:
            self.term.end(event)
        self._tell(event)


def callback(name: str, doc: str) -> Any:
    """An attribute that lives as long as what is held, not as the lock object."""

    def set_it(claimant: Claimant, callback: Optional[Callable[[], object]]) -> None:
        setattr(claimant._callbacks, name, callback)

    return property(lambda claimant: getattr(claimant._callbacks, name), set_it, doc=doc)


class _Thread(threading.local):
    """Who asks: the system gives the number of a thread that has ended to a later one."""

    def __init__(self) -> None:
        self.identity = object()


class _Here:
    """What one process has of the object; a child of fork begins with nothing."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.mutex = threading.RLock()  # a signal's handler may come in between
        self.claims: list[Claim] = []
        self.entered: list[Claim] = []  # by `with`, until its end
        self.idle: list[Handle] = []
        self.opened: object = None  # for which name and store `idle` is


class Claimant:
    """A name, its options, and the handles with which this process asks for it.

    Each thread or task that asks has a handle of its own, so that they wait for one another as
    those of different machines do.
    """

    _thread = _Thread()
    on_lost = callback(
        "on_lost", "Called on a thread of its own when it was lost, or dropped while it was held."
    )

    def __init__(
        self,
        kind: Kind,
        name: str,
        base_uri: Optional[str],
        client: Optional[Client],
        on_lost: Optional[Callable[[], object]],
        on_waiting: Optional[Callable[[Waiting], object]],
        **options: Seconds,
    ) -> None:
        self.name = name
        self.base_uri = base_uri
        self.on_waiting = on_waiting
        self._callbacks = Callbacks()
        self.on_lost = on_lost
        self._client = client
        self._kind = kind
        self._options = options_of(**options)
        self._of_process = _Here()
        self._give_back(self._open())

    def _owner(self) -> object:
        return self._thread.identity

    @property
    def _here(self) -> _Here:
        if self._of_process.pid != os.getpid():
            self._of_process = _Here()
        return self._of_process

    def _connection(self) -> Client:
        if self._client is not None:
            return self._client
        return client_of(None if self.base_uri is None else plain_text("url", self.base_uri))

    def _open(self) -> Handle:
        name = plain_text("name", self.name)
        return Handle(self._kind, self._connection(), name, self._options, self._callbacks)

    def _give_back(self, handle: Handle) -> None:
        here = self._here
        if here.opened != (self.name, self.base_uri):
            here.opened = (self.name, self.base_uri)
            here.idle.clear()
        if handle.client.is_ours() and handle.name == self.name:
            here.idle.append(handle)

    def _lend(self, claim: Claim) -> Handle:
        """A handle that nobody uses, for the name and the store as they are now."""
        here = self._here
        with here.mutex:
            here.claims = [other for other in here.claims if other.is_alive()]
            if any(other.owner == claim.owner for other in here.claims):
                raise AlreadyHeld(f'"{self.name}" is held, or asked for, by this caller', -8)
            here.claims.append(claim)
            if here.opened == (self.name, self.base_uri) and here.idle:
                claim.handle = here.idle.pop()
        if claim.handle is None:
            claim.handle = self._open()
        claim.number = claim.handle.client.number()
        return claim.handle  # type: ignore[no-any-return]

    def _forget(self, claim: Claim) -> None:
        """The claim is over, and its handle is for the next one: what is left of it goes first."""
        here = self._here
        with here.mutex:
            if claim in here.entered and not claim.held:
                here.entered.remove(claim)
            if claim in here.claims:
                here.claims.remove(claim)
                if claim.frees_its_handle():
                    self._give_back(claim.handle)

    def _take(self, claim: Claim, value: Optional[str], wait_ms: int) -> Held:
        """Ask and wait. The caller takes the claim back if that, or what follows, is cut short."""
        handle = self._lend(claim)
        request = Awaited(handle.client)
        claim.number = request.number
        self._kind.start(handle.native, claim.number, value, wait_ms)
        claim.request = request
        event = request.wait(self._tell_waiting).result()
        claim.held = held = handle.on_held(event)
        return held

    def _take_back(self, claim: Claim) -> None:
        """Whatever has become of it, nothing stays held or queued."""
        claim.withdraw()
        self._forget(claim)
        if claim.request:
            claim.request.leave()

    def _give_up(self) -> None:
        """As `_take_back`, of what the caller has or asks for."""
        owner = self._owner()
        for claim in list(self._here.claims):
            if claim.owner == owner:
                self._take_back(claim)

    def _release(self, claim: Claim) -> None:
        assert claim.held is not None
        claim.held.release()
        self._forget(claim)

    def _tell_waiting(self, event: Event) -> None:
        if event.type == LOG:
            aside(logger.warning, "%s", event.message)
        elif event.type == WAITING and self.on_waiting:
            waiting = Waiting(event.holder, event.position, event.unchanged_ms / 1000)
            report(self.on_waiting, waiting)

    def _holding(self) -> Optional[Claim]:
        """The claim that holds now: there is one at most."""
        for claim in list(self._here.claims):
            if claim.held and claim.held.is_held():
                return claim
        return None

    def _present(self) -> Claim:
        """The caller's own grant, else the latest; NotHeld without any."""
        owner = self._owner()
        granted = [claim for claim in list(self._here.claims) if claim.held]
        own = [claim for claim in granted if claim.owner == owner]
        if not granted:
            raise NotHeld(f'"{self.name}" is not held', -7)
        return (own or granted)[-1]

    def _enter(self, claim: Claim, held: Held) -> Held:
        self._here.entered.append(claim)
        return held

    def _leave(self) -> Optional[Claim]:
        """The claim of the block that ends here, if it was not released in it.

        A block may be left by another thread than it was entered by, as in thread pools.
        """
        here = self._here
        with here.mutex:
            if not here.entered:
                return None
            claim = here.entered[-1]
            if len(here.entered) > 1:
                owner = self._owner()
                own = (other for other in reversed(here.entered) if other.owner == owner)
                claim = next(own, claim)
            here.entered.remove(claim)
            return claim if claim in here.claims else None

    def cancel(self) -> None:
        """End the waiting of other threads or tasks, which then raise `Cancelled`."""
        for claim in list(self._here.claims):
            if claim.handle is not None and claim.held is None:
                self._kind.cancel(claim.handle.native)

    def is_held(self) -> bool:
        """Whether this object holds it now."""
        return self._holding() is not None

    @property
    def token(self) -> Optional[int]:
        """The fencing token of the present grant, or None."""
        claim = self._holding()
        return claim.held.token if claim and claim.held else None

    def remaining(self) -> float:
        """Seconds until the present grant ends unless it is renewed; 0.0 without one."""
        claim = self._holding()
        return claim.held.remaining() if claim and claim.held else 0.0

    def __repr__(self) -> str:
        state = "held" if self.is_held() else "not held"
        return f"<{type(self).__name__} {self.name!r}, {state}>"
