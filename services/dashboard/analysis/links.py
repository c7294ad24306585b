"""Addresses of figures: the state of a page is its URL, and nothing else."""

from collections.abc import Mapping
from urllib.parse import urlencode

from services.dashboard.analysis.figures import Entry, Point, position

ROWS = "/figures/rows"
CAN_READ_ROWS = "portfolio:rows"


def with_changes(path: str, query: Mapping[str, str], **changes: str | None) -> str:
    """The page with other parameters; None takes one out."""
    parameters = {**query, **changes}
    kept = {name: value for name, value in sorted(parameters.items()) if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def rows_of(entry: Entry, point: Point, part: str, build_id: int) -> str:
    """The page of the rows behind a part of a point, in the build that it is of."""
    narrowed = {
        "kpi": entry["id"],
        "part": part,
        "build": str(build_id),
        "currency": point["currency"],
        "dimension": point["dimension"],
        "member": point["member"],
        "grain": point["grain"],
        "as_of": point["as_of_date"],
        "from": position(point),
        "to": position(point),
        "from_bucket": point["from_bucket"],
        "to_bucket": point["to_bucket"],
        "cohort_month": point["cohort_month"],
        "months_on_book": None if point["months_on_book"] is None else str(point["months_on_book"]),
    }
    return with_changes(ROWS, {}, **narrowed)
