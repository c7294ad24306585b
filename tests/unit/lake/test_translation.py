"""The acceptance cases' statements, translated for the run against a real SQL Server: parsed without one."""

from __future__ import annotations

import pytest
import sqlglot

from tests.faults.writers import BULK, UPSERT, UPSERT_APPLICATION
from tests.integration.replicator.pipeline import party_insert
from tests.sqlserver.translation import NotTranslatable, translate

PARAMETERS = [
    (UPSERT, [2, 1, 1, 2]),
    (UPSERT_APPLICATION, [2, 1, 1, 2]),
    (BULK, [2, 1]),
    ("UPDATE credit.party SET id = $2 WHERE id = $1", [2, 1]),
    ("DELETE FROM credit.party WHERE full_name = $1", [1]),
]
PLAIN = [
    party_insert(300, "Ánh"),
    party_insert(1) + "; " + party_insert(2),
    "UPDATE credit.party SET full_name = full_name || ', later'",
    "UPDATE credit.party AS p SET email = q.email FROM credit.party AS q WHERE q.id <> p.id",
    "DELETE FROM credit.party WHERE id IN (SELECT id FROM credit.party LIMIT 100)",
    "SELECT max(position) FROM journal.change",
    "SELECT definition FROM journal.captured_table ORDER BY installed_at",
    r"""UPDATE journal.change SET image = replace(image, '"x 7"', '"x\u0000 7"') WHERE image LIKE '%"x 7"%'""",
    "ALTER TABLE credit.party ADD COLUMN nickname varchar(40)",
    "ALTER TABLE credit.party ADD COLUMN points integer NOT NULL DEFAULT 7",
    "ALTER TABLE credit.party DROP COLUMN phone",
    "ALTER TABLE credit.party ALTER COLUMN birth_date TYPE varchar(10) USING to_char(birth_date, 'DD.MM.YYYY')",
    "ALTER TABLE credit.party ADD CONSTRAINT one_email UNIQUE (email) DEFERRABLE",
]


@pytest.mark.parametrize(("statement", "order"), PARAMETERS)
def test_arguments_are_given_in_the_order_in_which_they_are_asked_for(
    statement: str, order: list[int]
) -> None:
    written, found = translate(statement)
    assert found == order
    assert written.count("?") == len(order)
    assert sqlglot.parse(written.replace("?", "@p"), read="tsql")


@pytest.mark.parametrize("statement", PLAIN)
def test_a_statement_of_a_case_has_a_counterpart_that_parses(statement: str) -> None:
    written, order = translate(statement)
    assert order == []
    for parsed in sqlglot.parse(written, read="tsql"):
        assert parsed is not None
        assert not isinstance(parsed, sqlglot.exp.Command), written


def test_what_the_parser_cannot_say_is_said_by_hand() -> None:
    assert translate("ALTER TABLE credit.party DISABLE TRIGGER capture_insert")[0] == (
        "DISABLE TRIGGER credit.capture_party_insert ON credit.party"
    )
    assert translate("ALTER TABLE credit.party ENABLE TRIGGER USER")[0] == (
        "ENABLE TRIGGER ALL ON credit.party"
    )
    assert translate("ALTER TABLE credit.party RENAME COLUMN phone TO telephone")[0] == (
        "EXEC sp_rename N'credit.party.phone', N'telephone', N'COLUMN'"
    )


def test_texts_keep_their_letters_and_numbers_are_appended_to_them() -> None:
    written, _ = translate(party_insert(3, "Ánh"))
    assert "CONCAT(N'Ánh ', n)" in written
    assert "SYSUTCDATETIME()" in written
    assert "SELECT TOP 3 ROW_NUMBER()" in written


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT set_config('journal.actor', 'a', true)",
        "INSERT INTO t VALUES (1) RETURNING id",
        "SELECT '{}'::jsonb",
        "LOCK TABLE credit.party",
    ],
)
def test_what_has_no_counterpart_is_refused(statement: str) -> None:
    with pytest.raises(NotTranslatable):
        translate(statement)
