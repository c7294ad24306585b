"""Every statement that a service runs on the lake must be one that SQL Server takes as well."""

import re
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from services.approval import repository as approval
from services.approval.bands import repository as bands
from services.approval.bureau import repository as outcomes
from services.approval.claims import repository as claims
from services.approval.expiry import repository as expiry
from services.approval.products import repository as products
from services.approval.queue import backlog
from services.approval.queue import repository as queue
from services.intake import kept_answers
from services.intake import repository as intake
from services.intake.bureau import repository as bureau
from services.intake.documents import repository as documents
from services.intake.imports import repository as imports
from services.intake.lists import repository as lists
from services.intake.messages import repository as messages
from services.intake.parties import national_ids, tags
from services.intake.parties import repository as parties
from services.intake.proposals import repository as proposals
from services.intake.servicing import repository as servicing
from services.search import repository as search

REPOSITORIES = {
    "intake": intake.statements,
    "kept answers": kept_answers.statements,
    "lists": lists.statements,
    "parties": parties.statements,
    "national ids": national_ids.statements,
    "tags of parties": tags.statements,
    "servicing": servicing.statements,
    "proposals": proposals.statements,
    "documents": documents.statements,
    "bureau": bureau.statements,
    "imports": imports.statements,
    "rejected records": messages.statements,
    "outcomes": outcomes.statements,
    "backlog": backlog.statements,
    "approval": approval.statements,
    "claims": claims.statements,
    "expiry": expiry.statements,
    "products": products.statements,
    "bands": bands.statements,
    "queue": queue.statements,
    "search": search.statements,
}


@pytest.mark.parametrize("name", REPOSITORIES)
def test_statements_compile_for_sql_server(name: str) -> None:
    statements: Callable[[], Iterator[sa.Executable]] = REPOSITORIES[name]
    for statement in statements():
        assert isinstance(statement, sa.ClauseElement)
        text = str(statement.compile(dialect=mssql.dialect()))
        # OUTPUT without INTO fails on a table with triggers; the others are PostgreSQL's own.
        assert not re.search(r"\b(OUTPUT|RETURNING|ON CONFLICT|ILIKE|LIMIT)\b", text), text


@pytest.mark.parametrize("name", REPOSITORIES)
def test_writes_return_nothing_on_postgresql_either(name: str) -> None:
    for statement in REPOSITORIES[name]():
        assert isinstance(statement, sa.ClauseElement)
        assert "RETURNING" not in str(statement.compile(dialect=postgresql.dialect()))
