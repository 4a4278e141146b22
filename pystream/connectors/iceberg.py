"""Iceberg tables: an epoch is one commit, with its number in the table's properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pystream.connectors.lake import check_schema, signed_type
from pystream.connectors.sql import need_name
from pystream.connectors.staged import StagedSink, need_extra
from pystream.errors import InvalidError

__all__ = ["IcebergSink"]


class IcebergSink(StagedSink):
    """Appends to, or upserts into, a table of a catalog; made if missing.

    The commit of an epoch sets the table's property ``pystream.epoch.<job>``, which outlives
    expired snapshots, and names job and epoch in the summary of its snapshots. Epochs without rows
    make no commit.
    """

    verb = "write_iceberg"
    records_empty = False

    def __init__(self, catalog: Any, table: str, *, key: str | Sequence[str] | None = None) -> None:
        module = need_extra("pyiceberg.catalog", "iceberg", self.verb)
        self.table = need_name(table, "table", self.verb)
        if "." not in table:
            raise InvalidError(f"{self.verb}: table wants 'namespace.table', not {table!r}")
        if isinstance(catalog, Mapping):
            catalog = module.load_catalog(catalog.get("name", "default"), **catalog)
        if not isinstance(catalog, module.Catalog):
            raise InvalidError(
                f"{self.verb} wants a pyiceberg Catalog or a mapping of its properties, not a "
                f"{type(catalog).__name__}"
            )
        self._catalog = catalog
        super().__init__(f"{catalog.name} {table}", key)

    def stored_type(self, type: Any) -> Any:
        import pyarrow as pa

        kind = pa.types
        if kind.is_null(type) or kind.is_interval(type) or kind.is_decimal256(type):
            return None
        if kind.is_timestamp(type):
            return pa.timestamp("us", type.tz)
        if kind.is_time(type):
            return pa.time64("us")
        signed = signed_type(type)
        return pa.int32() if signed in (pa.int8(), pa.int16()) else signed

    def create(self, schema: Any) -> None:
        self._catalog.create_namespace_if_not_exists(self.table.rpartition(".")[0])
        table = self._catalog.create_table_if_not_exists(self.table, schema)
        check_schema(self.name, schema, table.schema().as_arrow())

    @property
    def _property(self) -> str:
        return f"pystream.epoch.{self.job}"

    def recorded_epoch(self) -> int:
        return self._recorded(self._catalog.load_table(self.table))

    def _recorded(self, table: Any) -> int:
        return int(table.properties.get(self._property, 0))

    def apply(self, batches: Iterator[Any], epoch: int) -> None:
        table = self._catalog.load_table(self.table)
        summary = {}
        if self.job is not None:
            if self._recorded(table) >= epoch:
                return
            summary = {"pystream.job": self.job, "pystream.epoch": str(epoch)}
        rows = self.last_rows(batches)
        with table.transaction() as transaction:
            if self.key:
                transaction.upsert(rows, list(self.key), snapshot_properties=summary)
            else:
                transaction.append(rows, snapshot_properties=summary)
            if self.job is not None:
                transaction.set_properties({self._property: str(epoch)})
