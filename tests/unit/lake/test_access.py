"""The conditions of access in the words of both engines, and what is left of personal data."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mssql, postgresql

from services.chassis.web.identity import Caller
from services.lake import access
from services.lake.domain.roles import Personal, Role
from services.lake.tables import application, application_party, loan, party

DIALECTS: tuple[tuple[str, Any], ...] = (("postgres", postgresql.dialect()), ("tsql", mssql.dialect()))
ANH = {
    "party_id": 1,
    "full_name": "Ánh Nguyễn",
    "birth_date": date(1990, 1, 2),
    "national_id": "012345678901",
    "email": "anh.nguyen@example.com",
    "phone": "+84 912 345 678",
}


def caller(*roles: Role) -> Caller:
    return Caller(uuid.UUID(int=7), "somebody", frozenset(roles), frozenset())


def compiled(statement: sa.Executable, dialect: Any) -> str:
    return str(statement.compile(dialect=dialect))  # type: ignore[attr-defined] # every statement has it


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("name", "dialect"), DIALECTS)
def test_every_condition_parses_on_both_engines(role: Role, name: str, dialect: Any) -> None:
    one = caller(role)
    statements = (
        sa.select(application.c.id, access.personal(one)).where(access.applications(one)),
        sa.select(loan.c.id).where(access.loans(one)),
        sa.select(party.c.id).where(access.parties(one), access.clear_parties(one)),
    )
    for statement in statements:
        sqlglot.parse_one(compiled(statement, dialect).replace("%(", ":").replace(")s", ""), dialect=name)


@pytest.mark.parametrize("role", [Role.MAKER, Role.OFFICER, Role.SERVICING])
def test_a_condition_looks_at_its_own_tables_and_not_at_those_of_the_query(role: Role) -> None:
    query = sa.select(party.c.full_name).join_from(
        application_party, party, party.c.id == application_party.c.party_id
    )
    text = compiled(query.where(access.parties(caller(role))), postgresql.dialect())

    assert "credit.application_party AS visible_part" in text
    assert "credit.application AS visible_application" in text


def test_somebody_without_a_role_sees_nothing() -> None:
    for condition in (
        access.applications(caller()),
        access.parties(caller()),
        access.clear_parties(caller()),
    ):
        assert compiled(sa.select(sa.literal(1)).where(condition), postgresql.dialect()).endswith("false")


def test_personal_data_is_shown_masked_or_hidden() -> None:
    assert access.shown(ANH, Personal.CLEAR) == ANH
    assert access.shown(ANH, Personal.MASKED) == {
        "party_id": 1,
        "full_name": "Ánh Nguyễn",
        "birth_date": None,
        "national_id": "•••901",
        "email": "a•••@example.com",
        "phone": "•••678",
    }
    hidden = access.shown(ANH, Personal.HIDDEN)
    assert hidden.pop("party_id") == 1
    assert set(hidden.values()) == {None}


@pytest.mark.parametrize("short", ["1", "12", "1234567"])
def test_of_a_short_identifier_nothing_is_left(short: str) -> None:
    assert access.shown({"national_id": short}, Personal.MASKED) == {"national_id": "•••"}


def program(*scopes: str) -> Caller:
    return Caller(uuid.UUID(int=7), "portal", frozenset({Role.SERVICE}), frozenset(scopes))


def where(condition: sa.ColumnElement[bool]) -> str:
    return compiled(sa.select(sa.literal(1)).where(condition), postgresql.dialect()).split("WHERE ", 1)[1]


def test_a_program_sees_what_its_scopes_say() -> None:
    nothing, reader, parties = program(), program("applications:read"), program("parties:read")
    maker = program("applications:submit")

    assert where(access.applications(nothing)) == where(access.clear_applications(reader)) == "false"
    assert where(access.clear_parties(reader)) == where(access.parties(nothing)) == "false"
    assert where(access.applications(reader)) == "credit.application.submitted_at IS NOT NULL"
    assert where(access.clear_applications(parties)) == "credit.application.submitted_at IS NOT NULL"
    assert "submitted_at" in where(access.parties(parties))
    assert where(access.applications(maker)).startswith("credit.application.created_by =")
    assert where(access.parties(maker)).startswith("credit.party.created_by =")


def test_a_program_that_only_writes_is_joined_to_no_applications() -> None:
    writer = program("applications:submit", "parties:write")

    assert where(access.clear_parties(writer)) == where(access.parties(writer))
    assert "application" not in where(access.clear_parties(writer))
