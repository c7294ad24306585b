"""HTTP for sessions: the token endpoint of OAuth 2.0, the end of a session, and the caller's own account."""

from typing import Annotated

from fastapi import Form

from services.auth.errors import (
    InvalidCredentials,
    InvalidGrant,
    LoginLocked,
    PasswordTooWeak,
    SessionEnded,
    WrongPassword,
)
from services.auth.routes.callers import AnyCaller, Auth, From, Me
from services.auth.schemas import OwnPasswordBody, TokenForm, TokenView, UserView
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.problems import Unavailable, documented

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
