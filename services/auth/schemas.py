"""HTTP bodies of the auth service."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from services.auth.accounts.audit import Event, EventKind
from services.auth.clients.tokens import ClientToken
from services.auth.domain import (
    PASSWORD_MAX_LENGTH,
    PASSWORD_MIN_LENGTH,
    USERNAME_PATTERN,
    Account,
    NewUser,
    Proposal,
    ProposalKind,
    ProposalState,
    UserChange,
)
from services.auth.tokens.access import IssuedToken
from services.auth.tokens.chain import LiveSession
from services.chassis.web.input.strict import Flag, Name
from services.lake.domain.roles import OF_PEOPLE, Role

Username = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ann.maker"])]
DisplayName = Annotated[str, Name(200)]
NewPassword = Annotated[SecretStr, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)]


def _of_people(roles: frozenset[Role]) -> frozenset[Role]:
    if roles - OF_PEOPLE:
        raise ValueError("only a service client has the role service")
    return roles


Roles = Annotated[frozenset[Role], Field(min_length=1), AfterValidator(_of_people)]


Grant = Literal["password", "refresh_token", "client_credentials"]


class ClientForm(BaseModel):
    """What a service client proves itself with, unless it sends HTTP Basic (RFC 6749, 2.3.1)."""

    client_id: Annotated[str, Field(max_length=256)] | None = None
    client_secret: Annotated[SecretStr, Field(max_length=256)] | None = None


class TokenForm(ClientForm):
    """The form of the token endpoint (RFC 6749): `password` (4.3.2), `refresh_token` (6) or `client_credentials` (4.4).

    A service client may ask for some of its scopes. Other members are ignored, as RFC 6749 (3.2) requires.
    """

    grant_type: Grant = "password"
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Annotated[SecretStr, Field(max_length=PASSWORD_MAX_LENGTH)] | None = None
    otp: Annotated[SecretStr, Field(max_length=64)] | None = None
    refresh_token: Annotated[SecretStr, Field(max_length=256)] | None = None
    scope: Annotated[str, Field(max_length=1024)] | None = None

    @model_validator(mode="after")
    def _has_what_the_grant_needs(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if missing := sorted(_GRANTS[self.grant_type] - given):
            raise ValueError(f"the grant {self.grant_type} also needs {' and '.join(missing)}")
        return self

    def credentials(self) -> tuple[str, str]:
        """The user name and the password of the password grant."""
        return self.username or "", self.password.get_secret_value() if self.password else ""

    def one_time(self) -> str | None:
        """The code of the second factor."""
        return self.otp.get_secret_value() if self.otp else None

    def refreshed(self) -> str:
        """The refresh token of its grant."""
        return self.refresh_token.get_secret_value() if self.refresh_token else ""

    def scopes(self) -> frozenset[str] | None:
        """The scopes that are asked for; None for all."""
        return frozenset((self.scope or "").split()) or None


_GRANTS: Mapping[str, frozenset[str]] = {
    "password": frozenset({"username", "password"}),
    "refresh_token": frozenset({"refresh_token"}),
    "client_credentials": frozenset(),
}


class ClientTokenView(BaseModel):
    """The access token of a service client; `expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a kind, no secret
    expires_in: int
    scope: str

    @classmethod
    def of(cls, issued: ClientToken) -> Self:
        """The body for an issued token."""
        return cls(
            access_token=issued.token,
            expires_in=int(issued.expires_in.total_seconds()),
            scope=" ".join(sorted(issued.scopes)),
        )


class IntrospectionForm(ClientForm):
    """The form of the introspection endpoint (RFC 7662)."""

    token: Annotated[SecretStr, Field(max_length=4096)]
    token_type_hint: Annotated[str, Field(max_length=64)] | None = None


class IntrospectionView(BaseModel):
    """What an access token says, when it is valid now; only `active: false` of any other text (RFC 7662, 2.2)."""

    active: bool
    iss: str | None = None
    sub: str | None = None
    aud: str | None = None
    client_id: str | None = None
    username: str | None = None
    scope: str | None = None
    roles: list[str] | None = None
    token_type: Literal["bearer"] | None = None
    exp: int | None = None
    iat: int | None = None
    jti: str | None = None
    sid: str | None = None
    auth_time: int | None = None
    amr: list[str] | None = None

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self:
        """The body for the claims of a valid token."""
        kind: dict[str, Any] = {"active": True, "token_type": "bearer"}
        return cls(**{name: claims[name] for name in claims if name in cls.model_fields} | kind)


class TokenView(BaseModel):
    """An access token, and the refresh token for the next one; lifetimes are in seconds.

    A refresh token expires after `refresh_expires_in` seconds without a refresh. While `password_change_required`,
    there is none, and the access token allows `PUT /me/password` only; then log in again. While
    `otp_enrolment_required`, it allows `POST /me/otp` and its confirmation only.
    """

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a kind, no secret
    expires_in: int
    refresh_token: str | None
    refresh_expires_in: int | None
    roles: list[Role]
    password_change_required: bool
    otp_enrolment_required: bool

    @classmethod
    def of(cls, issued: IssuedToken) -> Self:
        """The body for an issued token."""
        refresh = issued.refresh
        return cls(
            access_token=issued.token,
            expires_in=int(issued.expires_in.total_seconds()),
            refresh_token=None if refresh is None else refresh.token,
            refresh_expires_in=None if refresh is None else int(refresh.expires_in.total_seconds()),
            roles=sorted(issued.roles),
            password_change_required=issued.must_change_password,
            otp_enrolment_required=issued.must_enrol,
        )


class RevocationForm(BaseModel):
    """The form of the revocation endpoint (RFC 7009): a refresh token or an access token."""

    token: Annotated[SecretStr, Field(max_length=4096)]
    token_type_hint: Annotated[str, Field(max_length=64)] | None = None


class SessionView(BaseModel):
    """A session of the caller that goes on.

    It ends at `expires_at` unless it is refreshed, and at `ends_at` in any case. `network` is where the login came
    from: an IPv4 address, or the /64 of an IPv6 address. `amr` names the proofs of the login (RFC 8176).
    """

    id: UUID
    current: bool
    started_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ends_at: datetime
    network: str | None
    amr: list[str]

    @classmethod
    def of(cls, session: LiveSession, current: UUID | None) -> Self:
        """Show `session` to a caller whose own is `current`."""
        own = {name: getattr(session, name) for name in cls.model_fields if name not in {"current", "amr"}}
        return cls(**own, current=session.id == current, amr=list(session.amr))


class SessionPage(BaseModel):
    """A page of the caller's sessions, newest first; `next` is the next page's `after`, null on the last page."""

    items: list[SessionView]
    next: str | None


class Metadata(BaseModel):
    """The metadata of the authorization server (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str
    introspection_endpoint: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]
    introspection_endpoint_auth_methods_supported: list[str]
    scopes_supported: list[str]


class ProviderMetadata(Metadata):
    """The same, with the members that OpenID Connect Discovery requires. There is no login by browser: no ID token."""

    subject_types_supported: list[str]
    id_token_signing_alg_values_supported: list[str]


class RevocationList(BaseModel):
    """The ended sessions whose tokens may not have expired yet."""

    sids: list[UUID]


class UserView(BaseModel):
    """A user, without anything secret."""

    id: UUID
    username: str
    display_name: str
    roles: list[Role]
    disabled: bool
    created_at: datetime
    must_change_password: bool

    @classmethod
    def of(cls, account: Account) -> Self:
        """The body for an account."""
        return cls(
            id=account.id,
            username=account.username,
            display_name=account.display_name,
            roles=sorted(account.roles),
            disabled=account.disabled,
            created_at=account.created_at,
            must_change_password=account.must_change_password,
        )


class UserPage(BaseModel):
    """A page of users in the order of their names; `next` is the `after` of the following page."""

    items: list[UserView]
    next: str | None


class NewUserBody(BaseModel):
    """A user to be added."""

    model_config = ConfigDict(extra="forbid")

    username: Username
    display_name: DisplayName
    password: NewPassword
    roles: Roles

    def to_domain(self) -> NewUser:
        """The use case's input."""
        return NewUser(self.username, self.display_name, self.password.get_secret_value(), self.roles)


class SetUpUserBody(NewUserBody):
    """A user that the platform's set-up adds; a generated password need not be changed."""

    must_change_password: Flag = True

    def to_domain(self) -> NewUser:
        """The use case's input."""
        return replace(super().to_domain(), must_change_password=self.must_change_password)


class UserChangeBody(BaseModel):
    """A change of a user; parts that are missing or null stay as they are."""

    model_config = ConfigDict(extra="forbid")

    roles: Roles | None = None
    disabled: Flag | None = None
    password: NewPassword | None = None

    def to_domain(self) -> UserChange:
        """The use case's input."""
        password = None if self.password is None else self.password.get_secret_value()
        return UserChange(self.roles, self.disabled, password)


class ProposalView(BaseModel):
    """A change of a user that a second administrator must confirm; null leaves a part as it is."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: ProposalKind
    state: ProposalState
    user_id: UUID
    username: str
    display_name: str
    roles_before: list[Role] | None
    roles: list[Role] | None
    disabled_before: bool | None
    disabled: bool | None
    sets_password: bool
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    refused_by: UUID | None
    refused_at: datetime | None

    @classmethod
    def of(cls, proposal: Proposal, now: datetime) -> Self:
        """Show `proposal` as it is at `now`."""
        own = {
            name: getattr(proposal, name)
            for name in cls.model_fields
            if name not in {"state", "roles", "roles_before"}
        }
        return cls(
            **own,
            state=proposal.state(now),
            roles=None if proposal.roles is None else sorted(proposal.roles),
            roles_before=None if proposal.roles_before is None else sorted(proposal.roles_before),
        )


class ProposalPage(BaseModel):
    """A page of proposals, newest first; `next` is the next page's `after`, null on the last page."""

    items: list[ProposalView]
    next: str | None


class EventView(BaseModel):
    """An audit event of auth; `object` is the user or the key that it is about.

    Without an `actor`, somebody who is not logged in did it, or the platform's set-up. A failed login has only the
    hash of the typed name.
    """

    id: UUID
    at: datetime
    kind: EventKind
    actor: UUID | None
    object: UUID | None
    name_sha256: str | None
    address: str | None
    trace_id: str | None
    details: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> Self:
        """Show `event`."""
        own = {name: getattr(event, name) for name in cls.model_fields if name != "name_sha256"}
        return cls(**own, name_sha256=None if event.name_sha256 is None else event.name_sha256.hex())


class EventPage(BaseModel):
    """A page of events, newest first; `next` is the next page's `after`, null on the last page."""

    items: list[EventView]
    next: str | None
