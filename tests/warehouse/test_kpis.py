"""The KPIs of the hand-made portfolio, as ap has them after the whole way from the lake; the arithmetic is beside."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.portfolio import AS_OF, identifier

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

# Open on AS_OF: six of 1,200 (DPD 30, 31, 89, 90, 91, and 36 of the reversed payment), 1,050 (partial, DPD 14), 100
# (matured unpaid, DPD 76), 1,000 restructured and 1,000 unlikely to pay, both without arrears.
OUTSTANDING = Decimal(6 * 1200 + 1050 + 100 + 1000 + 1000)


async def kpi(  # noqa: PLR0917 - what tells KPIs apart
    built: Warehouse, name: str, grain: str, period: date, member: str = "all", currency: str = "DEM"
) -> dict[str, Any]:
    """One KPI of the hand-made portfolio."""
    (row,) = await built.rows(
        "SELECT numerator, denominator, value FROM ap.kpi WHERE kpi = $1 AND grain = $2 AND period_start = $3 "
        "AND member = $4 AND currency = $5 AND dimension IN ('all', 'borrower', 'bucket')",
        name,
        grain,
        period,
        member,
        currency,
    )
    return row


async def test_loans_on_the_boundaries(built: Warehouse) -> None:
    rows = await built.rows(
        "SELECT loan_id, status, days_past_due, bucket, outstanding_principal, overpaid_amount, is_non_performing, "
        "ifrs9_stage FROM dm.fact_loan_month WHERE snapshot_kind = 'as_of' AND currency = 'DEM'"
    )
    found = {str(row.pop("loan_id")): tuple(row.values()) for row in rows}
    expected = {
        "dpd 30": ("open", 30, "1-30", 1200, 0, 0, 1),
        "dpd 31": ("open", 31, "31-60", 1200, 0, 0, 2),
        "dpd 89": ("open", 89, "61-90", 1200, 0, 0, 2),
        "dpd 90": ("open", 90, "61-90", 1200, 0, 0, 3),
        "dpd 91": ("open", 91, ">90", 1200, 0, 1, 3),
        "matured unpaid": ("open", 76, "61-90", 100, 0, 0, 2),
        "reversed payment": ("open", 36, "31-60", 1200, 0, 0, 2),
        "overpaid": ("paid_off", 0, "paid_off", 0, 50, 0, 0),
        "partial": ("open", 14, "1-30", 1050, 0, 0, 1),
        "written off": ("written_off", 0, "written_off", 0, 0, 0, 0),
        "restructured": ("open", 0, "0", 1000, 0, 0, 2),
        "unlikely to pay": ("open", 0, "0", 1000, 0, 1, 3),
        "cancelled": ("cancelled", 0, "cancelled", 0, 0, 0, 0),
    }
    assert found == {str(identifier(f"loan {name}")): values for name, values in expected.items()}


async def test_the_portfolio_at_risk(built: Warehouse) -> None:
    # DPD > 0: all but the two without arrears. > 30: not the 1,200 of 30 days and the 1,050 of 14. > 60: 89, 90, 91 and
    # the matured one. > 90: only 91.
    at_risk = {"par_0": 8350, "par_30": 6100, "par_60": 3700, "par_90": 1200}
    for name, amount in at_risk.items():
        row = await kpi(built, name, "as_of", AS_OF)
        assert (row["numerator"], row["denominator"]) == (amount, OUTSTANDING)
        assert row["value"] == round(Decimal(amount) / OUTSTANDING, 10)
        # Beside it the restructured one, which has no arrears.
        assert (await kpi(built, f"{name}_restructured", "as_of", AS_OF))["numerator"] == 1000
    # More than 90 days and material (300 overdue), or unlikely to pay; no interest, so gross is the principal.
    npl = await kpi(built, "npl_ratio", "as_of", AS_OF)
    assert (npl["numerator"], npl["denominator"]) == (1200 + 1000, OUTSTANDING)
    exposure = await kpi(built, "exposure", "as_of", AS_OF)
    assert (exposure["value"], exposure["denominator"]) == (OUTSTANDING, 10)
    buckets = {"0": 2000, "1-30": 2250, "31-60": 2400, "61-90": 2500, ">90": 1200}
    for bucket, amount in buckets.items():
        assert (await kpi(built, "dpd_bucket_share", "as_of", AS_OF, bucket))["numerator"] == amount
    # Ten borrowers: the sum of squares of what each owes.
    squares = 6 * 1200**2 + 1050**2 + 100**2 + 2 * 1000**2
    hhi = await kpi(built, "hhi", "as_of", AS_OF)
    assert hhi["value"] == round(10_000 * squares / OUTSTANDING**2, 10)
    assert (await kpi(built, "ten_largest_share", "as_of", AS_OF))["value"] == 1


async def test_decisions_of_august(built: Warehouse) -> None:
    august = date(2026, 8, 1)
    # Approved: the returned one, and the loan of 3 August; rejected: one. Withdrawn and expired do not count.
    rate = await kpi(built, "approval_rate", "month_of_decision", august)
    assert (rate["numerator"], rate["denominator"]) == (2, 3)
    # 10, 24 and 30 hours: the median is 24, the 95th percentile 24 + 0.9 x (30 - 24). Without the return 6, 10, 24.
    hours = {
        "time_to_decision_p50": "24",
        "time_to_decision_p95": "29.4",
        "time_to_decision_net_p50": "10",
        "time_to_decision_net_p95": "22.6",
    }
    for name, value in hours.items():
        row = await kpi(built, name, "month_of_decision", august)
        assert (row["value"], row["denominator"]) == (Decimal(value), 3)
    # Submitted in July: six, all booked. In August: rejected, returned, withdrawn, expired; none booked.
    july = date(2026, 7, 1)
    cohorts = {july: (6, 6), august: (0, 4)}
    for month, (booked, submitted) in cohorts.items():
        row = await kpi(built, "pull_through", "month_of_submission", month)
        assert (row["numerator"], row["denominator"]) == (booked, submitted)
    # One waits since 10 September, and on AS_OF one since the 12th that was approved the day after.
    backlog = await kpi(built, "backlog_age_average", "as_of", AS_OF)
    assert (backlog["numerator"], backlog["denominator"], backlog["value"]) == (5 + 3, 2, 4)


async def test_money_that_moved(built: Warehouse) -> None:
    # Disbursed in July: 1st, 10th, three on the 15th, 16th. August's only disbursement was taken back.
    july = date(2026, 7, 1)
    volume = await kpi(built, "booked_volume", "month_of_booking", july)
    assert (volume["value"], volume["denominator"]) == (7200, 6)
    assert (await kpi(built, "average_ticket", "month_of_booking", july))["value"] == 1200
    taken_back = await built.rows(
        "SELECT 1 FROM ap.kpi WHERE kpi = 'booked_volume' AND currency = 'DEM' AND period_start = '2026-08-01'"
    )
    assert taken_back == []
    gross = await kpi(built, "write_off_rate_gross", "as_of", AS_OF)
    net = await kpi(built, "write_off_rate_net", "as_of", AS_OF)
    assert (gross["numerator"], net["numerator"]) == (1000, 1000 - 300)
    assert gross["value"] == round(1000 / gross["denominator"], 10)
    # Eleven month ends make no rate of twelve months.
    early = await kpi(built, "write_off_rate_gross", "month_end", date(2026, 5, 31))
    assert (early["numerator"], early["value"]) == (0, None)


async def test_twelve_months_up_to_february(built: Warehouse) -> None:
    # They begin on 1 March 2024: the 100 of 29 February are out. Owed at the month ends from March on: 1,200 - 300,
    # eleven times, and 870 at the end of February 2025.
    gross = await kpi(built, "write_off_rate_gross", "month_end", date(2025, 2, 28), currency="SEK")
    average = Decimal(11 * 900 + 870) / 12
    assert (gross["numerator"], gross["denominator"]) == (200 + 30, average)
    assert gross["value"] == round(230 / average, 10)


async def test_concentration_of_amounts_whose_squares_have_no_room(built: Warehouse) -> None:
    # 9 x 10^14 and 3 x 10^14: shares 3/4 and 1/4, HHI = 10,000 x (9/16 + 1/16).
    hhi = await kpi(built, "hhi", "as_of", AS_OF, currency="VND")
    assert (hhi["value"], hhi["denominator"]) == (6250, 12 * 10**14)
    assert hhi["numerator"] == 9 * 10**14 * Decimal("0.75") + 3 * 10**14 * Decimal("0.25")


async def test_an_instalment_is_overdue_from_the_day_after_it_is_due(built: Warehouse) -> None:
    rows = await built.rows(
        "SELECT loan_id, status, days_past_due, bucket, overdue_amount, outstanding_principal, is_non_performing "
        "FROM dm.fact_loan_month WHERE snapshot_kind = 'as_of' AND currency = 'GBP'"
    )
    found = {str(row.pop("loan_id")): tuple(row.values()) for row in rows}
    # First due on 10 June 2025: 462 days. Overdue is at most what is left, and material only above 100.
    expected = {
        "due today": ("open", 0, "0", 0, 1200, 0),
        "due yesterday": ("open", 1, "1-30", 100, 1200, 0),
        "50 left": ("open", 462, ">90", 50, 50, 0),
        "150 left": ("open", 462, ">90", 150, 150, 1),
        "repaid in part": ("written_off", 0, "written_off", 0, 0, 0),
    }
    assert found == {str(identifier(f"loan {name}")): values for name, values in expected.items()}
    par = await kpi(built, "par_0", "as_of", AS_OF, currency="GBP")
    assert (par["numerator"], par["denominator"]) == (1200 + 50 + 150, 1200 + 1200 + 50 + 150)
    instalments = await built.rows(
        "SELECT i.days_past_due FROM dw.instalment_status AS i JOIN dw.hub_loan AS h ON h.loan_hk = i.loan_hk "
        "WHERE h.loan_id = ANY($1) AND i.number = 1 ORDER BY 1",
        [str(identifier(f"loan {name}")) for name in ("due today", "due yesterday")],
    )
    assert [row["days_past_due"] for row in instalments] == [0, 1]


async def test_accrued_interest_and_expected_loss(built: Warehouse) -> None:
    # Half of the 30 days from 31 August to 30 September: half of the 10.00.
    (loan,) = await built.rows(
        "SELECT accrued_interest, gross_amount, ifrs9_stage, remaining_instalments FROM dm.fact_loan_month "
        "WHERE snapshot_kind = 'as_of' AND currency = 'JPY'"
    )
    assert tuple(loan.values()) == (5, 1005, 1, 2)
    # PD 0.04 a year, LGD 0.45, 1 % a month. In the first month 1 - 0.96^(1/12) of the whole; in the second
    # 0.96^(1/12) - 0.96^(2/12) of what the annuity of two months leaves, 1.01 / 2.01.
    month = 0.96 ** (1 / 12)
    factor = (1 - month) / 1.01 + (month - month**2) * (1.01 / 2.01) / 1.01**2
    row = await kpi(built, "expected_loss", "as_of", AS_OF, currency="JPY")
    assert float(row["value"]) == pytest.approx(1005 * 0.45 * factor, abs=0.0001)
    assert row["denominator"] == 1005


async def test_vintages_see_every_day_and_every_write_off(built: Warehouse) -> None:
    rows = await built.rows(
        "SELECT cohort_month, months_on_book, bad_loans, numerator, denominator, value, written_off_amount "
        "FROM ap.vintage WHERE currency = 'CHF' AND months_on_book <= 9 ORDER BY cohort_month, months_on_book"
    )
    found = {
        month: [tuple(row.values())[2:] for row in rows if row["cohort_month"] == month]
        for month in (date(2026, 1, 1), date(2026, 2, 1))
    }
    # Of four loans of 1,200 one is written off in part in month 2, one whole in month 3; one is 91 days past due on
    # 7 May, in month 4, and at no month end. The fourth is never more than 90. August is observed, September not.
    unknown = (None, None, 4800, None, None)
    assert found[date(2026, 1, 1)] == [
        (0, 0, 4800, 0, 0),
        (0, 0, 4800, 0, 0),
        (1, 1200, 4800, Decimal("0.25"), 50),
        (2, 2400, 4800, Decimal("0.5"), 1250),
        *[(3, 3600, 4800, Decimal("0.75"), 1250)] * 4,
        *[unknown] * 2,
    ]
    # The payment was taken back in month 5, and made good in the same month.
    late = [row[0] for row in found[date(2026, 2, 1)]]
    assert late == [0, 0, 0, 0, 0, 1, 1, None, None, None]


async def test_gini_looks_to_the_end_of_month_12(built: Warehouse) -> None:
    # Goods at 600 and 400, a bad at 400: of 2 pairs one is won and one is a tie, (2 x 1.5 - 2) / 2. Up to 400 there
    # are all bads and half of the goods.
    rows = await built.rows("SELECT kpi, goods, bads, value FROM ap.score_separation WHERE currency = 'NOK'")
    half = Decimal("0.5")
    assert {tuple(row.values()) for row in rows} == {("gini", 2, 1, half), ("ks", 2, 1, half)}


async def test_scores_outside_the_bins_are_in_the_outer_ones(built: Warehouse) -> None:
    rows = await built.rows(
        "SELECT bin, numerator, denominator, actual_share, expected_share, contribution FROM ap.score_stability "
        "WHERE currency = 'PLN' ORDER BY bin"
    )
    assert [row["numerator"] for row in rows] == [50, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert {row["denominator"] for row in rows} == {52}
    # 1/52 has no end: as many digits are kept as a float has.
    assert abs(sum(row["actual_share"] for row in rows) - 1) < Decimal("1e-14")
    assert sum(row["expected_share"] for row in rows) == 1
    # An empty bin counts as 0.0001.
    actual = [max(float(row["numerator"]) / 52, 0.0001) for row in rows]
    expected = [0.0890, 0.1030, 0.0960, 0.0870, 0.1210, 0.0950, 0.1080, 0.0950, 0.0920, 0.1140]
    psi = sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))
    row = await kpi(built, "psi", "month_of_submission", date(2026, 6, 1), currency="PLN")
    assert (float(row["value"]), row["denominator"]) == (pytest.approx(psi, abs=1e-8), 52)


async def test_no_month_leaves_a_score_out(built: Warehouse) -> None:
    left_out = await built.rows(
        "SELECT d.currency, date_trunc('month', d.first_submitted_on) AS month, count(*) AS cases, s.cases AS in_bins "
        "FROM dm.fact_decision AS d LEFT JOIN (SELECT currency, period_start, sum(numerator) AS cases "
        "FROM ap.score_stability GROUP BY currency, period_start) AS s ON s.currency = d.currency "
        "AND s.period_start = date_trunc('month', d.first_submitted_on) "
        "WHERE d.first_submitted_on <= $1 AND d.score IS NOT NULL GROUP BY 1, 2, s.cases "
        "HAVING s.cases IS DISTINCT FROM count(*)",
        AS_OF,
    )
    assert left_out == []


async def test_payments_are_applied_first_in_first_out(built: Warehouse) -> None:
    allocations = await built.rows(
        "SELECT a.number, a.amount FROM dw.payment_allocation AS a JOIN dw.hub_loan AS h ON h.loan_hk = a.loan_hk "
        "WHERE h.loan_id = $1 ORDER BY a.number",
        str(identifier("loan partial")),
    )
    # 150 of instalments of 100.
    assert [tuple(row.values()) for row in allocations] == [(1, 100), (2, 50)]
    undone = await built.rows(
        "SELECT effect, amount, effective_on, reversed_on FROM dm.fact_loan_transaction WHERE loan_id = $1 "
        "AND effect = 'payment' ORDER BY effective_on",
        str(identifier("loan reversed payment")),
    )
    assert [tuple(row.values()) for row in undone] == [
        ("payment", 100, date(2026, 8, 10), date(2026, 8, 20)),
        ("payment", -100, date(2026, 8, 20), None),
    ]


async def test_the_analyst_reads_only_dm_and_ap_and_no_names(built: Warehouse) -> None:
    async with built.database.connect("analyst") as connection:
        assert await connection.fetchval("SELECT count(*) FROM ap.kpi") > 100
        schemas = [
            row[0]
            for row in await connection.fetch(
                "SELECT s FROM unnest(ARRAY['dl', 'ods', 'dw', 'dm', 'ap']) AS s WHERE has_schema_privilege(s, 'USAGE')"
            )
        ]
    assert schemas == ["dm", "ap"]
    personal = await built.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema IN ('dm', 'ap') "
        "AND column_name IN ('full_name', 'national_id', 'email', 'phone', 'birth_date')"
    )
    assert personal == []
