"""Places for checkpoints and staged output: a local directory, object stores, other filesystems."""

from __future__ import annotations

import os
import re
from typing import Any

from pystream.errors import InvalidError
from pystream.storage.base import Lock, Output, Storage
from pystream.storage.filesystem import FilesystemStorage
from pystream.storage.local import LocalStorage
from pystream.storage.objects import ObjectStorage

__all__ = [
    "FilesystemStorage",
    "LocalStorage",
    "Lock",
    "ObjectStorage",
    "Output",
    "Storage",
    "open_storage",
]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_OBJECTS = {"s3", "s3a", "gs", "az", "azure", "abfs", "abfss"}


def open_storage(place: Any, **options: Any) -> Storage:
    """The storage that a user means.

    Parameters
    ----------
    place
        A path; a URL ``file://``, ``s3://``, ``gs://``, ``az://`` or any that fsspec knows; a pair
        (filesystem, path) with a filesystem of pyarrow or fsspec; a store of `obstore`; a
        `Storage`.
    options
        For the URL's store or filesystem: credentials, endpoint.

    Examples
    --------
    >>> open_storage("file:///tmp/state").url
    '/tmp/state'
    >>> from pyarrow.fs import LocalFileSystem
    >>> open_storage((LocalFileSystem(), "/tmp/state")).url
    '/tmp/state'
    """
    if isinstance(place, Storage):
        return place
    if isinstance(place, os.PathLike):
        return LocalStorage(place)
    if isinstance(place, str):
        return _open_text(place, options)
    if isinstance(place, tuple) and len(place) == 2:
        return _open_pair(*place)
    if type(place).__module__.partition(".")[0] == "obstore":
        return ObjectStorage(place)
    raise InvalidError(
        "a place for checkpoints is a path, a URL such as s3://bucket/prefix or a pair "
        f"(filesystem, path), not {place!r}"
    )


def _open_text(place: str, options: dict[str, Any]) -> Storage:
    found = _URL.fullmatch(place)
    if found is None:
        if not place:
            raise InvalidError("a place for checkpoints is a path, not ''")
        return LocalStorage(place)
    scheme = found[1].lower()
    if scheme in ("file", "local"):
        return LocalStorage(found[2])
    if scheme in _OBJECTS:
        return ObjectStorage.from_url(place, **options)
    return FilesystemStorage.from_url(place, **options)


def _open_pair(filesystem: Any, path: str | os.PathLike[str]) -> Storage:
    from pyarrow.fs import LocalFileSystem

    if isinstance(filesystem, LocalFileSystem):
        return LocalStorage(path)
    return FilesystemStorage(filesystem, os.fspath(path))
