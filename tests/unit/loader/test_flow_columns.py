"""The columns of the lake's flow follow from its tables, and the rest of the file is left as a person wrote it."""

from __future__ import annotations

import pytest

from services.loader.errors import InvalidMapping
from services.loader.vault.flow import WIDTH, with_columns

FLOW = """\
name: lake
targets:
  # Who takes part.
  - source: credit.party
    table: credit_party
    keys: [id]
    columns:
      [id,
       kind]
    checks:
      - {column: kind, one_of: [person, organisation], when: after}
  - source: credit.loan
    table: credit_loan
    keys: [id]
    columns: [id]
"""
COLUMNS = {
    "credit.party": ["id", "kind", "email"],
    "credit.loan": ["id", *(f"amount_{n}" for n in range(20))],
}


def test_columns_are_replaced_and_nothing_else() -> None:
    text = with_columns(FLOW, COLUMNS)
    assert "    columns: [id, kind, email]\n    checks:\n" in text
    assert "    columns:\n      [id, amount_0, " in text
    assert "  # Who takes part.\n" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert with_columns(text, COLUMNS) == text


@pytest.mark.parametrize("table", ["credit.party", "credit.branch"])
def test_a_table_without_a_target_or_a_target_without_a_table_is_named(table: str) -> None:
    columns = {**COLUMNS, table: ["id"]}
    if table in COLUMNS:
        del columns[table]
    with pytest.raises(InvalidMapping, match=table):
        with_columns(FLOW, columns)
