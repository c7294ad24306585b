"""The access tokens of users (RFC 9068): their claims and their lifetime."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth.clients.model import Client
from services.auth.domain import Account, Session
from services.auth.tokens.keys import KeyRing
from services.chassis.web.identity import AUDIENCE
from services.lake.domain.roles import Role, scopes_of

CLIENT_ID = "creditmesh"
"""The client of RFC 9068: the platform's own, the only one that may send passwords."""
CHANGE_PASSWORD = "password:change"  # noqa: S105 - the name of a scope
"""The only scope of a user who must change the password first."""
ENROL = "otp:enrol"
"""The only scope of a user who must enrol a device first."""


@dataclass(frozen=True, slots=True)
class IssuedRefresh:
    """A refresh token as its holder gets it."""

    token: str = field(repr=False)
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """The result of a login or a refresh."""

    token: str = field(repr=False)
    expires_in: timedelta
    roles: frozenset[Role]
    must_change_password: bool
    must_enrol: bool
    refresh: IssuedRefresh | None


class AccessTokens:
    """Signs the access tokens of sessions."""

    def __init__(self, keys: KeyRing, *, issuer: str, lifetime: timedelta) -> None:
        """Tokens name `issuer` and live for `lifetime`, at most to the end of their session."""
        self._keys = keys
        self._issuer = issuer
        self.lifetime = lifetime

    def expiry(self, session: Session, now: datetime) -> datetime:
        """When a token of `session` that is issued now expires."""
        return min(now + self.lifetime, session.ends_at)

    def issue(
        self,
        account: Account,
        session: Session,
        now: datetime,
        refresh: IssuedRefresh | None,
        *,
        must_enrol: bool = False,
    ) -> IssuedToken:
        """A token of `session`; raises Unavailable without a key.

        Until a user who must do so has changed the password, or enrolled a device, it allows nothing else.
        """
        # Two people know a password that somebody else has set. Until it is changed, nobody may act as this user.
        only = CHANGE_PASSWORD if account.must_change_password else ENROL if must_enrol else None
        roles = account.roles if only is None else frozenset[Role]()
        scopes = scopes_of(roles) if only is None else {only}
        expires_at = self.expiry(session, now)
        token = self._keys.sign(
            {
                "iss": self._issuer,
                "aud": AUDIENCE,
                "sub": str(account.id),
                "client_id": CLIENT_ID,
                "sid": str(session.id),
                "jti": str(uuid7()),
                "iat": now,
                "exp": expires_at,
                # Of the login: a refresh proves nothing about who is there.
                "auth_time": int(session.issued_at.timestamp()),
                "amr": list(session.amr),
                "scope": " ".join(sorted(scopes)),
                "roles": sorted(roles),
                "username": account.username,
            },
            now,
        )
        return IssuedToken(
            token=token,
            expires_in=expires_at - now,
            roles=roles,
            must_change_password=account.must_change_password,
            must_enrol=must_enrol,
            refresh=refresh,
        )

    def issue_to_client(self, client: Client, secret_id: UUID, scopes: frozenset[str], now: datetime) -> str:
        """A token of a program; its session is the secret, with which it ends. Raises Unavailable without a key."""
        return self._keys.sign(
            {
                "iss": self._issuer,
                "aud": AUDIENCE,
                # RFC 9068: without a user the subject is the client. There was no login: no auth_time, no amr.
                "sub": str(client.id),
                "client_id": str(client.id),
                "sid": str(secret_id),
                "jti": str(uuid7()),
                "iat": now,
                "exp": now + self.lifetime,
                "scope": " ".join(sorted(scopes)),
                "roles": [Role.SERVICE],
                "username": client.name,
            },
            now,
        )
