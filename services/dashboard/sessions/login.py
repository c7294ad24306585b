"""The login, which is plain HTML and works without JavaScript, the logout, and the choices of language and theme."""

from collections.abc import Mapping
from html import escape
from string import Template
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.problems import Forbidden
from services.dashboard.clients.auth import Auth, AuthUnreachable, LoginRefused
from services.dashboard.sessions.cookies import (
    LANGUAGE,
    LOGIN,
    THEME,
    THEMES,
    Cookies,
    login_address,
    own_path,
)
from services.dashboard.sessions.gate import LOGOUT, PREFERENCES
from services.dashboard.sessions.store import Sessions
from services.dashboard.texts.catalogue import LANGUAGES, Texts, chosen, described, texts_of

router = bounded_router()
router.include_in_schema = False

Text = Annotated[str, Form(max_length=1024)]

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="$language" data-theme="$theme">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · creditmesh</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/tokens.css">
<link rel="stylesheet" href="/assets/login.css">
</head>
<body>
<main class="login">
<div class="brand"><img src="/assets/icon.svg" alt="" width="36" height="36"><span>creditmesh</span></div>
<h1>$title</h1>
<p class="lead">$lead</p>
$error
<form method="post" action="/login">
<input type="hidden" name="token" value="$token">
<input type="hidden" name="next" value="$next">
<label for="username">$username_label</label>
<input id="username" name="username" value="$username" autocomplete="username" maxlength="64" required $focus_name>
<label for="password">$password_label</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required>
$otp
<button type="submit">$submit</button>
</form>
</main>
<form class="languages" method="post" action="/preferences">
<input type="hidden" name="token" value="$token">
<input type="hidden" name="next" value="$here">
$languages
</form>
</body>
</html>
"""
)
_OTP = Template(
    '<label for="otp">$label</label>\n<input id="otp" name="otp" inputmode="numeric" autocomplete="one-time-code" '
    'maxlength="64" required autofocus>'
)


@router.get(LOGIN)
async def show_login(
    request: Request, target: Annotated[str | None, Query(alias="next", max_length=2048)] = None
) -> Response:
    """Show the form."""
    return _form(request, own_path(target))


@router.post(LOGIN)
async def log_in(  # noqa: PLR0917 - FastAPI passes by name
    request: Request,
    username: Annotated[str, Form(max_length=64)] = "",
    password: Text = "",
    token: Text = "",
    target: Annotated[str, Form(alias="next", max_length=2048)] = "",
    otp: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Open a session, under a new value whatever cookie the browser had; a refusal shows the form again."""
    cookies: Cookies = request.app.state.cookies
    auth: Auth = request.app.state.auth
    sessions: Sessions = request.app.state.sessions
    known, wanted = request.cookies, own_path(target)
    t = _texts(request)
    if not cookies.accepts(token, known.get(cookies.visitor)):
        return _form(
            request,
            wanted,
            username,
            error=t("The form was open for too long. Please try again."),
            status=403,
        )
    address = request.client.host if request.client else None
    try:
        tokens, person = await auth.log_in(
            username.strip(), password, otp.strip() or None, request.app.state.clock(), address=address
        )
    except LoginRefused as refusal:
        needs_otp = refusal.kind == "otp-required"
        said = None if needs_otp and not otp else _said(t, refusal)
        return _form(request, wanted, username, error=said, needs_otp=needs_otp, status=401)
    except AuthUnreachable:
        return _form(
            request,
            wanted,
            username,
            error=t("Logging in is not possible at the moment. Try again shortly."),
            status=503,
        )
    if before := known.get(cookies.session):
        await sessions.end(before)
    response = RedirectResponse(wanted or "/", 303)
    cookies.set_session(response, await sessions.open(tokens, person))
    return response


@router.post(LOGOUT)
async def log_out(request: Request, token: Text = "") -> Response:
    """End the session, here and in auth."""
    cookies: Cookies = request.app.state.cookies
    sessions: Sessions = request.app.state.sessions
    cookie = request.cookies.get(cookies.session, "")
    if not cookies.accepts(token, cookie):
        raise Forbidden("The form is not of this session; load the page again.")
    await sessions.end(cookie)
    response = RedirectResponse(LOGIN, 303)
    cookies.end_session(response)
    return response


@router.post(PREFERENCES)
async def choose(
    request: Request,
    token: Text = "",
    language: Text = "",
    theme: Text = "",
    target: Annotated[str, Form(alias="next", max_length=2048)] = "",
) -> Response:
    """Keep the language and the theme of this browser."""
    cookies: Cookies = request.app.state.cookies
    known = request.cookies
    if not any(cookies.accepts(token, known.get(name)) for name in (cookies.session, cookies.visitor)):
        raise Forbidden("The form is not of this session; load the page again.")
    response = RedirectResponse(own_path(target) or "/", 303)
    if language in LANGUAGES:
        cookies.set_preference(response, LANGUAGE, language)
    if theme in THEMES:
        cookies.set_preference(response, THEME, theme)
    return response


def _form(
    request: Request,
    target: str | None,
    username: str = "",
    *,
    error: str | None = None,
    needs_otp: bool = False,
    status: int = 200,
) -> Response:
    cookies: Cookies = request.app.state.cookies
    known, t = request.cookies, _texts(request)
    response = HTMLResponse("", status_code=status)
    visitor = known.get(cookies.visitor) or cookies.new_visitor(response)
    theme = known.get(THEME)
    page = _PAGE.substitute(
        language=t.language,
        theme=theme if theme in THEMES else THEMES[0],
        title=escape(t("Log in")),
        lead=escape(t("Apply, decide and find credit applications.")),
        error=f'<p class="error" role="alert">{escape(error)}</p>' if error else "",
        token=cookies.form_token(visitor),
        next=escape(target or ""),
        here=escape(login_address(target)),
        username_label=escape(t("User name")),
        username=escape(username),
        focus_name="" if needs_otp else "autofocus",
        password_label=escape(t("Password")),
        otp=_OTP.substitute(label=escape(t("One-time code of your device"))) if needs_otp else "",
        submit=escape(t("Log in")),
        languages="\n".join(_language_button(code, t.language) for code in LANGUAGES),
    )
    response.body = page.encode()
    response.headers["Content-Length"] = str(len(response.body))
    return response


def _language_button(code: str, current: str) -> str:
    pressed = ' aria-current="true"' if code == current else ""
    return f'<button name="language" value="{code}" lang="{code}"{pressed}>{escape(described(code))}</button>'


def _texts(request: Request) -> Texts:
    return texts_of(chosen(request.cookies.get(LANGUAGE), request.headers.get("accept-language")))


def _said(t: Texts, refusal: LoginRefused) -> str:
    known: Mapping[str, str] = {
        "invalid-credentials": t("The user name or the password is wrong."),
        "otp-required": t("The one-time code is wrong."),
        "login-locked": t("Too many attempts. Wait a few minutes, then try again."),
        "rate-exceeded": t("Too many attempts. Wait a few minutes, then try again."),
        "password-change-required": t(
            "Your password must be changed first: run “creditmesh login” on the command line."
        ),
        "otp-enrolment-required": t("Your role needs a second device: enrol it on the command line first."),
    }
    return known.get(refusal.kind, t("The user name or the password is wrong."))
