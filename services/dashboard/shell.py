"""The page around the pages: Dash on the chassis's application, the menu, and the callback that shows a page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.backends._fastapi import reset_current_request, set_current_request
from dash.exceptions import PreventUpdate
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.dashboard.here import Here, here
from services.dashboard.pages.page import Page
from services.dashboard.parts.form import hidden
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import failed, guarded
from services.dashboard.parts.words import ROLES
from services.dashboard.sessions.callbacks import NOBODY_IN_PARTICULAR, Callbacks
from services.dashboard.sessions.gate import LOGOUT, PREFERENCES
from services.dashboard.texts.catalogue import LANGUAGES, described

ASSETS = Path(__file__).parent / "assets"
MOST_PARAMETERS = 50

_INDEX = """<!DOCTYPE html>
<html lang="{language}" data-theme="{theme}" data-mantine-color-scheme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>creditmesh</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
{css}
</head>
<body>
{app_entry}
<dialog id="session-ended" aria-labelledby="session-ended-title">
<h2 id="session-ended-title">{ended}</h2>
<p>{kept}</p>
<p><a class="button" href="/login" target="_blank" rel="noopener">{again}</a>
<button type="button" data-close>{close}</button></p>
</dialog>
{config}
{scripts}
{renderer}
</body>
</html>
"""


class Shell(Dash):
    """Dash with our own document around its application."""

    def interpolate_index(self, **parts: Any) -> str:
        """The HTML document of every page, in the reader's language and theme."""
        try:
            reader: Here | None = here()
        except LookupError:
            # The rendering before the first request.
            reader = None
        language = reader.texts.language if reader else "en"
        t = reader.texts if reader else str
        return _INDEX.format(
            language=language,
            theme=reader.theme if reader else "light",
            ended=t("Your session has ended"),
            kept=t("What you typed is still here. Log in again in a new tab, then go on in this one."),
            again=t("Log in again"),
            close=t("Close"),
            css=parts["css"],
            app_entry=parts["app_entry"],
            config=parts["config"],
            scripts=parts["scripts"],
            renderer=parts["renderer"],
        )


def build_shell(server: FastAPI, pages: Sequence[Page]) -> tuple[Shell, Callbacks]:
    """Mount Dash on `server` with these pages; returns it with its callbacks."""
    shell = Shell(
        "creditmesh",
        server=server,
        assets_folder=str(ASSETS),
        assets_ignore=r"login\.css",
        suppress_callback_exceptions=True,
        update_title="",
        title="creditmesh",
    )
    # 4.4.1 opens a WebSocket even when no callback asks for one (dash#3939).
    shell.backend.websocket_capability = False
    # Dash has put a layer outside of all others, where it reads bodies before the gate, and hides errors.
    del server.user_middleware[0]
    server.user_middleware.append(Middleware(_DashRequests))
    shell.layout = _frame
    callbacks = Callbacks(shell)

    @callbacks.on(
        Output("page", "children"),
        Output("menu", "children"),
        Output("document-title", "data"),
        Input("location", "pathname"),
        State("location", "search"),
        scope=NOBODY_IN_PARTICULAR,
    )
    async def show(path: Any, query: Any) -> tuple[Any, Any, str]:
        reader, t = here(), here().texts
        page, parts = _find(pages, path)
        menu = _menu(pages, page, reader)
        if page is None:
            return failed(t("There is no such page.")), menu, t("There is no such page.")
        if not page.open_to(reader.person):
            return failed(t("Your role does not have this page.")), menu, t(page.title)
        content = await guarded(page.layout(parts, _parameters(query)), heading(t(page.title)))
        return content, menu, t(page.title)

    callbacks.in_browser(
        ClientsideFunction("desk", "title"),
        Output("document-title-set", "children"),
        Input("document-title", "data"),
    )
    for page in pages:
        page.callbacks(callbacks)
        server.add_api_route(page.path, _document(shell), methods=["GET", "HEAD"], include_in_schema=False)
    return shell, callbacks


