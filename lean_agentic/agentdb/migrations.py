"""The tables of a memory, made by ordered named migrations.

Each migration runs in its own transaction and is noted in the table `migrations`, so that two processes may open a
memory at once and a killed one is simply continued. A file that holds migrations unknown here is newer: refused.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from lean_agentic.agentdb.connections import Connections
from lean_agentic.agentdb.errors import StoreMismatchError

APPLICATION_ID = 0x6C616762
"""Marks the file, as SQLite's header provides for."""


@dataclass(frozen=True)
class Migration:
    """A step from one schema to the next. Never changed once released; a change is a further migration."""

    name: str
    statements: tuple[str, ...]


RECORDS = Migration(
    "001 records",
    (
        """CREATE TABLE records (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            tenant TEXT NOT NULL,
            session TEXT NOT NULL,
            time REAL NOT NULL,
            stored REAL NOT NULL,
            text TEXT NOT NULL,
            task_type TEXT,
            archived INTEGER NOT NULL CHECK (archived IN (0, 1)),
            access_count INTEGER NOT NULL,
            last_access REAL,
            confidence REAL,
            valid_from REAL,
            valid_to REAL,
            metadata TEXT NOT NULL,
            provenance TEXT NOT NULL,
            body TEXT NOT NULL,
            content_hash BLOB NOT NULL)""",
        # What a filter compares is in the indexes, so that ids are found without reading the records.
        "CREATE INDEX records_time ON records (archived, time, kind)",
        "CREATE INDEX records_tenant ON records (tenant, archived, time, kind)",
        "CREATE INDEX records_session ON records (session, tenant, archived, time) WHERE session <> ''",
        "CREATE INDEX records_kind ON records (kind, archived, tenant, time)",
        "CREATE INDEX records_task_type ON records (task_type, archived, tenant) WHERE task_type IS NOT NULL",
        "CREATE INDEX records_content_hash ON records (content_hash)",
    ),
)

DETAILS = Migration(
    "002 details",
    (
        """CREATE TABLE record_entities (
            record_id INTEGER NOT NULL REFERENCES records ON DELETE CASCADE,
            folded TEXT NOT NULL,
            entity TEXT NOT NULL,
            PRIMARY KEY (record_id, folded)) WITHOUT ROWID""",
        "CREATE INDEX record_entities_folded ON record_entities (folded, record_id)",
        """CREATE TABLE record_metadata (
            record_id INTEGER NOT NULL REFERENCES records ON DELETE CASCADE,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (record_id, key)) WITHOUT ROWID""",
        "CREATE INDEX record_metadata_value ON record_metadata (key, value, record_id)",
        """CREATE TABLE mentions (
            record_id INTEGER NOT NULL REFERENCES records ON DELETE CASCADE,
            role TEXT NOT NULL,
            position INTEGER NOT NULL,
            target INTEGER NOT NULL REFERENCES records ON DELETE CASCADE,
            PRIMARY KEY (record_id, role, position)) WITHOUT ROWID""",
        "CREATE INDEX mentions_target ON mentions (target, role, record_id)",
        """CREATE TABLE links (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            cause INTEGER NOT NULL REFERENCES records ON DELETE CASCADE,
            effect INTEGER NOT NULL REFERENCES records ON DELETE CASCADE,
            kind TEXT NOT NULL,
            strength REAL NOT NULL,
            low REAL NOT NULL,
            high REAL NOT NULL,
            evidence TEXT NOT NULL,
            UNIQUE (cause, effect, kind))""",
        "CREATE INDEX links_effect ON links (effect)",
    ),
)

VECTORS = Migration(
    "003 vectors and their changes",
    (
        """CREATE TABLE vectors (
            record_id INTEGER PRIMARY KEY REFERENCES records ON DELETE CASCADE,
            data BLOB NOT NULL)""",
        # One row a record, with the number of its latest change: the log cannot outgrow the records.
        """CREATE TABLE changes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            record_id INTEGER NOT NULL UNIQUE)""",
        """CREATE TABLE snapshots (
            id INTEGER PRIMARY KEY,
            token TEXT NOT NULL UNIQUE,
            seq INTEGER NOT NULL,
            taken REAL NOT NULL)""",
        """CREATE TRIGGER vector_added AFTER INSERT ON vectors BEGIN
            DELETE FROM changes WHERE record_id = NEW.record_id;
            INSERT INTO changes (record_id) VALUES (NEW.record_id);
        END""",
        """CREATE TRIGGER vector_changed AFTER UPDATE ON vectors BEGIN
            DELETE FROM changes WHERE record_id = NEW.record_id;
            INSERT INTO changes (record_id) VALUES (NEW.record_id);
        END""",
        """CREATE TRIGGER vector_removed AFTER DELETE ON vectors BEGIN
            DELETE FROM changes WHERE record_id = OLD.record_id;
            INSERT INTO changes (record_id) VALUES (OLD.record_id);
        END""",
        # Whatever a filter looks at counts as a change, so that answers to filters can be kept between changes.
        """CREATE TRIGGER record_changed AFTER UPDATE OF
            kind, tenant, session, time, task_type, archived, valid_from, valid_to, metadata, body ON records
        WHEN EXISTS (SELECT 1 FROM vectors WHERE record_id = NEW.id) BEGIN
            DELETE FROM changes WHERE record_id = NEW.id;
            INSERT INTO changes (record_id) VALUES (NEW.id);
        END""",
    ),
)

