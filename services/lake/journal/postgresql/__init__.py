"""The journal on PostgreSQL 16 and later."""

from services.chassis.engines.postgresql import PostgreSQL
from services.lake.journal.postgresql.backfill import PostgreSQLBackfill
from services.lake.journal.postgresql.capture import PostgreSQLCapture
from services.lake.journal.postgresql.read import PostgreSQLReads


class PostgreSQLJournal(PostgreSQLCapture, PostgreSQLReads, PostgreSQLBackfill, PostgreSQL):
    """The PostgreSQL half of `services.lake.journal.dialect.JournalDialect`."""
