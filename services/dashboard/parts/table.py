"""Tables of applications: rows that lead to their record, amounts that align, names with what was found marked."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from services.dashboard.here import here


def table(
    columns: Sequence[tuple[str, str]], rows: Sequence[Any], *, caption: str, identity: str = ""
) -> Any:
    """A table: `columns` are titles with a class each, `caption` says to screen readers what it lists."""
    return scrolled(
        html.Table(
            className="table",
            children=[
                html.Caption(caption, className="unseen"),
                html.Thead(html.Tr([html.Th(title, className=kind, scope="col") for title, kind in columns])),
                html.Tbody(rows, **({"id": identity} if identity else {})),
            ],
        ),
        caption,
    )


def scrolled(content: Any, caption: str) -> Any:
    """A table that may be wider than the page: it scrolls by itself, also by keyboard."""
    return html.Div(
        className="table-scroll", tabIndex=0, role="region", **{"aria-label": caption}, children=content
    )


def cell(content: Any, kind: str = "") -> Any:
    """A cell of the class of its column."""
    return html.Td(content, className=kind)


def to_record(application_id: str, content: Any) -> Any:
    """A link to an application's record."""
    return dcc.Link(content, href=f"/applications/{application_id}", className="strong")


def short(identifier: str) -> str:
    """The end of an id, by which people tell two apart: its beginning is a time, alike for all of a day."""
    return f"…{identifier[-8:]}"


def marked(value: str | None, found: Sequence[Mapping[str, Any]], field: str) -> Any:
    """A value with the parts marked in which words of the search begin; a dash for a value that is masked."""
    if value is None:
        return html.Span(here().texts("hidden"), className="masked")
    parts, last = [], 0
    for one in sorted((one for one in found if one["field"] == field), key=lambda one: one["from"]):
        if one["from"] < last:
            continue
        parts += [value[last : one["from"]], html.Mark(value[one["from"] : one["to"]])]
        last = one["to"]
    return [*parts, value[last:]] if parts else value