TEXTS = Migration(
    "004 full text",
    (
        "CREATE VIEW live_texts AS SELECT id, text FROM records WHERE archived = 0",
        """CREATE VIRTUAL TABLE texts USING fts5 (
            text, content = 'live_texts', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2')""",
        # No trigger adds the texts of new records: for a batch, one statement is four times as fast.
        """CREATE TRIGGER text_removed AFTER DELETE ON records WHEN OLD.archived = 0 BEGIN
            INSERT INTO texts (texts, rowid, text) VALUES ('delete', OLD.id, OLD.text);
        END""",
        """CREATE TRIGGER text_changed AFTER UPDATE OF text, archived ON records
        WHEN OLD.text <> NEW.text OR OLD.archived <> NEW.archived BEGIN
            INSERT INTO texts (texts, rowid, text) SELECT 'delete', OLD.id, OLD.text WHERE OLD.archived = 0;
            INSERT INTO texts (rowid, text) SELECT NEW.id, NEW.text WHERE NEW.archived = 0;
        END""",
    ),
)

RECALLED = Migration(
    "005 recalled texts",
    (
        """CREATE TABLE recalls (
            record_id INTEGER PRIMARY KEY REFERENCES records ON DELETE CASCADE,
            recalled REAL NOT NULL)""",
        "CREATE INDEX recalls_recalled ON recalls (recalled)",
        """CREATE TABLE recalled_shingles (
            shingle INTEGER NOT NULL,
            record_id INTEGER NOT NULL REFERENCES recalls ON DELETE CASCADE,
            PRIMARY KEY (shingle, record_id)) WITHOUT ROWID""",
        "CREATE INDEX recalled_shingles_record ON recalled_shingles (record_id)",
        """CREATE TRIGGER recalled_text_changed AFTER UPDATE OF text ON records WHEN OLD.text <> NEW.text BEGIN
            DELETE FROM recalls WHERE record_id = NEW.id;
        END""",
    ),
)

MIGRATIONS = (RECORDS, DETAILS, VECTORS, TEXTS, RECALLED)


def migrate(connections: Connections, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file to the schema of this version.

    Raises StoreMismatchError where it is something else, or newer.
    """
    with connections.reading() as connection:
        new = _is_new(connection)
        missing = migrations if new else _missing(connection, connections, migrations)
    if new:
        with connections.writing() as connection:
            if _is_new(connection):
                _found(connection)
    for migration in missing:
        with connections.writing() as connection:
            # Another process may have been faster.
            if migration in _missing(connection, connections, migrations):
                _apply(connection, migration)


def _is_new(connection: sqlite3.Connection) -> bool:
    marked = connection.execute("PRAGMA application_id").fetchone()[0]
    return not marked and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _found(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(
        "CREATE TABLE migrations (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, applied REAL NOT NULL)"
    )
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    connection.execute("INSERT INTO meta VALUES ('database', ?)", (uuid.uuid4().hex,))


def _missing(
    connection: sqlite3.Connection, connections: Connections, migrations: Sequence[Migration]
) -> Sequence[Migration]:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreMismatchError(f"{connections.path} is a database of another program: choose another path")
    applied = [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY position")]
    known = [migration.name for migration in migrations]
    if applied != known[: len(applied)]:
        strange = [name for name in applied if name not in known] or applied
        raise StoreMismatchError(
            f"{connections.path} was made by another version (its schema holds {strange}): "
            "use that version of lean_agentic, or a newer one"
        )
    return migrations[len(applied) :]


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    for statement in migration.statements:
        connection.execute(statement)
    connection.execute("INSERT INTO migrations (name, applied) VALUES (?, ?)", (migration.name, time.time()))
