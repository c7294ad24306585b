"""The gate: every request needs a session, but for the login, static files, health and metrics.

It is a layer before routing, so a page or a callback that is added later cannot be forgotten.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.engines import is_transient
from services.chassis.web.health import PATHS
from services.chassis.web.problems import (
    BadRequest,
    ContentTooLarge,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Problem,
    Unauthenticated,
    Unavailable,
    problem_response,
)
from services.dashboard.clients.prometheus import Prometheus
from services.dashboard.clients.services import Services
from services.dashboard.here import Here, being
from services.dashboard.pages.page import Page
from services.dashboard.sessions.callbacks import Callbacks
from services.dashboard.sessions.cookies import (
    LANGUAGE,
    LOGIN,
    THEME,
    THEMES,
    Cookies,
    login_address,
    own_path,
)
from services.dashboard.sessions.domain import Session
from services.dashboard.sessions.store import Sessions
from services.dashboard.texts.catalogue import chosen, texts_of
from services.dashboard.traces.stores import TraceStore

LOGOUT = "/logout"
PREFERENCES = "/preferences"
CALLBACKS = "/_dash-update-component"
DESCRIPTIONS = frozenset({"/_dash-layout", "/_dash-dependencies"})
STATIC = ("/assets/", "/_dash-component-suites/")
ICON = "/_favicon.ico"
MOST_CALLBACK_BYTES = 256 << 10

_POLICY = (
    "default-src 'self'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
# What a page of ours may cause: a navigation without a page before it, or one from the same origin.
_OWN_SITES = frozenset({"same-origin", "none"})


class Gate:
    """The ASGI middleware that lets in who is logged in and may have what they ask for."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        origin: str,
        pages: Sequence[Page],
        sessions: Sessions,
        services: Services,
        prometheus: Prometheus,
        traces: TraceStore,
        cookies: Cookies,
        callbacks: Callable[[], Callbacks],
        script_hashes: Callable[[], Collection[str]],
    ) -> None:
        """Let requests through to `app`.

        Args:
            app: the wrapped application.
            origin: of the dashboard itself, as browsers name it.
            pages: that there are.
            sessions: who is logged in.
            services: what pages call.
            prometheus: what tells the state of the platform.
            traces: what keeps traces.
            cookies: names of the cookies, and the tokens of forms.
            callbacks: those that there are, once all are registered.
            script_hashes: CSP sources of the scripts inside a page, once it was rendered.
        """
        self._app = app
        self._origin = origin
        self._pages = pages
        self._sessions = sessions
        self._services = services
        self._prometheus = prometheus
        self._traces = traces
        self._cookies = cookies
        self._callbacks = callbacks
        self._hashes = script_hashes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "websocket":
            # Nothing here speaks it; a page of another site could open one with our cookies.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._serve(scope, receive, self._with_policy(send))
        except Problem as problem:
            await problem_response(scope, problem)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        headers = Headers(scope=scope)
        if method not in {"GET", "HEAD"}:
            self._check_origin(headers)
        if path in PATHS or path in {LOGIN, ICON} or path.startswith(STATIC):
            await self._app(scope, receive, send)
            return
        allowed = {"POST"} if path in {CALLBACKS, LOGOUT, PREFERENCES} else {"GET", "HEAD"}
        page = next((one for one in self._pages if one.matches(path) is not None), None)
        known = path == "/" or path in {CALLBACKS, LOGOUT, PREFERENCES} or path in DESCRIPTIONS
        if page is None and not known:
            raise NotFound
        if method not in allowed:
            raise MethodNotAllowed
        if path == PREFERENCES:
            # Also before a login.
            await self._app(scope, receive, send)
            return
        cookies = HTTPConnection(scope).cookies
        session = await self._session(cookies.get(self._cookies.session))
        is_page = page is not None or path == "/"
        if session is None:
            if path == LOGOUT:
                await RedirectResponse(LOGIN, 303)(scope, receive, send)
                return
            if not is_page:
                raise Unauthenticated("Your session has ended; log in again.")
            await self._to_login(scope)(scope, receive, send)
            return
        if page is not None and not page.open_to(session.person):
            raise Forbidden("Your role does not have this page.")
        if path == "/":
            await self._first_page(session)(scope, receive, send)
            return
        if path == CALLBACKS:
            receive = await self._checked_callback(headers, receive, session)
        reader = self._reader(session, cookies, headers)
        with being(reader):
            await self._app(scope, receive, send)

    def _check_origin(self, headers: Headers) -> None:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        # Our pages send no referrer, so the Origin of their forms is `null`: then the other header decides.
        own = (
            origin == self._origin
            if site is None
            else site in _OWN_SITES and origin in {None, "null", self._origin}
        )
        if not own:
            raise Forbidden("Only pages of the dashboard itself may send this.")

    async def _session(self, cookie: str | None) -> Session | None:
        if not cookie:
            return None
        try:
            return await self._sessions.find(cookie)
        except Exception as error:
            # Each driver has errors of its own; `is_transient` knows them, and every other goes on.
            if not is_transient(error):
                raise
            raise Unavailable("Logins cannot be checked at the moment; try again shortly.") from error

    async def _checked_callback(self, headers: Headers, receive: Receive, session: Session) -> Receive:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadRequest("Send the body as application/json.")
        body = await _body(receive)
        scope = self._callbacks().scope_of(body)
        if scope and scope not in session.person.scopes:
            raise Forbidden("Your role may not do this.")
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return replay

    def _reader(self, session: Session, cookies: Mapping[str, str], headers: Headers) -> Here:
        texts = texts_of(chosen(cookies.get(LANGUAGE), headers.get("accept-language")))
        theme = cookies.get(THEME, THEMES[0])
        return Here(
            session,
            texts,
            theme if theme in THEMES else THEMES[0],
            self._services,
            self._prometheus,
            self._traces,
            self._cookies.form_token(cookies[self._cookies.session]),
        )

    def _to_login(self, scope: Scope) -> Response:
        query = scope["query_string"].decode("latin-1")
        wanted = own_path(scope["path"] + (f"?{query}" if query else ""))
        return RedirectResponse(login_address(wanted), 303)

    def _first_page(self, session: Session) -> Response:
        for page in self._pages:
            if page.in_menu and page.open_to(session.person):
                return RedirectResponse(page.path, 303)
        raise Forbidden("Your role has no page here yet.")

    def _with_policy(self, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    hashes = "".join(f" {one}" for one in self._hashes())
                    headers["Content-Security-Policy"] = _POLICY.format(hashes=hashes)
            await send(message)

        return answer


async def _body(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection ended before the body did.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_CALLBACK_BYTES:
            raise ContentTooLarge(f"Send at most {MOST_CALLBACK_BYTES} bytes.")
        more = message.get("more_body", False)
    return b"".join(parts)
