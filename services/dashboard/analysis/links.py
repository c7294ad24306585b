"""Addresses of figures: the state of a page is its URL, and nothing else."""

from collections.abc import Mapping
from urllib.parse import urlencode

from services.dashboard.analysis.figures import Figure, Point, position

ROWS = "/figures/rows"


def with_changes(path: str, query: Mapping[str, str], **changes: str | None) -> str:
    """The page with other parameters; None takes one out."""
    parameters = {**query, **changes}
    kept = {name: value for name, value in sorted(parameters.items()) if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def rows_of(figure: Figure, point: Point, part: str, build_id: int) -> str:
    """The page of the rows behind a part of a point, in the build that it is of."""
    narrowed = {
        "kpi": figure.entry["id"],
        "part": part,
        "build": str(build_id),
        "currency": point["currency"],
        "dimension": point["dimension"],
        "member": point["member"],
        "grain": point["grain"],
        "as_of": point["as_of_date"],
        "from": position(point),
        "to": position(point),
    }
    return with_changes(ROWS, {}, **narrowed)
