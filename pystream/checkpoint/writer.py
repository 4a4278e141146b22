"""One checkpoint being written: state files as they come, then the manifest that decides it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pystream._native.core import version
from pystream.checkpoint.manifest import Manifest, StateFile
from pystream.checkpoint.state_file import FORMAT, StateFileWriter
from pystream.errors import CheckpointError, InvalidError

if TYPE_CHECKING:
    import pyarrow as pa

    from pystream.checkpoint.checkpoint import Checkpoint
    from pystream.checkpoint.store import CheckpointStore

__all__ = ["CheckpointWriter"]

_KEY_GROUPS = 1024
_OTHER = re.compile(r"[^A-Za-z0-9_.=-]+")


class CheckpointWriter:
    """Made by `CheckpointStore.begin`; ends with `commit` or `abort`.

    `add` is for one thread; `commit` and `abort` for any, after the last `add`. As a context
    manager it aborts what was not committed.
    """

    def __init__(
        self,
        store: CheckpointStore,
        epoch: int,
        base: Sequence[StateFile] | None,
        savepoint: str | None,
    ) -> None:
        self.epoch = epoch
        self.full = base is None
        self.savepoint = savepoint
        self._store = store
        self._base = list(base or ())
        self._open: dict[tuple[str, tuple[int, int], Any], StateFileWriter] = {}
        self._names: list[str] = []
        self._ended = False

    def add(self, operator: str, key_groups: Any, batch: Any) -> None:
        """Write rows of an operator's state.

        Parameters
        ----------
        operator
            Its key, as in its descriptor.
        key_groups
            The key groups the rows come from: a range, or (first, stop).
        batch
            A pyarrow RecordBatch, or anything with ``__arrow_c_array__``. Batches of another
            schema go into a file of their own, restored in the order in which they first came.
        """
        self._need_open()
        rows = _plain(batch)
        if rows.num_rows:
            place = operator, _range(key_groups), rows.schema
            with self._named():
                writer = self._open.get(place)
                if writer is None:
                    writer = self._open[place] = self._start(operator, place[1], rows.schema)
                writer.add(rows)

    def commit(
        self,
        *,
        positions: Mapping[str, Mapping[str, Any]],
        sink_token: Any = None,
        operators: Sequence[Mapping[str, Any]] = (),
        uses: Sequence[Mapping[str, Any]] = (),
        parallelism: int = 1,
        finished: bool = False,
        sink: str | None = None,
    ) -> Checkpoint:
        """Make the files durable, then decide the epoch.

        Raises
        ------
        FencedError
            Another instance decided this epoch, or holds the lease: nothing was decided here.
        CheckpointError
            It could not be written. If only the manifest failed, whether the epoch is decided is
            for the next start to see: do not go on with another epoch.
        """
        self._need_open()
        self._store.check_lease()
        with self._named():
            files = [*self._base, *self._finish()]
        manifest = Manifest(
            job=self._store.job,
            epoch=self.epoch,
            created=self._store.clock.time(),
            instance=self._store.instance,
            parallelism=parallelism,
            finished=finished,
            positions=positions,
            sink_token=sink_token,
            operators=operators,
            files=files,
            pystream=version(),
            uses=uses,
            sink=sink,
        )
        self._ended = True
        with self._named():
            checkpoint = self._store.decide(manifest)
        if self.savepoint is not None:
            self._store.savepoint(self.savepoint, checkpoint)
        return checkpoint

    def abort(self) -> None:
        """Forget it and remove its files. Harmless at any time, also after `commit`."""
        if self._ended:
            return
        self._ended = True
        for writer in self._open.values():
            writer.discard()
        with contextlib.suppress(OSError):
            for name in self._names:
                self._store.storage.delete(name)
        self._store.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.abort()

    def _need_open(self) -> None:
        if self._ended:
            raise InvalidError(f"checkpoint {self.epoch} has been committed or aborted")

    def _start(self, operator: str, key_groups: tuple[int, int], schema: Any) -> StateFileWriter:
        first, stop = key_groups
        label = _OTHER.sub("_", operator)[:60]
        name = (
            f"state/{self.epoch:012d}-{self._store.instance}-{len(self._names):04d}"
            f".{label}.{first:04d}-{stop:04d}.arrow"
        )
        about = {
            "format": str(FORMAT),
            "job": self._store.job,
            "epoch": str(self.epoch),
            "operator": operator,
            "key_groups": f"{first}-{stop}",
            "kind": self._kind,
        }
        output = self._store.storage.open_output(name)
        self._names.append(name)
        return StateFileWriter(output, schema, about, self._store.compression)

    @property
    def _kind(self) -> str:
        return "full" if self.full else "increment"

    def _finish(self) -> list[StateFile]:
        found = []
        for name, (place, writer) in zip(self._names, self._open.items(), strict=True):
            blocks = writer.close()
            found.append(
                StateFile(
                    name=name,
                    operator=place[0],
                    key_groups=place[1],
                    kind=self._kind,
                    epoch=self.epoch,
                    rows=writer.rows,
                    bytes=sum(size for size, _ in blocks),
                    blocks=tuple(blocks),
                )
            )
        return found

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the system, said as what they are for the job."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"checkpoint {self.epoch} could not be written to {self._store.storage.url}: "
                f"{error.strerror or error}"
            ) from error


def _range(key_groups: Any) -> tuple[int, int]:
    if isinstance(key_groups, range):
        key_groups = key_groups.start, key_groups.stop
    first, stop = key_groups
    if not 0 <= first < stop <= _KEY_GROUPS:
        raise InvalidError(
            f"key groups are a range within 0 to {_KEY_GROUPS}, not {first} to {stop}"
        )
    return int(first), int(stop)


def _plain(batch: Any) -> pa.RecordBatch:
    """A batch without dictionaries, so that every batch of a file stands alone."""
    import pyarrow as pa

    rows = batch if isinstance(batch, pa.RecordBatch) else pa.record_batch(batch)
    for index, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            values = rows.column(index).dictionary_decode()
            rows = rows.set_column(index, field.with_type(values.type), values)
    return rows
