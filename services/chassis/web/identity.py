"""The caller of a request: verification of access tokens and the check of a scope."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Self
from uuid import NAMESPACE_URL, UUID, uuid5

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry import trace
from starlette.types import Scope

from services.chassis.settings import IssuerSettings
from services.chassis.web.keys import IssuerKeys, JwksSource
from services.chassis.web.problems import Forbidden, Unauthenticated, Unavailable
from services.chassis.web.revocations import Revocations

AUDIENCE = "creditmesh"
ALGORITHM = "EdDSA"
"""The algorithm by which access tokens are signed."""
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the name of a kind (RFC 9068), no secret
LEEWAY_SECONDS = 5.0
MOST_REMEMBERED = 4096
"""Verified tokens in memory: more people than that do not work with one process at a time."""
# The attributes for a request's verified caller, and for a dependency that checks the caller.
_VERIFIED = "creditmesh.caller"
_REFUSED = "creditmesh.refused"
_CHECK = "__checks_caller__"

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


@dataclass(frozen=True, slots=True)
class OtherIssuer:
    """Another identity provider whose tokens are accepted, and what its users may do here."""

    settings: IssuerSettings
    keys: IssuerKeys
    scopes_of: Callable[[Iterable[str]], frozenset[str]]
    """All scopes of some roles."""

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """The caller of verified claims; raises KeyError, TypeError or ValueError if it is no access token.

        The caller's id is derived from the issuer and its subject: no issuer can name a user of ours, or of another.
        """
        # Keycloak says in the claim what the token is for; an ID token or a refresh token opens nothing here.
        if claims.get("typ", "Bearer") != "Bearer" or {"at_hash", "c_hash"} & claims.keys():
            raise ValueError("not an access token")
        values: Any = claims
        for part in self.settings.roles_claim.split("."):
            values = values.get(part, {})
        named = values.split() if isinstance(values, str) else list(values)
        roles = frozenset(self.settings.roles[name] for name in named if name in self.settings.roles)
        return Caller(
            id=uuid5(NAMESPACE_URL, f"{self.settings.issuer} {claims['sub']}"),
            username=str(claims[self.settings.username_claim]),
            roles=roles,
            scopes=self.scopes_of(roles),
            auth_time=None if claims.get("auth_time") is None else int(claims["auth_time"]),
        )


class TokenVerifier:
    """Verifies signed JWTs against a JWKS, and their sessions against a list of ended ones; both are kept in memory.

    A token must have the type of an access token (RFC 9068); tokens for other purposes are refused. The algorithm
    comes from the key, never from the token.
    """

    def __init__(
        self,
        issuer: str,
        jwks: JwksSource,
        audience: str = AUDIENCE,
        *,
        revocations: Revocations | None = None,
        others: Iterable[OtherIssuer] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tokens must be issued by `issuer` for `audience` and signed by a key of `jwks`.

        Args:
            issuer: what the claim `iss` must be.
            jwks: where the keys come from.
            audience: what the claim `aud` must name.
            revocations: the ended sessions; without it a token is valid until it expires, which is enough only for a
                service that looks up each session in the database.
            others: identity providers whose tokens are accepted as well, each signed by its own keys.
            clock: returns seconds, for the times of refreshes.
        """
        self.revocations = revocations
        self._issuer = issuer
        self._audience = audience
        self._keys = IssuerKeys(jwks, clock=clock)
        self._others = {other.settings.issuer: other for other in others}
        # By the digest of the token; the oldest first.
        self._remembered: OrderedDict[bytes, _Verified] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """The caller that `token` names.

        Raises Unauthenticated for a token that is malformed, expired, of another issuer, or of an ended session;
        Unavailable when no key, or no list of ended sessions, could be fetched yet.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        if known is None or not await known.holds():
            known = await self._verified(token)
            self._remembered[digest] = known
            if len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        caller = known.caller
        if (
            self.revocations is not None
            and caller.session_id is not None
            and await self.revocations.has_ended(caller.session_id)
        ):
            raise _invalid("The session has ended; log in again.")
        return caller

    async def _verified(self, token: str) -> "_Verified":
        other = self._others.get(_issuer_of(token)) if self._others else None
        if other is None:
            keys, issuer, audience, kind = self._keys, self._issuer, self._audience, _OURS
        else:
            keys, issuer, audience = other.keys, other.settings.issuer, other.settings.audience
            kind = _THEIRS
        key_id = _key_id(token, kind.types)
        key = await keys.get(key_id)
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=audience,
                issuer=issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": [*kind.required]},
            )
            caller = Caller.from_claims(claims) if other is None else other.caller(claims)
            return _Verified(caller, keys, key_id, key, float(claims["exp"]) + LEEWAY_SECONDS)
        except jwt.ExpiredSignatureError:
            raise _invalid("The access token has expired; log in again.") from None
        except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError):
            raise _invalid("The access token is not valid.") from None


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token says that was verified: most requests come with a token that an earlier one came with.

    A signature takes longer to verify than all else that is done with a token. It stays valid as long as its key.
    """

    caller: Caller
    keys: IssuerKeys
    key_id: str
    key: jwt.PyJWK
    until: float
    """When the token expires, in seconds since 1970."""

    async def holds(self) -> bool:
        """Whether the token has not expired and its key is still published; raises what `IssuerKeys.get` raises."""
        return time.time() < self.until and await self.keys.get(self.key_id) is self.key


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tokens of an issuer must have."""

    types: frozenset[str]
    required: tuple[str, ...]


_OURS = _Kind(frozenset({TOKEN_TYPE}), ("iss", "aud", "sub", "sid", "iat", "exp", "jti"))
# Providers that are older than RFC 9068, such as Keycloak by default, write JWT for every kind of token.
_THEIRS = _Kind(frozenset({TOKEN_TYPE, "jwt"}), ("iss", "aud", "sub", "iat", "exp"))


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def identify(scope: Scope) -> Caller | None:
    """The caller of a request, once it is known by its token; None without one, or with one that is not accepted.

    A token is verified once for each request; `authenticated` raises then what the verification raised.
    """
    if _VERIFIED in scope:
        found: Caller | None = scope[_VERIFIED]
        return found
    scope[_VERIFIED] = None
    value = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = value.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    verifier: TokenVerifier = scope["app"].state.verifier
    try:
        caller = await verifier.verify(token)
    except (Unauthenticated, Unavailable) as refusal:
        scope[_REFUSED] = refusal
        return None
    trace.get_current_span().set_attribute("enduser.id", str(caller.id))
    scope[_VERIFIED] = caller
    return caller


async def authenticated(request: Request, _: Credentials) -> Caller:
    """FastAPI dependency: the caller of the request.

    Raises Unauthenticated without a valid bearer token, Unavailable when it cannot be verified now.
    """
    caller = await identify(request.scope)
    if caller is None:
        raise request.scope.get(_REFUSED) or Unauthenticated(
            "Send an access token as `Authorization: Bearer …`."
        )
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


def _issuer_of(token: str) -> str:
    """The issuer that a token claims, not verified: it chooses whose keys must have signed it."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
    except jwt.PyJWTError:
        return ""


def _key_id(token: str, types: frozenset[str]) -> str:
    try:
        header = jwt.get_unverified_header(token)
        kind, key_id = str(header["typ"]), str(header["kid"])
    except (jwt.PyJWTError, KeyError):
        raise _invalid("The access token is not valid.") from None
    if kind.lower().removeprefix("application/") not in types:
        raise _invalid("The token is not an access token.")
    return key_id


def _invalid(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, error="invalid_token")
