"""The caller of a request: verification of access tokens and the check of a scope."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Self
from uuid import UUID

import httpx
import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry import trace

from services.chassis.telemetry.logging import get_logger
from services.chassis.web.problems import Forbidden, Unauthenticated, Unavailable
from services.chassis.web.revocations import Revocations

AUDIENCE = "creditmesh"
ALGORITHM = "EdDSA"
"""The algorithm by which access tokens are signed."""
SIGNATURE_ALGORITHMS = frozenset({"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256"})
"""The allowed types of published keys; each is asymmetric."""
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the name of a kind (RFC 9068), no secret
REFRESH_AFTER_SECONDS = 300.0
RETRY_AFTER_SECONDS = 5.0
LEEWAY_SECONDS = 5.0
FETCH_TIMEOUT_SECONDS = 3.0

# Where the keys come from: a JWKS URL, the key set itself, or a callable that returns it.
JwksSource = str | Mapping[str, Any] | Callable[[], Awaitable[Mapping[str, Any]]]

# Errors of the network, or of a document that is not a key set.
_NO_KEYS = (httpx.HTTPError, jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError)
# The attributes for a request's verified caller, and for a dependency that checks the caller.
_VERIFIED = "creditmesh.caller"
_CHECK = "__checks_caller__"

_log = get_logger(__name__)
_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="Access token from POST /token of the issuer."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request, from the access token."""

    id: UUID
    username: str
    roles: frozenset[str]
    scopes: frozenset[str]
    token_id: UUID | None = None
    session_id: UUID | None = None
    auth_time: int | None = None
    """When the user logged in, in seconds since 1970; a refresh does not change it. None for a program."""

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """The caller of verified JWT claims; raises KeyError, TypeError or ValueError if not ours."""
        return cls(
            id=UUID(claims["sub"]),
            username=str(claims["username"]),
            roles=frozenset(claims["roles"]),
            scopes=frozenset(str(claims["scope"]).split()),
            token_id=UUID(claims["jti"]),
            session_id=UUID(claims["sid"]),
            auth_time=None if claims.get("auth_time") is None else int(claims["auth_time"]),
        )


