"""Locks and leader election for programs that run as many copies.

from metaparticle_sync import Lock

with Lock("orders/42", url="file:locks.db") as held:
    print("this is turn", held.token)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._claims import Waiting
from ._client import DEFAULT_BASE_URI, Client
from ._errors import (
    AlreadyHeld,
    Cancelled,
    Closed,
    InvalidArgument,
    LockLost,
    LockTimeout,
    NotHeld,
    StoreError,
    SyncError,
    Unsupported,
)
from ._handle import Held, Term
from .election import Election, Leader
from .lock import Lock, synchronized
from .version import __version__

if TYPE_CHECKING:
    from ._aio import AsyncElection, AsyncLock

__all__ = [
    "DEFAULT_BASE_URI",
    "AlreadyHeld",
    "AsyncElection",
    "AsyncLock",
    "Cancelled",
    "Client",
    "Closed",
    "Election",
    "Held",
    "InvalidArgument",
    "Leader",
    "Lock",
    "LockLost",
    "LockTimeout",
    "NotHeld",
    "StoreError",
    "SyncError",
    "Term",
    "Unsupported",
    "Waiting",
    "__version__",
    "synchronized",
]


def __getattr__(name: str) -> object:
    """Load asyncio's classes only for those who use them."""
    if name in ("AsyncElection", "AsyncLock"):
        from . import _aio

        return getattr(_aio, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
