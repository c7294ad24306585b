"""The heading of a page."""

from typing import Any

from dash import html


def heading(title: Any, lead: Any = None, *, beside: Any = None) -> Any:
    """A page's title, a line that says what it is for, and what stands at the right of it."""
    return html.Div(
        className="heading",
        children=[
            html.Div([html.H1(title), html.P(lead, className="lead") if lead else None]),
            html.Div(beside, className="beside") if beside is not None else None,
        ],
    )
