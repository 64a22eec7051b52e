"""Options, texts and times as Python's people write them, made ready for the C library."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any, Callable, Union

from . import _native
from ._errors import InvalidArgument

Seconds = Union[str, float, timedelta, None]
WAIT_AS_OPTION = -2
FOR_EVER = -1
LONGEST_MS = 2**53 - 1


class Owned:
    """A handle of the C library, freed with the last object that refers to it."""

    __slots__ = ("_free", "native")

    def __init__(self, native: Any, free: Callable[[Any], None]) -> None:
        self.native = native
        self._free = free

    def __del__(self) -> None:
        if not sys.is_finalizing():  # threads of the package may still be in C code with it
            self._free(self.native)


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


def _milliseconds(what: str, value: Union[float, timedelta]) -> int:
    """Rounded up, so that a short wait is never none, and no longer than C can wait."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what}: seconds or a timedelta are expected, not {value!r}")
    if not value >= 0:
        raise InvalidArgument(f"{what}: {value!r} is not a number of seconds from 0 on", -1)
    return LONGEST_MS if value >= LONGEST_MS / 1000 else int(-(-value * 1000 // 1))


def wait_ms(timeout: Union[float, timedelta, None], blocking: bool = True) -> int:
    """A timeout for C: None and -1 wait as the option `wait` says, infinity for ever."""
    if not blocking:
        return 0
    if timeout is None or timeout == -1:
        return WAIT_AS_OPTION
    return FOR_EVER if timeout == float("inf") else _milliseconds("timeout", timeout)


def _option_text(name: str, value: Union[str, float, timedelta]) -> str:
    if isinstance(value, str) or name not in ("ttl", "wait", "drain"):
        return plain_text(name, value)  # type: ignore[arg-type]
    return f"{_milliseconds(name, value)}ms"


def options_of(**given: Seconds) -> Owned:
    """The C library's options: a number is seconds, None is not given."""
    options = Owned(_native.mpsync_options_new(), _native.mpsync_options_free)
    for name, value in given.items():
        if value is not None:
            _native.mpsync_options_set(options.native, name, _option_text(name, value))
    return options
