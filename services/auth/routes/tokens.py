"""HTTP of OAuth 2.0: the endpoints that issue, revoke and introspect tokens (RFC 6749, 7009, 7662)."""

from typing import Annotated

from fastapi import Depends, Form, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from services.auth.clients.tokens import Credentials
from services.auth.errors import (
    InvalidClient,
    InvalidCredentials,
    InvalidGrant,
    InvalidScope,
    LoginLocked,
    OtpRequired,
    UnsupportedTokenType,
)
from services.auth.routes.callers import Auth, From
from services.auth.schemas import (
    ClientForm,
    ClientTokenView,
    IntrospectionForm,
    IntrospectionView,
    RevocationForm,
    TokenForm,
    TokenView,
)
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.limits.rates import RouteClass, count
from services.chassis.web.problems import Unavailable, documented

router = bounded_router()
_basic = HTTPBasic(auto_error=False, description="A service client's id and secret; the form takes them too.")
Basic = Annotated[HTTPBasicCredentials | None, Depends(_basic)]


@router.post(
    "/token",
    responses=documented(
        InvalidCredentials, OtpRequired, InvalidClient, InvalidGrant, InvalidScope, LoginLocked, Unavailable
    ),
    tags=["tokens"],
)
async def issue_token(
    request: Request, form: Annotated[TokenForm, Form()], auth: Auth, origin: From, basic: Basic
) -> TokenView | ClientTokenView:
    """Exchange a user name and password, a refresh token, or a service client's secret for an access token.

    A login opens a session and answers a refresh token, which is valid once: each refresh answers the next one. The
    answer to the newest refresh can be fetched again for 10 seconds; any other repeat ends the session. A service
    client gets no refresh token.
    """
    if form.grant_type == "refresh_token":
        return TokenView.of(await auth.refreshes.refresh(form.refreshed(), origin))
    if form.grant_type == "client_credentials":
        issued = await auth.client_tokens.issue(_credentials(form, basic), form.scopes(), origin)
        return ClientTokenView.of(issued)
    await count(request, RouteClass.LOGIN)
    return TokenView.of(await auth.sessions.login(*form.credentials(), origin, form.one_time()))


@router.post("/revoke", responses=documented(UnsupportedTokenType, Unavailable), tags=["tokens"])
async def revoke_token(form: Annotated[RevocationForm, Form()], auth: Auth, origin: From) -> Response:
    """End the session that a refresh token or an access token belongs to (RFC 7009); the token is the proof.

    The answer is 200 for any other text too: then there is nothing to revoke.
    """
    await auth.own.revoke(form.token.get_secret_value(), origin)
    return Response()


@router.post(
    "/introspect",
    response_model_exclude_none=True,
    responses=documented(InvalidClient, LoginLocked, Unavailable),
    tags=["tokens"],
)
async def introspect_token(
    form: Annotated[IntrospectionForm, Form()], auth: Auth, origin: From, basic: Basic
) -> IntrospectionView:
    """Tell a service client whether an access token is valid now, and what it says (RFC 7662).

    Any other text is not active, a refresh token too: no API accepts it. A service that has a choice verifies tokens
    by the public keys and the list of ended sessions instead.
    """
    claims = await auth.client_tokens.introspect(
        form.token.get_secret_value(), _credentials(form, basic), origin
    )
    return IntrospectionView(active=False) if claims is None else IntrospectionView.of(claims)


def _credentials(form: ClientForm, basic: HTTPBasicCredentials | None) -> Credentials:
    if basic is not None:
        return Credentials(basic.username, basic.password)
    return Credentials(
        form.client_id or "", form.client_secret.get_secret_value() if form.client_secret else ""
    )
