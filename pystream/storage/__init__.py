"""Places for checkpoints and staged output: a local directory, object stores."""

from __future__ import annotations

import os
from typing import Any

from pystream.errors import InvalidError
from pystream.storage.base import Lock, Output, Storage
from pystream.storage.local import LocalStorage

__all__ = ["LocalStorage", "Lock", "Output", "Storage", "open_storage"]


def open_storage(place: Any) -> Storage:
    """The storage of a path, or of a `Storage` itself."""
    if isinstance(place, Storage):
        return place
    if isinstance(place, str | os.PathLike):
        return LocalStorage(place)
    raise InvalidError(f"a place for checkpoints is a path, not {place!r}")
