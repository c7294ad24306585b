"""PostgreSQL: rows as images in the journal, and as hashes for verification."""

from collections.abc import Sequence

from services.lake.journal.model import (
    OFFSET_SUFFIX,
    CapturedColumn,
    CapturedTable,
    ColumnType,
)

_INTEGERS = (ColumnType.SMALLINT, ColumnType.INTEGER, ColumnType.OFFSET)
FLOATS = (ColumnType.REAL, ColumnType.DOUBLE)
_TEXTS = (ColumnType.TEXT, ColumnType.CHAR, ColumnType.XML)
_TIME = "HH24:MI:SS.US"


class PostgreSQLImages:
    """Rows as text: images, keys and hashes."""

    def image(self, table: CapturedTable, row: str) -> str:
        """Render a row as a JSON object: numbers that JSON may round, times and bytes as text."""
        members: list[str] = []
        for index, column in enumerate(table.columns):
            text = self.column_text(column, row)
            if column.type in _TEXTS:
                value = f"to_json({text})::text"
            elif column.type in (*_INTEGERS, ColumnType.BOOLEAN):
                value = text
            elif column.type in FLOATS:
                # The shortest digits that convert back to the same bits.
                value = f"'\"' || {row}.{column.name}::text || '\"'"
            elif column.type in (ColumnType.DATE, ColumnType.TIMESTAMP):
                # ISO 8601 whatever the session's DateStyle, infinity and years before Christ included.
                value = f"to_json({row}.{column.name})::text"
            else:
                value = f"'\"' || {text} || '\"'"
            members += [f"'{'{' if index == 0 else ','}\"{column.name}\":'", f"coalesce({value}, 'null')"]
        return f"concat({', '.join(members)}, '}}')"

    def key(self, table: CapturedTable, row: str) -> str:
        """Render a row's key as a JSON array of canonical texts."""
        members = [f"to_json({self.column_text(column, row)})::text" for column in table.key_columns]
        return f"""concat('[', {", ',', ".join(members)}, ']')"""

    def column_text(self, column: CapturedColumn, row: str) -> str:
        """Render one column by its type, independent of every session setting."""
        value = f"{row}.{column.name}"
        match column.type:
            case ColumnType.BINARY:
                return f"encode({value}, 'hex')"
            case ColumnType.DATE:
                return f"(to_json({value}) #>> '{{}}')"
            case ColumnType.TIME:
                return f"to_char({value}, '{_TIME}')"
            case ColumnType.TIMESTAMP:
                return _moment(value, value, f'YYYY-MM-DD"T"{_TIME}')
            case ColumnType.TIMESTAMPTZ:
                return _moment(value, f"{value} AT TIME ZONE 'UTC'", f'YYYY-MM-DD"T"{_TIME}"Z"')
            case ColumnType.OFFSET:
                # No type of this engine stores an offset: instants are in UTC.
                instant = f"{row}.{column.name.removesuffix(OFFSET_SUFFIX)}"
                return f"CASE WHEN {instant} IS NOT NULL THEN '0' END"
            case ColumnType.REAL:
                return f"encode(float4send({value}), 'hex')"
            case ColumnType.DOUBLE:
                # The bits, as no two engines agree on decimal digits.
                return f"encode(float8send({value}), 'hex')"
            case _:
                return f"{value}::text"

    def row_hashes(self, table: CapturedTable, buckets: int, only: Sequence[int] = ()) -> str:
        """Hash rows and bucket them by the hash of their key, in one scan."""
        parts = ", chr(31), ".join(f"coalesce('=' || {self.column_text(c, 'r')}, '~')" for c in table.columns)
        keyed = (
            f"WITH keyed AS (SELECT {self.key(table, 'r')} AS key, concat({parts}) AS row_text "
            f"FROM {table.full_name} AS r), "
            f"hashed AS (SELECT key, {_hash('row_text')} AS row_hash, "
            f"({_hash('key')} & {buckets - 1}) AS bucket FROM keyed) "
        )
        if not only:
            return keyed + "SELECT bucket, count(*), sum(row_hash::numeric(38)) FROM hashed GROUP BY bucket"
        return keyed + f"SELECT key, row_hash FROM hashed WHERE bucket IN ({', '.join(map(str, only))})"


def _hash(text: str) -> str:
    return f"('x' || encode(substr(sha256(convert_to({text}, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint"


def _moment(value: str, shown: str, form: str) -> str:
    """Render a time as SQL Server does, and also the values that SQL Server lacks: years BC and infinity."""
    return (
        f"CASE WHEN {value} >= '0001-01-01 00:00:00+00' AND {value} < 'infinity' THEN to_char({shown}, '{form}') "
        f"WHEN isfinite({value}) THEN to_char({shown}, '{form} BC') ELSE {value}::text END"
    )
