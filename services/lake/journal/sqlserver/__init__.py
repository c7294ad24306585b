"""The journal on SQL Server 2019 and later."""

from services.chassis.engines.sqlserver import SQLServer
from services.lake.journal.sqlserver.backfill import SQLServerBackfill
from services.lake.journal.sqlserver.capture import SQLServerCapture
from services.lake.journal.sqlserver.read import SQLServerReads


class SQLServerJournal(SQLServerCapture, SQLServerReads, SQLServerBackfill, SQLServer):
    """The SQL Server half of `services.lake.journal.dialect.JournalDialect`."""