class _DashRequests:
    """The ASGI middleware that tells Dash which request it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/_dash-"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["method"] == "POST":
            request.state.json_body = await request.json()
        token = set_current_request(request)
        try:
            await self._app(scope, receive, send)
        except PreventUpdate:
            await Response(status_code=204)(scope, receive, send)
        finally:
            reset_current_request(token)


def _document(shell: Shell) -> Callable[[Request], Awaitable[Response]]:
    async def document(request: Request) -> Response:
        token = set_current_request(request)
        try:
            return HTMLResponse(shell.index())
        finally:
            reset_current_request(token)

    return document


def render_once(shell: Shell, server: FastAPI) -> None:
    """Render the document and set up the callbacks, so that the scripts inside it are known before the first request.

    Asked for earlier, one of Dash's own scripts has no hash yet, and the first visitor's browser refuses it.
    """
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "scheme": "http",
        "server": ("127.0.0.1", 0),
        "app": server,
    }
    token = set_current_request(Request(scope))
    try:
        shell._setup_server()  # noqa: SLF001 - what Dash does before its first request
        shell.index()
    finally:
        reset_current_request(token)


def _frame() -> Any:
    try:
        reader = here()
    except LookupError:
        # The rendering before the first request.
        return html.Div()
    t = reader.texts
    person = reader.person
    role = t(ROLES[person.role]) if person.role else ""
    return dmc.MantineProvider(
        forceColorScheme=reader.theme,
        theme={
            "primaryColor": "teal",
            "primaryShade": {"light": 8, "dark": 5},
            "fontFamily": "var(--font)",
            "headings": {"fontFamily": "var(--font)", "fontWeight": "650"},
            "defaultRadius": "md",
            "cursorType": "pointer",
        },
        children=[
            dcc.Location(id="location", refresh="callback-nav"),
            dcc.Store(id="document-title"),
            html.Div(id="document-title-set", hidden=True),
            html.A(t("Go to the content"), href="#page", className="skip"),
            html.Div(
                className="frame",
                children=[
                    html.Header(
                        className="side",
                        children=[
                            html.Div(
                                [html.Img(src="/assets/icon.svg", alt="", width=28, height=28), "creditmesh"],
                                className="brand",
                            ),
                            html.Nav(id="menu", **{"aria-label": t("Menu")}),
                            html.Div(
                                className="who",
                                children=[
                                    html.Div(
                                        className="person",
                                        children=[
                                            html.Span(_initials(person.display_name), className="initials"),
                                            html.Div([html.Strong(person.display_name), html.Span(role)]),
                                        ],
                                    ),
                                    _preferences(reader),
                                    html.Form(
                                        method="POST",
                                        action=LOGOUT,
                                        children=[
                                            hidden("token", reader.form_token),
                                            html.Button(t("Log out"), type="submit", className="quiet"),
                                        ],
                                    ),
                                ],
                            ),
                        ],
                    ),
                    html.Main(
                        id="page", tabIndex="-1", children=html.Div(className="loading", role="status")
                    ),
                ],
            ),
        ],
    )


def _preferences(reader: Here) -> Any:
    t = reader.texts
    other = "dark" if reader.theme == "light" else "light"
    return html.Form(
        method="POST",
        action=PREFERENCES,
        className="preferences",
        children=[
            hidden("token", reader.form_token),
            # The script fills in the page that is open.
            html.Span(hidden("next", "/"), **{"data-here": ""}),
            html.Div(
                className="languages",
                role="group",
                **{"aria-label": t("Language")},
                children=[
                    html.Button(
                        code.partition("-")[0].upper(),
                        type="submit",
                        name="language",
                        value=code,
                        title=described(code),
                        lang=code,
                        className="quiet" + (" chosen" if code == t.language else ""),
                        **{"aria-current": "true" if code == t.language else "false"},
                    )
                    for code in LANGUAGES
                ],
            ),
            html.Button(
                t("Dark") if other == "dark" else t("Light"),
                type="submit",
                name="theme",
                value=other,
                className="quiet",
                title=t("Switch to the dark theme") if other == "dark" else t("Switch to the light theme"),
            ),
        ],
    )


def _menu(pages: Sequence[Page], current: Page | None, reader: Here) -> list[Any]:
    t = reader.texts
    sections: dict[str, list[Any]] = {}
    for page in pages:
        if page.section is None or not page.open_to(reader.person):
            continue
        active = page is current
        sections.setdefault(page.section, []).append(
            dcc.Link(
                [html.Span(className=f"icon {page.icon}"), t(page.title)],
                href=page.path,
                className="entry active" if active else "entry",
            )
        )
    return [
        html.Div([html.Div(t(section), className="section"), *links]) for section, links in sections.items()
    ]


def _find(pages: Sequence[Page], path: Any) -> tuple[Page | None, Mapping[str, str]]:
    for page in pages:
        parts = page.matches(path) if isinstance(path, str) else None
        if parts is not None:
            return page, parts
    return None, {}


def _parameters(query: Any) -> Mapping[str, str]:
    if not isinstance(query, str):
        return {}
    try:
        return dict(parse_qsl(query.removeprefix("?"), max_num_fields=MOST_PARAMETERS))
    except ValueError:
        return {}


def _initials(name: str) -> str:
    words = name.split()
    return (
        "".join(word[0] for word in (words[0], words[-1]) if word).upper()
        if len(words) > 1
        else name[:2].upper()
    )
