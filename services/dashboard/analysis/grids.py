"""Figures that are a table by nature: transitions between buckets, and cohorts by months on book."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from dash import html

from services.dashboard.analysis.figures import Entry, Point, matrix, triangle
from services.dashboard.analysis.links import CAN_READ_ROWS, rows_of
from services.dashboard.analysis.written import member_of, said_by
from services.dashboard.here import here
from services.dashboard.parts.table import scrolled
from services.dashboard.parts.words import NOTHING

_STRONGEST = Decimal("0.85")


def transitions(entry: Entry, points: Sequence[Point], as_of: str | None, build_id: int) -> Any:
    """The roll matrix: of each bucket, which share of its money went where; a cell leads to the loans that went."""
    t = here().texts
    rows, columns, known = matrix(points, as_of)
    if not rows:
        return None
    return _grid(
        entry,
        corner=t("from · to"),
        columns=[member_of(name) for name in columns],
        rows=[
            (member_of(row), [_share(entry, known.get((row, column)), build_id) for column in columns])
            for row in rows
        ],
    )


def cohorts(entry: Entry, points: Sequence[Point], build_id: int) -> Any:
    """The vintage triangle: of each month's loans, the share that is bad after each month on book; with its loans."""
    t = here().texts
    rows, columns, known = triangle(points)
    if not rows:
        return None
    largest = max((Decimal(point["value"]) for point in known.values()), default=Decimal(0))
    return _grid(
        entry,
        corner=t("month · months on book"),
        columns=[t.number(column) for column in columns],
        rows=[
            (row[:7], [_share(entry, known.get((row, column)), build_id, largest) for column in columns])
            for row in rows
        ],
    )


def _grid(
    entry: Entry,
    *,
    corner: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Any]]],
) -> Any:
    return html.Section(
        className="card figure-card",
        children=[
            html.H2(said_by(entry["title"])),
            html.P(said_by(entry["definition"])),
            scrolled(
                html.Table(
                    className="table heat",
                    children=[
                        html.Caption(said_by(entry["title"]), className="unseen"),
                        html.Thead(
                            html.Tr(
                                [
                                    html.Th(corner, scope="col"),
                                    *(html.Th(name, scope="col", className="number") for name in columns),
                                ]
                            )
                        ),
                        html.Tbody([html.Tr([html.Th(name, scope="row"), *cells]) for name, cells in rows]),
                    ],
                ),
                said_by(entry["title"]),
            ),
        ],
    )


def _share(entry: Entry, point: Point | None, build_id: int, largest: Decimal = Decimal(1)) -> Any:
    """A cell whose shade grows with its share; it leads to the rows of its numerator where there are some to see."""
    if point is None or point["value"] is None:
        return html.Td(NOTHING, className="number")
    value = Decimal(point["value"])
    shade = (value / largest * _STRONGEST if largest else Decimal(0)).quantize(Decimal("0.01"))
    shown = here().texts.percent(value)
    leads = value and "numerator" in entry["parts"] and CAN_READ_ROWS in here().person.scopes
    return html.Td(
        html.A(shown, href=rows_of(entry, point, "numerator", build_id)) if leads else html.Span(shown),
        className="number shaded",
        style={"--shade": str(max(Decimal(0), min(shade, Decimal(1))))},
    )
