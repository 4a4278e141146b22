"""Delta Lake tables: an epoch is one version, which carries a transaction identifier."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pystream.connectors.lake import check_schema, signed_type
from pystream.connectors.staged import StagedSink, need_extra

__all__ = ["DeltaSink"]


class DeltaSink(StagedSink):
    """Appends to, or upserts into, a Delta table; made if missing.

    The version that an epoch makes has the transaction (``pystream:<job>``, epoch), which Delta
    keeps when it cleans its log. Epochs without rows make no version.
    """

    verb = "write_delta"
    records_empty = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: str | Sequence[str] | None = None,
        partition_by: str | Sequence[str] = (),
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        self._deltalake = need_extra("deltalake", "delta", self.verb)
        self.path = os.fspath(path)
        self._partition_by = [partition_by] if isinstance(partition_by, str) else [*partition_by]
        self._options = dict(storage_options or {})
        super().__init__(self.path, key)

    def stored_type(self, type: Any) -> Any:
        import pyarrow as pa

        kind = pa.types
        if kind.is_time(type) or kind.is_null(type) or kind.is_interval(type):
            return None
        if kind.is_timestamp(type):
            return pa.timestamp("us", type.tz)
        return None if kind.is_decimal256(type) else signed_type(type)

    def create(self, schema: Any) -> None:
        import pyarrow as pa

        kind = self._deltalake.DeltaTable
        if not kind.is_deltatable(self.path, storage_options=self._options):
            if "://" not in self.path:
                os.makedirs(self.path, exist_ok=True)
            kind.create(
                self.path,
                schema=schema,
                mode="ignore",
                partition_by=self._partition_by or None,
                storage_options=self._options,
            )
        check_schema(self.name, schema, pa.schema(self._table().schema().to_arrow()))

    def _table(self) -> Any:
        return self._deltalake.DeltaTable(self.path, storage_options=self._options)

    def recorded_epoch(self) -> int:
        return self._recorded(self._table())

    def _recorded(self, table: Any) -> int:
        return int(table.transaction_version(f"pystream:{self.job}") or 0)

    def apply(self, batches: Iterator[Any], epoch: int) -> None:
        import pyarrow as pa

        table = self._table()
        transactions = []
        if self.job is not None:
            if self._recorded(table) >= epoch:
                return
            transactions.append(self._deltalake.Transaction(f"pystream:{self.job}", epoch))
        properties = self._deltalake.CommitProperties(app_transactions=transactions)
        if self.key:
            self._merge(table, self.last_rows(batches), properties)
        else:
            rows = pa.RecordBatchReader.from_batches(self.columns.stored, batches)
            self._deltalake.write_deltalake(
                table, rows, mode="append", commit_properties=properties
            )

    def _merge(self, table: Any, rows: Any, properties: Any) -> None:
        same = (f"target.{_quoted(name)} = source.{_quoted(name)}" for name in self.key)
        merger = table.merge(
            rows,
            " AND ".join(same),
            source_alias="source",
            target_alias="target",
            commit_properties=properties,
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
