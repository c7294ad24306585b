"""The hash contract: the same text has the same hash in Python, in PostgreSQL and by the T-SQL in tests/golden."""

from __future__ import annotations

import json
import unicodedata

import pytest

from services.chassis.hashing import DELIMITER, GHOST_KEY, NULL_TOKEN, hash_of
from services.platform.settings import ROOT
from tests.warehouse.conftest import Warehouse
from tests.warehouse.portfolio import VIETNAMESE

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

GOLDEN = ROOT / "tests" / "golden" / "warehouse_hash.sql"
COMPOSED = unicodedata.normalize("NFC", VIETNAMESE[0])
DECOMPOSED = unicodedata.normalize("NFD", VIETNAMESE[0])


async def test_a_name_composed_and_decomposed_has_two_hashes_equal_on_both_sides(built: Warehouse) -> None:
    expression = (
        "encode(sha256(convert_to(coalesce('=' || cast($1 as text), '~') || chr(31) || "
        "coalesce('=' || cast($2 as text), '~'), 'UTF8')), 'hex')"
    )
    compiled = next((built.folder).rglob("compiled/creditmesh/models/dw/raw_vault/hub_approval_band.sql"))
    assert expression.replace("$1", "band").replace("$2", "stage_order") in compiled.read_text()
    for text in (COMPOSED, DECOMPOSED, "", "~", None):
        rows = await built.rows(f"SELECT {expression} AS hash", text, "1")
        assert rows == [{"hash": hash_of(text, 1)}]
    assert hash_of(COMPOSED) != hash_of(DECOMPOSED)
    assert len({hash_of(one) for one in (None, "", NULL_TOKEN, DELIMITER, "=")}) == 5


async def test_keys_in_the_vault_are_the_contracts(built: Warehouse) -> None:
    applications = await built.rows("SELECT application_hk, application_id FROM dw.hub_application")
    assert len(applications) > 40
    for row in applications:
        expected = GHOST_KEY if row["application_id"] is None else hash_of(row["application_id"])
        assert row["application_hk"] == expected
    instalments = await built.rows(
        "SELECT l.instalment_hk, h.loan_id, l.number FROM dw.link_instalment AS l "
        "JOIN dw.hub_loan AS h ON h.loan_hk = l.loan_hk WHERE h.loan_id IS NOT NULL"
    )
    assert all(row["instalment_hk"] == hash_of(row["loan_id"], row["number"]) for row in instalments)


def test_the_golden_t_sql_names_its_hashes() -> None:
    lines = [line.removeprefix("-- ") for line in GOLDEN.read_text().splitlines() if line.startswith("-- {")]
    cases = [json.loads(line) for line in lines]
    assert {case["text"] for case in cases} >= {COMPOSED, DECOMPOSED}
    for case in cases:
        assert case["hash"] == hash_of(case["text"])
