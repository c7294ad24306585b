"""What the routes of auth depend on: the use cases, and who calls from where."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, cast

from fastapi import Depends, Request

from services.auth.accounts.audit import Origin
from services.auth.accounts.otp import SecondFactor
from services.auth.accounts.resets import Resets
from services.auth.accounts.users import Actor, Users
from services.auth.clients.administration import Clients
from services.auth.clients.tokens import ClientTokens
from services.auth.domain import Account
from services.auth.tokens.keys import KeyRing
from services.auth.tokens.own import OwnSessions
from services.auth.tokens.refresh import Refreshes
from services.auth.tokens.sessions import EndedSessions, Sessions
from services.chassis.web.identity import Caller, authenticated, recent_login, require

STEP_UP = timedelta(minutes=15)
"""The oldest login that may change users and clients: a session that somebody left open may not."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases that the routes call."""

    users: Users
    sessions: Sessions
    refreshes: Refreshes
    own: OwnSessions
    resets: Resets
    factor: SecondFactor
    clients: Clients
    client_tokens: ClientTokens
    ended: EndedSessions
    keys: KeyRing
    issuer: str
    public_url: str | None


def _use_cases(request: Request) -> UseCases:
    return cast("UseCases", request.app.state.use_cases)


def _origin(request: Request) -> Origin:
    return Origin(request.client.host if request.client else None)


Auth = Annotated[UseCases, Depends(_use_cases)]
From = Annotated[Origin, Depends(_origin)]
AnyCaller = Annotated[Caller, Depends(authenticated)]
RecentCaller = Annotated[Caller, Depends(recent_login(STEP_UP))]


async def _account(auth: Auth, caller: AnyCaller) -> Account:
    return await auth.sessions.user_of(caller)


async def _administrator(
    auth: Auth,
    caller: Annotated[Caller, Depends(require("users:manage"))],
    _: RecentCaller,
) -> Account:
    return await auth.sessions.user_of(caller)


async def _present(account: Annotated[Account, Depends(_account)], _: RecentCaller) -> Account:
    return account


Me = Annotated[Account, Depends(_account)]
MePresent = Annotated[Account, Depends(_present)]
"""The caller's own account, after a recent login."""
Administrator = Annotated[Account, Depends(_administrator)]


async def _acting(administrator: Administrator, origin: From) -> Actor:
    return Actor(administrator.id, origin)


async def _reader(auth: Auth, caller: Annotated[Caller, Depends(require("users:read"))]) -> Account:
    return await auth.sessions.user_of(caller)


async def _reviewer(auth: Auth, caller: Annotated[Caller, Depends(require("audit:read"))]) -> Account:
    return await auth.sessions.user_of(caller)


By = Annotated[Actor, Depends(_acting)]
Reader = Annotated[Account, Depends(_reader)]
Reviewer = Annotated[Account, Depends(_reviewer)]
