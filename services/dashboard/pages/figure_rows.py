"""The rows behind a figure, block after block by key: what they add up to, and the application of each."""

from collections.abc import Mapping
from typing import Any

from dash import html

from services.dashboard.analysis.figures import position
from services.dashboard.analysis.links import ROWS, with_changes
from services.dashboard.analysis.written import member_of, part_of, said_by
from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import empty, failed, note
from services.dashboard.parts.table import cell, short, table, to_record
from services.dashboard.parts.words import NOTHING, STATES, badge

SCOPE = "portfolio:rows"
PARAMETERS = (
    *("kpi", "part", "build", "currency", "dimension", "member", "grain", "as_of", "from", "to"),
    *("from_bucket", "to_bucket", "cohort_month", "months_on_book", "after"),
)
BLOCK = 100
COLUMNS: Mapping[str, str] = {
    "accrued_interest": "Accrued interest",
    "amount": "Amount",
    "application_id": "Application",
    "booked_on": "Booked on",
    "borrower_hk": "Borrower (hash)",
    "bucket": "Bucket",
    "channel": "Channel",
    "days_past_due": "Days past due",
    "decided_at": "Decided at",
    "decided_on": "Decided on",
    "decision": "Decision",
    "disbursed_on": "Disbursed on",
    "effect": "Effect",
    "effective_on": "Effective on",
    "exposure_amount": "Exposure",
    "first_submitted_at": "First submitted at",
    "first_submitted_on": "First submitted on",
    "gross_amount": "Gross amount",
    "hours_to_decision": "Hours to decision",
    "hours_to_decision_without_returned": "Hours to decision, net",
    "ifrs9_stage": "IFRS 9 stage",
    "is_defaulted": "In default",
    "is_restructured": "Restructured",
    "is_reversal": "Reversal",
    "loan_id": "Loan",
    "loss_given_default": "Loss given default",
    "originated_amount": "Originated amount",
    "outstanding_principal": "Outstanding principal",
    "overdue_amount": "Overdue amount",
    "probability_of_default": "Probability of default",
    "product_code": "Product",
    "remaining_instalments": "Remaining instalments",
    "requested_amount": "Requested amount",
    "returned_count": "Times returned",
    "returned_hours": "Hours returned",
    "reversed_on": "Reversed on",
    "score": "Score",
    "state": "State",
    "status": "Status",
    "transaction_id": "Transaction",
    "undrawn_amount": "Undrawn amount",
    "written_off_amount": "Written-off amount",
}
"""The title of each column that a row of the catalogue can show."""
_AMOUNTS = frozenset(name for name in COLUMNS if name.endswith("_amount")) | {
    "amount",
    "accrued_interest",
    "outstanding_principal",
}
_FLAGS = frozenset({"is_defaulted", "is_restructured", "is_reversal"})
_LINKED = "application_id"


async def layout(_: Mapping[str, str], query: Mapping[str, str]) -> Any:
    """The rows that the URL names."""
    t = here().texts
    asked = {name: query[name] for name in PARAMETERS if query.get(name)}
    kpi = asked.get("kpi", "")
    if not kpi.replace("_", "").isalnum() or not kpi.isascii():
        return failed(t("Open a figure first: its numerator and denominator lead to their rows."))
    parameters = {name: value for name, value in asked.items() if name != "kpi"}
    entry = (await here().call("analytics", "GET", f"/kpis/{kpi}")).body
    answer = (
        await here().call("analytics", "GET", f"/kpis/{kpi}/rows", params={**parameters, "limit": BLOCK})
    ).body
    part, point, currency = answer["part"], answer["point"], answer["point"]["currency"]
    title = t("Numerator") if part == "numerator" else t("Denominator")
    return [
        heading(
            said_by(entry["title"]),
            " · ".join(
                one
                for one in (
                    title,
                    currency,
                    member_of(point["member"]) if point["member"] not in {None, "all"} else None,
                    _place(point),
                    t.day(position(point)),
                    t("build {number}", number=answer["build"]["build_id"]),
                )
                if one
            ),
        ),
        _sum(answer, entry, currency),
        _rows(answer, currency),
        html.P(
            html.A(t("More rows"), href=with_changes(ROWS, asked, after=answer["next"]), className="button")
            if answer["next"]
            else None,
            className="more-rows",
        ),
    ]


PAGE = Page(ROWS, "Rows", frozenset({SCOPE}), layout)


def _place(point: Mapping[str, Any]) -> str | None:
    """The cell of a table of transitions or of vintages."""
    t = here().texts
    if point["from_bucket"] is not None:
        return f"{member_of(point['from_bucket'])} → {member_of(point['to_bucket'])}"
    if point["months_on_book"] is not None:
        return t.plural("{count} month on book", "{count} months on book", point["months_on_book"])
    return None


def _sum(answer: Mapping[str, Any], entry: Mapping[str, Any], currency: str) -> Any:
    t = here().texts
    part = answer["part"]
    if answer["total"] is None:
        return note(t("These rows are the population; the figure is no sum of them."))
    total = part_of({part: answer["total"]}, part, entry, currency)
    published = part_of({part: answer["published"]}, part, entry, currency)
    said = t.plural(
        "{count} row adds up to {total}.", "{count} rows add up to {total}.", answer["row_count"], total=total
    )
    if total == published:
        return note(said, color="teal")
    return note(
        f"{said} {t('The build has {published}: the facts are a build ahead.', published=published)}",
        color="orange",
    )


def _rows(answer: Mapping[str, Any], currency: str) -> Any:
    t = here().texts
    if not answer["rows"]:
        return empty(t("There are no rows."))
    names = answer["columns"]
    columns = [(t(COLUMNS[name]), "number" if name in _AMOUNTS else "") for name in names]
    rows = [
        html.Tr([_cell(name, value, currency) for name, value in zip(names, row, strict=True)])
        for row in answer["rows"]
    ]
    return table(columns, rows, caption=t("Rows"))


def _cell(name: str, value: Any, currency: str) -> Any:
    t = here().texts
    if value is None:
        return cell(NOTHING)
    if name in _AMOUNTS:
        return cell(t.money(value, currency), "number")
    if name in _FLAGS:
        return cell(t("Yes") if value else t("No"))
    if name == _LINKED:
        may = "applications:read" in here().person.scopes
        return cell(to_record(value, short(value)) if may else short(value), "id")
    if name in {"loan_id", "transaction_id", "borrower_hk"}:
        return cell(short(str(value)), "id")
    if name == "state" and value in STATES:
        return cell(badge(STATES, value, size="sm"))
    if name.endswith("_on"):
        return cell(t.day(value))
    if name.endswith("_at"):
        return cell(t.time(value))
    return cell(str(value))
