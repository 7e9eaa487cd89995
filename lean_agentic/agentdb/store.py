"""The truth of a memory: records, vectors and links in one SQLite file.

Safe from several threads and processes. A call that writes is one durable transaction; several calls become one inside
`with store.write():`. A vector index beside the store is a cache, see `index_sync`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb import change_log, forgetting, link_table, record_tables, vector_table
from lean_agentic.agentdb.change_log import Change
from lean_agentic.agentdb.connections import BUSY_S, Connections
from lean_agentic.agentdb.errors import InvalidVectorError, StoreMismatchError, StoreUnavailableError
from lean_agentic.agentdb.filters import Filter, condition, id_list
from lean_agentic.agentdb.forgetting import Forgetting
from lean_agentic.agentdb.migrations import migrate
from lean_agentic.agentdb.records import CausalLink, LinkKind, Record
from lean_agentic.agentdb.rows import read_records
from lean_agentic.agentdb.vector_index import Ids, Vectors, require_unit_rows

Order = Literal["time", "-time", "id"]
_ORDERS: dict[str, str] = {"time": "time, id", "-time": "time DESC, id DESC", "id": "id"}


class Store:
    """Records, vectors and links at a path."""

    def __init__(
        self,
        path: Path | str,
        *,
        dimensions: int | None = None,
        embedding: str | None = None,
        busy_s: float = BUSY_S,
    ) -> None:
        """Open the memory at `path`, or make one.

        Parameters
        ----------
        dimensions
            Numbers in a vector; the first vectors that are stored settle it where it is not given.
        embedding
            Name of the model that makes the vectors; settled by the first opening that names one.
        busy_s
            Seconds to wait for another process that writes.

        Raises
        ------
        StoreMismatchError
            The memory has other dimensions, another embedding, or a newer schema, or the file is something else.
        StoreUnavailableError
            The file cannot be made, opened or written.
        """
        if str(path) == ":memory:":
            raise StoreUnavailableError("a memory lives in a file that threads share, ':memory:' is none: give a path")
        self.path = Path(path).absolute()
        _make_folder(self.path.parent)
        self._connections = Connections(self.path, busy_s=busy_s)
        try:
            migrate(self._connections)
            if _log_bytes(self.path):
                # Text forgotten just before a crash may still be in it.
                self._connections.truncate_log(insist=False)
            self._settle("dimensions", None if dimensions is None else str(dimensions))
            self._settle("embedding", embedding)
            with self.read() as connection:
                self.database: str = _meta(connection)["database"]
        except BaseException:
            self._connections.close()
            raise

    @property
    def dimensions(self) -> int | None:
        """Numbers in a vector; None until the first is stored."""
        with self.read() as connection:
            value = _meta(connection).get("dimensions")
        return None if value is None else int(value)

    @property
    def embedding(self) -> str | None:
        """Name of the model that makes the vectors; None where nobody has named one."""
        with self.read() as connection:
            return _meta(connection).get("embedding")

    def read(self, *, committed: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        """A connection to read from, with one consistent view for the length of the block; fetch all before it ends.

        Calls of this thread inside the block share the view. Inside `write` it shows the running transaction, unless
        `committed`.
        """
        return self._connections.reading(committed=committed)

    def write(self, *, wait_s: float | None = None) -> AbstractContextManager[sqlite3.Connection]:
        """The write connection inside a transaction: all of the block or nothing, durable at its end.

        Calls of this thread inside the block are part of it. A block inside another is undone alone where it fails.

        Parameters
        ----------
        wait_s
            Seconds to wait for other writers before StoreUnavailableError; None: as long as other threads take, and
            `busy_s` for other processes.
        """
        return self._connections.writing(wait_s=wait_s)

    def add(self, records: Sequence[Record], vectors: npt.ArrayLike | None = None) -> list[int]:
        """Store new records, all or none, with the (n, d) float32 unit vectors where given; their ids, in order.

        Raises InvalidRecordError, InvalidVectorError, and UnknownRecordError where they name records not there.
        """
        if vectors is not None and len(np.asarray(vectors)) != len(records):
            raise InvalidVectorError(f"{len(np.asarray(vectors))} vectors for {len(records)} records: give one each")
        if not len(records):
            return []
        with self.write() as connection:
            rows = None if vectors is None else self._checked(connection, vectors)
            ids = record_tables.insert_records(connection, records, time.time())
            if rows is not None:
                vector_table.put_vectors(connection, ids, rows)
        return ids

    def update(self, record: Record, vector: npt.ArrayLike | None = None) -> None:
        """Replace the record with the same id; without a vector it keeps its own, if its text is the same.

        Raises UnknownRecordError, InvalidRecordError, and InvalidVectorError where the text changes and the vector not.
        """
        with self.write() as connection:
            text_changed = record_tables.update_record(connection, record, time.time())
            if vector is not None:
                rows = self._checked(connection, np.atleast_2d(np.asarray(vector)))
                vector_table.put_vectors(connection, [record.id], rows)
            elif text_changed and self.has_vector([record.id])[0]:
                raise InvalidVectorError(
                    f"the text of record {record.id} changes, its vector would stand for the old one: give the new one"
                )

    def get(self, ids: Sequence[int]) -> list[Record]:
        """The records with these ids, in this order. Raises UnknownRecordError, which names the missing."""
        wanted = _integers(ids)
        with self.read() as connection:
            records = read_records(connection, "id IN (SELECT value FROM json_each(?))", (id_list(wanted),))
        found = {record.id: record for record in records}
        if len(found) < len(set(wanted)):
            raise record_tables.unknown(set(wanted) - set(found))
        return [found[record_id] for record_id in wanted]

    def find(self, where: Filter | None = None, *, order: Order = "time", limit: int | None = None) -> list[Record]:
        """The records that pass a filter (None: all in use), oldest first, newest first or by id."""
        if order not in _ORDERS:
            raise ValueError(f"order must be one of {list(_ORDERS)}, got {order!r}")
        if limit is not None and limit < 0:
            raise ValueError(f"limit must be 0 or more, got {limit}")
        which = condition(where)
        sql = f"{which.sql} ORDER BY {_ORDERS[order]} LIMIT ?"
        with self.read() as connection:
            return read_records(connection, sql, (*which.parameters, -1 if limit is None else limit))

    def ids(self, where: Filter | None = None) -> Ids:
        """The ids of the records that pass a filter, (n,) int64 ascending."""
        which = condition(where)
        with self.read() as connection:
            found = connection.execute(f"SELECT id FROM records WHERE {which.sql}", which.parameters)
            return np.sort(np.fromiter(chain.from_iterable(found), np.int64))

    def count(self, where: Filter | None = None) -> int:
        """How many records pass a filter."""
        which = condition(where)
        with self.read() as connection:
            found = connection.execute(f"SELECT count(*) FROM records WHERE {which.sql}", which.parameters)
            return int(found.fetchone()[0])

    def vectors(self, ids: Sequence[int] | Ids) -> Vectors:
        """The (n, d) stored vectors of records. Raises UnknownRecordError, which names those without one."""
        wanted = _integers(ids)
        with self.read() as connection:
            dimensions = int(_meta(connection).get("dimensions", 0))
            return vector_table.read_vectors(connection, wanted, dimensions)

    def has_vector(self, ids: Sequence[int] | Ids) -> npt.NDArray[np.bool_]:
        """Whether each record has a vector, (n,) bool; False for ids that no record has."""
        with self.read() as connection:
            return vector_table.have_vectors(connection, _integers(ids))

    def touch(self, ids: Sequence[int] | Ids, now: float | None = None) -> None:
        """Note that records were used `now` (Unix seconds); ids that were forgotten meanwhile are left out."""
        moment = time.time() if now is None else now
        with self.write() as connection:
            connection.execute(
                "UPDATE records SET access_count = access_count + 1, last_access = max(coalesce(last_access, ?1), ?1) "
                "WHERE id IN (SELECT value FROM json_each(?2))",
                (moment, id_list(_integers(ids))),
            )

    def archive(self, ids: Sequence[int] | Ids) -> None:
        """Take records out of use: they stay in the tables and leave search. Raises UnknownRecordError."""
        self._set_archived(ids, 1)

    def unarchive(self, ids: Sequence[int] | Ids) -> None:
        """Take records back into use. Raises UnknownRecordError."""
        self._set_archived(ids, 0)

    def forget(self, where: Filter | Sequence[int] | Ids, *, thorough: bool = False) -> int:
        """Delete records, archived ones too, and what was made from them alone (see `forgetting`); how many went.

        Parameters
        ----------
        thorough
            Also write the file anew, which takes as long as it is large. SQLite overwrites what it deletes, but may
            have left pieces of it behind where it moved rows between pages; only that removes them. Words may also
            stay in the write-ahead log for as long as another process reads an older view.

        Raises
        ------
        FilterError
            The filter matches everything and does not say `everything=True`.
        RuntimeError
            Thorough inside `write`.
        """
        if thorough and self.in_write:
            raise RuntimeError("forget cannot be thorough inside a write transaction: call vacuum() after the block")
        with self.write() as connection:
            plan = forgetting.forget(connection, where if isinstance(where, Filter) else _integers(where))
            if plan.records:
                self._connections.truncate_log()
        if thorough:
            self.vacuum()
        return plan.records

    def vacuum(self) -> None:
        """Write the file anew without what deletions left in it. Takes as long as it is large, and twice its space.

        Raises RuntimeError inside `write`.
        """
        self._connections.vacuum()

    def plan_forgetting(self, where: Filter | Sequence[int] | Ids) -> Forgetting:
        """What `forget` would reach, without forgetting it."""
        with self.write() as connection:
            return forgetting.plan_forgetting(connection, where if isinstance(where, Filter) else _integers(where))

    def add_links(self, links: Sequence[CausalLink]) -> list[int]:
        """Store links; one of the same cause, effect and kind is replaced and keeps its id.

        Raises UnknownRecordError where a record is missing, InvalidRecordError for impossible strengths or evidence.
        """
        with self.write() as connection:
            return link_table.put_links(connection, links)

    def links(
        self,
        cause: int | Collection[int] | None = None,
        effect: int | Collection[int] | None = None,
        kinds: Collection[LinkKind] | None = None,
        min_strength: float = 0.0,
    ) -> list[CausalLink]:
        """Links from a cause (or several), to an effect (or several), of these kinds, at least this strong; by id."""
        with self.read() as connection:
            return link_table.find_links(connection, cause, effect, kinds, min_strength)

    def remove_links(self, ids: Collection[int]) -> int:
        """Delete links by id; how many there were."""
        with self.write() as connection:
            return link_table.delete_links(connection, ids)

    def changes_since(self, seq: int, limit: int = 1000) -> list[Change]:
        """(seq, record_id, live) of the first records that changed for a vector index after `seq`, ascending."""
        with self.read() as connection:
            return change_log.changes_since(connection, seq, limit)

    def last_change(self) -> int:
        """Number of the last change; 0 before the first."""
        with self.read() as connection:
            return change_log.last_change(connection)

    def oldest_change(self) -> int:
        """The first change that is still in the log."""
        with self.read() as connection:
            return change_log.oldest_change(connection)

    def trim_changes(self, upto: int) -> int:
        """Drop what the log says of vectors that are gone, up to a change; how many entries."""
        with self.write() as connection:
            return change_log.trim_changes(connection, upto)

    @property
    def in_write(self) -> bool:
        """Whether this thread is inside `write`."""
        return self._connections.in_write

    def check(self) -> list[str]:
        """What is wrong with the file, read completely; an empty list where it is sound."""
        with self.write() as connection:
            found = [f"integrity: {line}" for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
            found += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
            dimensions = _meta(connection).get("dimensions")
            if dimensions is not None:
                found += vector_table.vector_faults(connection, int(dimensions))
            return found + _text_faults(connection)

    def close(self) -> None:
        """Close all connections, of other threads too. Safe to call twice."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def _set_archived(self, ids: Sequence[int] | Ids, archived: int) -> None:
        wanted = _integers(ids)
        with self.write() as connection:
            record_tables.require_records(connection, wanted)
            connection.execute(
                "UPDATE records SET archived = ?1 WHERE archived <> ?1 AND id IN (SELECT value FROM json_each(?2))",
                (archived, id_list(wanted)),
            )

    def _checked(self, connection: sqlite3.Connection, vectors: npt.ArrayLike) -> Vectors:
        settled = _meta(connection).get("dimensions")
        if settled is None:
            settled = str(np.shape(vectors)[-1])
            connection.execute("INSERT INTO meta VALUES ('dimensions', ?)", (settled,))
        return require_unit_rows(vectors, int(settled))

    def _settle(self, key: str, value: str | None) -> None:
        """Hold the memory to what it was made with, or note it where nobody has said yet."""
        if value is None:
            return
        with self.read() as connection:
            settled = _meta(connection).get(key)
        if settled is None:
            with self.write() as connection:
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
                settled = _meta(connection)[key]
        if settled != value:
            raise StoreMismatchError(
                f"{self.path} has {key} {settled}, not {value}: open it with that, or make a memory at another path"
            )


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _log_bytes(path: Path) -> int:
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"cannot make the folder {folder}: {error.strerror}; give another path") from error


def _integers(ids: Sequence[int] | Ids) -> list[int]:
    return [int(record_id) for record_id in ids]


def _text_faults(connection: sqlite3.Connection) -> list[str]:
    try:
        connection.execute("INSERT INTO texts (texts, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        return [f"full text: {error}"]
    return []
