"""What a part shows while it has nothing to show: nothing found, a service that fails, a refusal."""

from collections.abc import Awaitable
from typing import Any

import dash_mantine_components as dmc
from dash import html

from services.dashboard.clients.services import NOT_SET, Refused, ServiceFailed
from services.dashboard.here import here
from services.dashboard.parts.words import SERVICES, UNSET

NOTHING_PUBLISHED = "nothing-published"
"""The kind of the problem with which analytics says so."""
NOT_FOUND = "not-found"
"""The kind with which the lending services say that there is no such application, or that it is not for the reader."""


def failed(message: str, detail: str | None = None, *, retry: bool = False) -> Any:
    """Say what went wrong; with `retry` offer to load the page again."""
    t = here().texts
    return html.Div(
        role="alert",
        className="state failed",
        children=[
            html.Strong(message),
            html.P(detail) if detail else None,
            html.Button(t("Try again"), className="button small", **{"data-reload": ""}) if retry else None,
        ],
    )


def empty(message: str, hint: str | None = None) -> Any:
    """Say that there is nothing, and what could help."""
    return html.Div(className="state empty", children=[html.Strong(message), html.P(hint) if hint else None])


def no_figures() -> Any:
    """Say that nothing was published yet."""
    t = here().texts
    return empty(
        t("There are no figures yet."),
        t("They are here once the warehouse was loaded and built, and its tests have passed."),
    )


def note(message: Any, *, color: str = "blue", title: str | None = None) -> Any:
    """A message within a page: something to know before going on."""
    return dmc.Alert(message, title=title, color=color, variant="light", className="note")


def failure(error: ServiceFailed) -> Any:
    """Say that a service does not answer, or that there is none."""
    t = here().texts
    if error.kind == NOT_SET:
        return empty(*(t(one) for one in UNSET[error.service]))
    return failed(
        t("{service} does not answer at the moment.", service=t(SERVICES[error.service])),
        t("The rest of the page works. What is shown elsewhere is not affected."),
        retry=True,
    )


def refusal(error: Refused) -> Any:
    """Say why a service has refused a call, or that it has nothing to show yet."""
    t = here().texts
    if error.kind == NOTHING_PUBLISHED:
        return no_figures()
    if error.kind == NOT_FOUND:
        return failed(t("There is no such application, or you may not see it."))
    if error.status == 403:
        return failed(t("Your role may not do this."), error.detail)
    return failed(error.title, error.detail)


async def guarded(part: Awaitable[Any], title: Any = None) -> Any:
    """The content of a part; when its service fails or refuses, a list: the title, and what stands in its place."""
    try:
        return await part
    except ServiceFailed as error:
        return [title, failure(error)]
    except Refused as error:
        return [title, refusal(error)]
