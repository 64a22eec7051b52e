"""What can go wrong: one base class, one class for each thing a program would tell apart."""

from __future__ import annotations

import threading


class SyncError(Exception):
    """Base of everything this package raises; `status` is the C library's number for it."""

    def __init__(self, message: str, status: int = -16) -> None:
        super().__init__(message)
        self.status = status


class InvalidArgument(SyncError, ValueError):
    """A name, an option or a URL breaks the contract; the message says which and why."""


class LockTimeout(SyncError, TimeoutError):
    """The wait ended without the lock; the message names the holder."""


class LockLost(SyncError):
    """The right ran out or was taken while the work went on."""


class StoreError(SyncError):
    """The store did not answer, refused, or holds what this library does not write."""


class Cancelled(SyncError):
    """The request was cancelled."""


class NotHeld(SyncError, threading.ThreadError):
    """Nothing is held that could be released."""


class AlreadyHeld(SyncError, threading.ThreadError):
    """The object holds the lock, or asks for it, already."""


class Unsupported(SyncError):
    """The store cannot do that."""


class Closed(SyncError):
    """The client is closed, or belongs to the parent process."""


_CLASSES: dict[int, type[SyncError]] = {
    -1: InvalidArgument,
    -2: LockTimeout,
    -3: LockLost,
    -4: StoreError,
    -5: LockTimeout,
    -6: Cancelled,
    -7: NotHeld,
    -8: AlreadyHeld,
    -9: StoreError,
    -10: StoreError,
    -11: Closed,
    -12: Closed,
    -14: Unsupported,
    -15: StoreError,
}


def error_of(status: int, message: str) -> Exception:
    """The exception for a status of the C library."""
    if status == -13:
        return MemoryError(message)
    return _CLASSES.get(status, SyncError)(message, status)
