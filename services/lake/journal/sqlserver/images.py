"""SQL Server: rows as images in the journal, and as hashes for verification."""

from collections.abc import Sequence

from services.chassis.engines.sqlserver import CODE
from services.lake.journal.model import (
    OFFSET_SUFFIX,
    CapturedColumn,
    CapturedTable,
    ColumnType,
)


class SQLServerImages:
    """Rows as text: images, keys and hashes."""

    def image(self, table: CapturedTable, row: str) -> str:
        """Render a row as a JSON object: numbers that JSON may round, times and bytes as text."""
        members = ", ".join(
            f"{self._json_value(column, row)} AS {quoted(column.name)}" for column in table.columns
        )
        return f"(SELECT {members} FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER)"

    def _json_value(self, column: CapturedColumn, row: str) -> str:
        value = f"{row}.{quoted(column.name)}"
        match column.type:
            case ColumnType.SMALLINT | ColumnType.INTEGER | ColumnType.BOOLEAN | ColumnType.TEXT:
                return value
            case ColumnType.REAL | ColumnType.DOUBLE:
                # Seventeen digits convert back to the same bits.
                return f"CONVERT(varchar(32), {value}, 3)"
            case _:
                return self.column_text(column, row)

    def key(self, table: CapturedTable, row: str) -> str:
        """Render a row's key as a JSON array of canonical texts."""
        members = " + ',' + ".join(
            # STRING_ESCAPE also escapes the slash, which JSON does not need and PostgreSQL does not do.
            f"'\"' + REPLACE(STRING_ESCAPE({self.column_text(column, row)}, 'json'), '\\/', '/') + '\"'"
            for column in table.key_columns
        )
        return f"'[' + {members} + ']'"

    def column_text(self, column: CapturedColumn, row: str) -> str:  # noqa: C901, PLR0912 - one case a type
        """Render one column by its type, independent of every session setting."""
        value = f"{row}.{quoted(column.name)}"
        match column.type:
            case ColumnType.TEXT:
                # One collation for all: texts of different ones cannot be concatenated.
                return f"{value} {CODE}"
            case ColumnType.CHAR:
                return f"RTRIM({value}) {CODE}"
            case ColumnType.XML:
                return f"CONVERT(nvarchar(max), {value}) {CODE}"
            case ColumnType.UUID:
                return f"LOWER(CONVERT(char(36), {value}))"
            case ColumnType.BOOLEAN:
                return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
            case ColumnType.SMALLINT | ColumnType.INTEGER | ColumnType.BIGINT:
                return f"CONVERT(varchar(20), {value})"
            case ColumnType.NUMERIC:
                return f"CONVERT(varchar(41), CONVERT(decimal({column.precision}, {column.scale}), {value}))"
            case ColumnType.REAL:
                return f"LOWER(CONVERT(char(8), CONVERT(binary(4), {value}), 2))"
            case ColumnType.DOUBLE:
                # The bits, as no two engines agree on decimal digits.
                return f"LOWER(CONVERT(char(16), CONVERT(binary(8), {value}), 2))"
            case ColumnType.DATE:
                return f"CONVERT(char(10), {value}, 23)"
            case ColumnType.TIME:
                return f"CONVERT(char(15), CONVERT(time(6), {value}), 121)"
            case ColumnType.TIMESTAMP:
                return _timestamp(_datetime2(column, value))
            case ColumnType.TIMESTAMPTZ:
                # An explicit check for NULL: a session setting can make NULL + 'Z' give 'Z'.
                utc = _timestamp(f"CONVERT(datetime2(6), SWITCHOFFSET({value}, '+00:00'))")
                return f"CASE WHEN {value} IS NOT NULL THEN {utc} + 'Z' END"
            case ColumnType.OFFSET:
                # An instant without an offset has no minutes: DATEPART of NULL is NULL.
                instant = f"{row}.{quoted(column.name.removesuffix(OFFSET_SUFFIX))}"
                return f"CONVERT(varchar(5), DATEPART(tz, {instant}))"
            case ColumnType.BINARY:
                # By way of varbinary, because a rowversion cannot be converted directly.
                return f"LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), {value}), 2))"

    def row_hashes(self, table: CapturedTable, buckets: int, only: Sequence[int] = ()) -> str:
        """Hash rows and bucket them by the hash of their key, in one scan."""
        parts = ", CHAR(31), ".join(
            f"COALESCE(N'=' + {self.column_text(c, 'r')}, N'~')" for c in table.columns
        )
        keyed = (
            f"WITH keyed AS (SELECT {self.key(table, 'r')} AS [key], CONCAT(CONVERT(nvarchar(max), N''), {parts}) "
            f"AS row_text FROM {table.schema}.{quoted(table.name)} AS r), "
            f"hashed AS (SELECT [key], {_hash('row_text')} AS row_hash, "
            f"({_hash('[key]')} & {buckets - 1}) AS bucket FROM keyed) "
        )
        if not only:
            return keyed + (
                "SELECT bucket, COUNT_BIG(*), SUM(CONVERT(decimal(38, 0), row_hash)) FROM hashed GROUP BY bucket"
            )
        return keyed + f"SELECT [key], row_hash FROM hashed WHERE bucket IN ({', '.join(map(str, only))})"


def quoted(name: str) -> str:
    """Quote a name for T-SQL."""
    return f"[{name}]"


def _datetime2(column: CapturedColumn, value: str) -> str:
    if column.precision is None:
        return f"CONVERT(datetime2(6), {value})"
    # First with its own digits: from a datetime's 1/300 s the conversion would produce more digits than it has.
    return f"CONVERT(datetime2(6), CONVERT(datetime2({column.precision}), {value}))"


def _timestamp(value: str) -> str:
    return f"REPLACE(CONVERT(char(26), {value}, 121), ' ', 'T')"


def _hash(text: str) -> str:
    # As varchar in a UTF-8 collation, because functions before may have changed the collation.
    utf8 = f"CONVERT(varchar(max), {text} {CODE})"
    return f"CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', {utf8}), 1, 8)))"
