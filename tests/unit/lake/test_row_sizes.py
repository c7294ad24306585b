"""Every row that the lake admits fits a record of its topic."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql
from sqlalchemy.schema import CreateTable

from services.lake.tables import CAPTURED
from services.lake.types import LONG_TEXT_BYTES
from services.replicator.topics import LARGEST_RECORD_BYTES, RECORD_MARGIN_BYTES

# JSON writes a control character, one byte in UTF-8, as six; every other character as its one to four bytes.
ESCAPED = 6
OTHER = 64


def largest_value(type_: sa.types.TypeEngine[object]) -> int:
    """Bytes of the largest value of a column, as an image has it."""
    if isinstance(type_, sa.UnicodeText):
        return LONG_TEXT_BYTES * ESCAPED
    if isinstance(type_, sa.LargeBinary | sa.String):
        assert type_.length is not None, "a column without a limit is one of long_text"
        return type_.length * ESCAPED
    return OTHER


@pytest.mark.parametrize("table", CAPTURED, ids=lambda table: str(table.name))
def test_the_largest_image_fits_a_record(table: sa.Table) -> None:
    size = sum(largest_value(column.type) + len(column.name) + OTHER for column in table.columns)
    assert size < LARGEST_RECORD_BYTES - RECORD_MARGIN_BYTES


@pytest.mark.parametrize("table", CAPTURED, ids=lambda table: str(table.name))
def test_a_column_without_a_limit_of_its_type_has_a_check(table: sa.Table) -> None:
    for dialect, function in ((postgresql.dialect(), "octet_length"), (mssql.dialect(), "DATALENGTH")):
        ddl = str(CreateTable(table).compile(dialect=dialect))
        for column in table.columns:
            if isinstance(column.type, sa.Text):
                assert f"CHECK ({function}({column.name}) <= {LONG_TEXT_BYTES})" in ddl
