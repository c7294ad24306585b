"""The cookies of a browser, the tokens of forms, and the paths that a login may lead to."""

import hashlib
import hmac
import re
import secrets
from urllib.parse import quote

from starlette.responses import Response

LOGIN = "/login"
LANGUAGE = "language"
THEME = "theme"
THEMES = ("light", "dark")
_YEAR_SECONDS = 365 * 24 * 3600
# A path of ours: no scheme, no host (`//`, and `/\` which browsers read alike), no control character.
_OWN_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~%=&?+:,-]{0,1000}")


def own_path(path: str | None) -> str | None:
    """`path` when it leads to a page of ours, else None."""
    return path if path and _OWN_PATH.fullmatch(path) else None


def login_address(wanted: str | None) -> str:
    """The address of the login that leads to `wanted`, which is None or an own path."""
    return f"{LOGIN}?next={quote(wanted, safe='')}" if wanted else LOGIN


class Cookies:
    """Names and flags of the cookies, and the tokens of forms.

    By HTTPS the names begin with `__Host-`: no other host and no page without HTTPS can set such a cookie.
    """

    def __init__(self, secret: str, *, secure: bool) -> None:
        """`secret` signs the tokens of forms; `secure`: whether browsers come by HTTPS."""
        self._secret = secret.encode()
        self._secure = secure
        prefix = "__Host-" if secure else ""
        self.session = f"{prefix}session"
        self.visitor = f"{prefix}visitor"

    def set_session(self, response: Response, value: str) -> None:
        """Give the browser its session; the cookie ends with the browser, the session earlier."""
        self._set(response, self.session, value)

    def end_session(self, response: Response) -> None:
        """Have the browser forget its session."""
        response.delete_cookie(self.session, path="/", secure=self._secure, httponly=True, samesite="lax")

    def new_visitor(self, response: Response) -> str:
        """Mark a browser that is about to log in; returns the value."""
        value = secrets.token_urlsafe(16)
        self._set(response, self.visitor, value)
        return value

    def set_preference(self, response: Response, name: str, value: str) -> None:
        """Keep a choice of the reader for a year."""
        self._set(response, name, value, max_age=_YEAR_SECONDS)

    def form_token(self, cookie: str) -> str:
        """The token of the forms of a browser with this cookie: another site cannot know it."""
        return hmac.new(self._secret, b"form:" + cookie.encode(), hashlib.sha256).hexdigest()

    def accepts(self, token: str, cookie: str | None) -> bool:
        """Whether a form with `token` was filled in by the browser with this cookie."""
        return bool(cookie) and hmac.compare_digest(token.encode(), self.form_token(cookie or "").encode())

    def _set(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        response.set_cookie(
            name, value, max_age=max_age, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