class TokenVerifier:
    """Verifies signed JWTs against a JWKS, and their sessions against a list of ended ones; both are kept in memory.

    A token must have the type of an access token (RFC 9068); tokens for other purposes are refused. The algorithm
    comes from the key, never from the token. The keys are fetched once, refreshed in the background every five
    minutes, and again when a token names an unknown key; never more than once in five seconds. While the source is
    down, known keys still verify tokens.
    """

    def __init__(
        self,
        issuer: str,
        jwks: JwksSource,
        audience: str = AUDIENCE,
        *,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tokens must be issued by `issuer` for `audience` and signed by a key of `jwks`.

        Args:
            issuer: what the claim `iss` must be.
            jwks: where the keys come from.
            audience: what the claim `aud` must name.
            revocations: the ended sessions; without it a token is valid until it expires, which is enough only for a
                service that looks up each session in the database.
            clock: returns seconds, for the times of refreshes.
        """
        self.revocations = revocations
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._source = jwks
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def verify(self, token: str) -> Caller:
        """The caller that `token` names.

        Raises Unauthenticated for a token that is malformed, expired, of another issuer, or of an ended session;
        Unavailable when no key, or no list of ended sessions, could be fetched yet.
        """
        key = await self._key(_key_id(token))
        caller = self._caller(token, key)
        if (
            self.revocations is not None
            and caller.session_id is not None
            and await self.revocations.has_ended(caller.session_id)
        ):
            raise _invalid("The session has ended; log in again.")
        return caller

    def _caller(self, token: str, key: jwt.PyJWK) -> Caller:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]},
            )
            return Caller.from_claims(claims)
        except jwt.ExpiredSignatureError:
            raise _invalid("The access token has expired; log in again.") from None
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise _invalid("The access token is not valid.") from None

    async def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._keys:
            await self._fetch()
        elif self._clock() - self._fetched > REFRESH_AFTER_SECONDS and self._refresh is None:
            self._refresh = asyncio.create_task(self._fetch(), name="jwks-refresh")
            self._refresh.add_done_callback(self._refreshed)
        if key_id in self._keys:
            return self._keys[key_id]
        if not self._keys:
            raise Unavailable("Access tokens cannot be verified now: the signing keys could not be fetched.")
        raise _invalid("The access token is signed by an unknown key.")

    async def _fetch(self) -> None:
        async with self._lock:
            if self._clock() - self._tried < RETRY_AFTER_SECONDS:
                return
            self._tried = self._clock()
            try:
                document = await self._load()
                self._keys = {str(key.key_id): key for key in _signing_keys(document["keys"])}
                self._fetched = self._clock()
            except (
                httpx.HTTPError,
                jwt.PyJWTError,
                AttributeError,
                KeyError,
                TypeError,
                ValueError,
                Unavailable,
            ) as error:
                _log.warning("signing keys could not be fetched", error=str(error), known=len(self._keys))

    async def _load(self) -> Mapping[str, Any]:
        if isinstance(self._source, Mapping):
            return self._source
        if not isinstance(self._source, str):
            return await self._source()
        async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS) as client:
            response = await client.get(self._source)
            response.raise_for_status()
            document: Mapping[str, Any] = response.json()
            return document

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refresh = None


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def authenticated(request: Request, credentials: Credentials) -> Caller:
    """FastAPI dependency: the caller of the request; raises Unauthenticated without a valid bearer token."""
    known = request.scope.get(_VERIFIED)
    if isinstance(known, Caller):
        return known
    if credentials is None:
        raise Unauthenticated("Send an access token as `Authorization: Bearer …`.")
    verifier: TokenVerifier = request.app.state.verifier
    caller = await verifier.verify(credentials.credentials)
    trace.get_current_span().set_attribute("enduser.id", str(caller.id))
    request.scope[_VERIFIED] = caller
    return caller


def checks_caller(dependency: Callable[..., Any]) -> bool:
    """Whether `dependency` is one of this module's checks of a caller."""
    return dependency is authenticated or hasattr(dependency, _CHECK)


async def check_caller(request: Request, dependencies: Iterable[Callable[..., Any]]) -> None:
    """Run those `dependencies` for which `checks_caller` is true before the request's body is read.

    Raises what they raise. FastAPI runs them again, but the token is verified once for each request.
    """
    caller = await authenticated(request, await _bearer(request))
    for dependency in dependencies:
        if dependency is not authenticated:
            await dependency(caller)


def require(*scopes: str) -> Callable[[Caller], Coroutine[Any, Any, Caller]]:
    """A FastAPI dependency that returns the caller if their token has one of `scopes`.

    Use: `CanSubmit = Annotated[Caller, Depends(require("applications:submit"))]`. Raises Unauthenticated
    without a valid token and Forbidden without any of the scopes.
    """

    async def caller_with_scope(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        if caller.scopes.isdisjoint(scopes):
            problem = Forbidden(f"This needs the scope {' or '.join(scopes)}, which none of your roles has.")
            problem.headers["WWW-Authenticate"] = (
                f'Bearer realm="creditmesh", error="insufficient_scope", scope="{" ".join(scopes)}"'
            )
            raise problem
        return caller

    setattr(caller_with_scope, _CHECK, True)
    return caller_with_scope


class LoginTooOld(Unauthenticated):
    """This needs a recent login."""

    def __init__(self, max_age: timedelta) -> None:
        """`max_age`: how old the login may be; the header is that of RFC 9470."""
        seconds = int(max_age.total_seconds())
        super().__init__(
            f"Log in again: your login may be at most {seconds} seconds old.",
            error="insufficient_user_authentication",
            max_age=seconds,
        )
        self.headers["WWW-Authenticate"] += f', max_age="{seconds}"'


def recent_login(max_age: timedelta) -> Callable[[Caller], Coroutine[Any, Any, Caller]]:
    """A FastAPI dependency that returns the caller if their login is at most `max_age` old (step-up, RFC 9470).

    Use it beside `require`, for what a stolen or forgotten session must not do. Raises Unauthenticated without a
    valid token and LoginTooOld, also for a program, which never logs in.
    """

    async def caller_with_recent_login(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        if caller.auth_time is None or time.time() - caller.auth_time > max_age.total_seconds():
            raise LoginTooOld(max_age)
        return caller

    setattr(caller_with_recent_login, _CHECK, True)
    return caller_with_recent_login


def _signing_keys(documents: Iterable[Mapping[str, Any]]) -> Iterator[jwt.PyJWK]:
    for document in documents:
        # A key set may have keys for other purposes; a key for encryption must not verify signatures.
        if document.get("use", "sig") != "sig":
            continue
        key = jwt.PyJWK(dict(document))
        # Never a shared secret: whoever can verify with it can also sign with it.
        if key.algorithm_name in SIGNATURE_ALGORITHMS:
            yield key


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
        kind, key_id = str(header["typ"]), str(header["kid"])
    except (jwt.PyJWTError, KeyError):
        raise _invalid("The access token is not valid.") from None
    if kind.lower().removeprefix("application/") != TOKEN_TYPE:
        raise _invalid("The token is not an access token.")
    return key_id


def _invalid(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, error="invalid_token")
