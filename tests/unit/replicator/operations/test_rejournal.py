"""Keys as people write them."""

from __future__ import annotations

import pytest

from services.lake.journal.capture import captured_table
from services.lake.tables import instalment, party, product
from services.replicator.operations.rejournal import KeyNotRead, UnknownTable, canonical_key, known

ID = "0197a2a0-0000-7000-8000-00000000000A"
PARTY, PRODUCT, INSTALMENT = (captured_table(table) for table in (party, product, instalment))


def test_a_key_of_one_column_may_stand_alone() -> None:
    assert canonical_key(PARTY, ID) == f'["{ID.lower()}"]'
    assert canonical_key(PARTY, f'["{ID}"]') == f'["{ID.lower()}"]'
    assert canonical_key(PRODUCT, "Kredit ä") == '["Kredit ä"]'


def test_a_key_of_several_columns_is_an_array_as_verify_prints_it() -> None:
    assert canonical_key(INSTALMENT, f'["{ID}", "12"]') == f'["{ID.lower()}","12"]'


@pytest.mark.parametrize("text", ["", "x", "[", "[]", "[1]", "{}", f'["{ID}","1"]', '["no uuid"]', "[null]"])
def test_what_is_no_key_is_refused_with_the_key_columns(text: str) -> None:
    with pytest.raises(KeyNotRead, match=r"is no key of credit\.party \(id\)"):
        canonical_key(PARTY, text)


def test_an_unknown_table_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownTable, match=r"credit\.partie is no captured table; there are credit\.party"):
        known({"credit.party": PARTY}, "credit.partie")
