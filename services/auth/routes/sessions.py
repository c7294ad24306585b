"""HTTP for sessions: the token endpoint of OAuth 2.0, the end of a session, and the caller's own account."""

from typing import Annotated

from fastapi import Form, Response

from services.auth.errors import (
    InvalidCredentials,
    InvalidGrant,
    LoginLocked,
    PasswordTooWeak,
    SessionEnded,
    SessionNotFound,
    WrongPassword,
)
from services.auth.routes.callers import AnyCaller, Auth, From, Me
from services.auth.schemas import (
    OwnPasswordBody,
    RevocationForm,
    SessionPage,
    SessionView,
    TokenForm,
    TokenView,
    UserView,
)
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import AfterText, Cursor, CursorsDep, Limit
from services.chassis.web.problems import BadRequest, Unavailable, documented

router = bounded_router()


@router.post(
    "/token",
    responses=documented(InvalidCredentials, InvalidGrant, LoginLocked, Unavailable),
    tags=["sessions"],
)
async def issue_token(form: Annotated[TokenForm, Form()], auth: Auth, origin: From) -> TokenView:
    """Exchange a user name and password, or a refresh token, for an access token.

    A login opens a session and answers a refresh token, which is valid once: each refresh answers the next one. The
    answer to the newest refresh can be fetched again for 10 seconds; any other repeat ends the session.
    """
    if form.refresh_token is not None:
        return TokenView.of(await auth.refreshes.refresh(form.refresh_token.get_secret_value(), origin))
    return TokenView.of(await auth.sessions.login(*form.credentials(), origin))


@router.post("/logout", status_code=204, responses=documented(SessionEnded), tags=["sessions"])
async def log_out(auth: Auth, caller: AnyCaller, origin: From) -> None:
    """End the session that the token belongs to. The other services refuse the token within 5 seconds."""
    await auth.sessions.logout(caller, origin)


@router.post("/revoke", responses=documented(Unavailable), tags=["sessions"])
async def revoke_token(form: Annotated[RevocationForm, Form()], auth: Auth, origin: From) -> Response:
    """End the session that a refresh token or an access token belongs to (RFC 7009); the token is the proof.

    The answer is 200 for any other text too: then there is nothing to revoke.
    """
    await auth.own.revoke(form.token.get_secret_value(), origin)
    return Response()


@router.get("/sessions", responses=documented(SessionEnded, BadRequest), tags=["sessions"])
async def list_sessions(  # noqa: PLR0917 - FastAPI passes by name
    auth: Auth,
    account: Me,
    caller: AnyCaller,
    cursors: CursorsDep,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> SessionPage:
    """List your sessions that go on, newest first."""
    found = await auth.own.page(account, cursors.start(after), limit + 1)
    page = found[:limit]
    more = Cursor(page[-1].started_at, page[-1].id) if len(found) > limit else None
    return SessionPage(
        items=[SessionView.of(one, caller.session_id) for one in page], next=cursors.next(more)
    )


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    responses=documented(SessionEnded, SessionNotFound),
    tags=["sessions"],
)
async def end_session(session_id: Identifier, auth: Auth, account: Me, origin: From) -> None:
    """End one of your sessions, this one or another. The other services refuse its tokens within 5 seconds."""
    await auth.own.end(account, session_id, origin)


@router.delete("/sessions", status_code=204, responses=documented(SessionEnded), tags=["sessions"])
async def end_sessions(auth: Auth, account: Me, origin: From) -> None:
    """End all your sessions, this one too: log out everywhere."""
    await auth.own.end_all(account, origin)


@router.get("/me", responses=documented(SessionEnded), tags=["sessions"])
async def me(account: Me) -> UserView:
    """The user whose token this is."""
    return UserView.of(account)


@router.put(
    "/me/password",
    status_code=204,
    responses=documented(SessionEnded, WrongPassword, LoginLocked, PasswordTooWeak),
    tags=["sessions"],
)
async def change_own_password(body: OwnPasswordBody, auth: Auth, caller: AnyCaller, origin: From) -> None:
    """Replace your password; ends your other sessions."""
    await auth.sessions.change_password(
        caller, body.old_password.get_secret_value(), body.new_password.get_secret_value(), origin
    )
