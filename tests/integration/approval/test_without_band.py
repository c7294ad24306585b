"""An application that no approval band covers is refused at submission; one that already waits is listed."""

from __future__ import annotations

from services.approval.queue.backlog import Backlog
from services.chassis.testing import parse_metrics
from services.lake.database import Lake
from tests.integration.lending import Lending, assert_problem

PRODUCT = (
    "INSERT INTO credit.product (code, name, currency, min_amount, max_amount, min_term_months, max_term_months) "
    "VALUES ($1, 'A product', $2, 1, 100000, 1, 60)"
)
PARAMETERS = (
    "INSERT INTO credit.product_parameters (product_code, valid_from, interest_rate, probability_of_default, "
    "loss_given_default, credit_conversion_factor, created_at) "
    "VALUES ($1, '1900-01-01', 0.05, 0.01, 0.4, 0, now() AT TIME ZONE 'UTC')"
)
BAND = (
    "INSERT INTO credit.approval_band (band, stage_order, stage, currency, amount_from, amount_below) "
    "VALUES ($1, 1, 'officer', $2, $3, $4)"
)


async def test_nobody_submits_what_nobody_can_approve(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    async with lending.lake.connect() as connection:
        for code, currency in (("EUROS", "EUR"), ("YEN", "JPY")):
            await connection.execute(PRODUCT, code, currency)
            await connection.execute(PARAMETERS, code)
        await connection.execute(BAND, "yen", "JPY", 1000, 5000)
    # No band of this currency, and amounts below and above all bands of the other.
    euros = await lending.content(maker, product_code="EUROS", currency="EUR")
    problem = assert_problem(await lending.post(maker, euros), 422, "/body/currency")
    assert "no approval band is set for EUR" in problem["errors"][0]["detail"]
    for amount in ("999", "5000", "100000"):
        yen = await lending.content(maker, product_code="YEN", currency="JPY", amount=amount)
        problem = assert_problem(await lending.post(maker, yen), 422, "/body/amount")
        assert "1,000 JPY to below 5,000 JPY" in problem["errors"][0]["detail"]
    # It may be drafted, and is held to the bands when it is submitted.
    draft = (await lending.post(maker, {**euros, "submit": False})).json()
    refused = await lending.act(lending.intake, maker, draft["id"], "submission", 1)
    assert_problem(refused, 422, "/body/currency")
    async with lending.lake.connect() as connection:
        await connection.execute(BAND, "euros", "EUR", 0, None)
    assert (await lending.act(lending.intake, maker, draft["id"], "submission", 1)).status_code == 200

    # The band goes: what waits is in nobody's queue, and is shown.
    async with lending.lake.connect() as connection:
        await connection.execute("DELETE FROM credit.approval_band WHERE band = 'euros'")
    found = (await lending.approval.get("/queue/without-band", headers=officer.headers)).json()
    assert [(one["id"], one["currency"]) for one in found] == [(draft["id"], "EUR")]
    lake = Lake.open(lending.lake.url("approval"), service="test", pool_size=1)
    try:
        await Backlog(lake).count()
    finally:
        await lake.dispose()
    metrics = parse_metrics((await lending.approval.get("/metrics")).text)
    assert metrics["credit_applications_without_band"] == {(): 1}
    refused = await lending.decide(officer, draft["id"], 2)
    assert_problem(refused, 409)
    assert_problem(await lending.approval.get("/queue/without-band", headers=maker.headers), 403)
