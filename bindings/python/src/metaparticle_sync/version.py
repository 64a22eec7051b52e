"""The version of this package, which is the C library's."""

from . import _native

__version__ = _native.mpsync_version()
