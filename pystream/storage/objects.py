"""Object stores: S3 and what speaks its language, Google Cloud Storage, Azure Blob Storage.

An object appears as a whole, and durable, when its upload ends. `create` is a PUT with
``If-None-Match: *``, `replace` one with ``If-Match`` of the version (ETag) that was read; the store
itself refuses all but one. A store that ignores these headers keeps nobody apart: see `probe`.

An upload that dies leaves no object. Its parts may remain, unseen and paid for, until the bucket's
rule for incomplete multipart uploads removes them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pystream.errors import UnsupportedError
from pystream.storage.base import Output, Storage

__all__ = ["ObjectStorage"]

_PART_BYTES = 16 << 20


class ObjectStorage(Storage):
    """Objects below a prefix, through the package `obstore`.

    Parameters
    ----------
    store
        A store of `obstore`, with its prefix and credentials.
    url
        What errors call the place.
    """

    def __init__(self, store: Any, url: str | None = None) -> None:
        self._obstore = _import()
        self._store = store
        self.url = url or repr(store)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> ObjectStorage:
        """The store of a URL such as ``s3://bucket/prefix``.

        Credentials, region and endpoint come from the environment (``AWS_*``, ``GOOGLE_*``,
        ``AZURE_*``) or from options of `obstore.store.from_url`.
        """
        _import()
        from obstore.store import from_url

        return cls(from_url(url, **options), url.rstrip("/"))

    def read(self, name: str) -> bytes:
        return self.read_versioned(name)[0]

    def read_versioned(self, name: str) -> tuple[bytes, str]:
        with self._errors(name):
            found = self._obstore.get(self._store, name)
            return bytes(found.bytes()), str(found.meta["e_tag"])

    def open_input(self, name: str) -> Any:
        import pyarrow as pa

        return pa.PythonFile(_Ranges(self, name, self.size(name)), mode="r")

    def read_range(self, name: str, start: int, length: int) -> memoryview:
        """Some bytes of an object."""
        with self._errors(name):
            found = self._obstore.get_range(self._store, name, start=start, length=length)
        return memoryview(found)

    def size(self, name: str) -> int:
        with self._errors(name):
            return int(self._obstore.head(self._store, name)["size"])

    def open_output(self, name: str) -> Output:
        with self._errors(name):
            writer = self._obstore.open_writer(self._store, name, buffer_size=_PART_BYTES)
        return _ObjectOutput(self, name, writer)

    def create(self, name: str, data: bytes) -> bool:
        with self._errors(name):
            try:
                self._obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except self._obstore.exceptions.AlreadyExistsError:
                return False
        return True

    def replace(self, name: str, data: bytes, version: str) -> str | None:
        refused = (
            self._obstore.exceptions.PreconditionError,
            self._obstore.exceptions.NotFoundError,
            FileNotFoundError,
        )
        with self._errors(name):
            try:
                mode = {"e_tag": version}
                put = self._obstore.put(self._store, name, data, mode=mode, use_multipart=False)
            except refused:
                return None
        return str(put["e_tag"])

    def list(self, prefix: str = "") -> list[str]:
        folder = prefix.rpartition("/")[0]
        with self._errors(prefix):
            parts = self._obstore.list(self._store, folder or None)
            names = [entry["path"] for part in parts for entry in part]
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, name: str) -> None:
        try:
            with self._errors(name):
                self._obstore.delete(self._store, name)
        except FileNotFoundError:
            pass

    def probe(self, name: str = "probe") -> bool:
        """Whether the store refuses a second `create`; writes and deletes an object."""
        self.delete(name)
        try:
            return self.create(name, b"1") and not self.create(name, b"2")
        finally:
            self.delete(name)

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Errors of the store are OSErrors in one line."""
        try:
            yield
        except OSError:
            raise
        except self._obstore.exceptions.BaseError as error:
            text = str(error).split("\n")[0]
            raise OSError(f"{self.url}/{name}: {text}") from error


class _ObjectOutput(Output):
    """A multipart upload; the object appears when it is completed."""

    def __init__(self, storage: ObjectStorage, name: str, writer: Any) -> None:
        self._storage = storage
        self._name = name
        self._writer = writer

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        with self._storage._errors(self._name):
            self._writer.write(view)
        return len(view)

    def close(self) -> None:
        if self._writer is not None:
            with self._storage._errors(self._name):
                self._writer.close()
            self._writer = None

    def discard(self) -> None:
        self._writer = None


class _Ranges(io.RawIOBase):
    """Reads an object in ranges of at least `_PART_BYTES`: a request costs a round trip."""

    def __init__(self, storage: ObjectStorage, name: str, size: int) -> None:
        self._storage = storage
        self._name = name
        self._size = size
        self._at = 0
        self._part: memoryview = memoryview(b"")
        self._part_at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        wanted = left if size < 0 else min(size, left)
        parts = []
        while wanted:
            part = self._available()[:wanted]
            parts.append(part)
            wanted -= len(part)
            self._at += len(part)
        return b"".join(parts)

    def _available(self) -> memoryview:
        """The bytes from here on that are at hand; fetches some if there are none."""
        skip = self._at - self._part_at
        if not 0 <= skip < len(self._part):
            length = min(_PART_BYTES, self._size - self._at)
            self._part = self._storage.read_range(self._name, self._at, length)
            self._part_at, skip = self._at, 0
        return self._part[skip:]


def _import() -> Any:
    try:
        import obstore
        import obstore.exceptions
    except ImportError:
        raise UnsupportedError(
            "checkpoints in an object store need the package obstore: "
            "pip install 'pystream[objects]'"
        ) from None
    return obstore
