"""Shared steps of the tests of proposals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from tests.integration.lending import Lending, assert_problem


def today() -> date:
    """The day in UTC, which the services go by here; asked at each use, since a run may last over midnight."""
    return datetime.now(UTC).date()


VALUE_DATE = today() - timedelta(days=200)


async def booked_loan(lending: Lending) -> dict[str, Any]:
    """Book a loan of 1,200, disbursed 200 days ago for 12 months."""
    return await lending.booked(value_date=VALUE_DATE, amount="1200", term_months=12)


async def proposed(lending: Lending, loan: dict[str, Any], kind: str, **body: Any) -> dict[str, Any]:
    response = await lending.propose(lending.user("servicing"), loan["loan_id"], kind, **body)
    assert response.status_code == 201, response.text
    view: dict[str, Any] = response.json()
    return view


async def read(lending: Lending, path: str) -> Any:
    response = await lending.intake.get(path, headers=lending.user("auditor").headers)
    assert response.status_code == 200, response.text
    return response.json()


async def loan_of(lending: Lending, loan: dict[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = await read(lending, f"/loans/{loan['loan_id']}")
    return view


def assert_reason(response: httpx.Response, status: int, reason: str) -> None:
    assert assert_problem(response, status)["reason"] == reason
