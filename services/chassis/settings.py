"""Settings of a process, read from its environment and checked before anything starts."""

import sys
from pathlib import Path
from typing import Annotated, Self, TypeVar
from urllib.parse import urljoin, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

INVALID_SETTINGS_STATUS = 2
ASYNC_DRIVERS = ("postgresql+asyncpg", "mssql+aioodbc")


def _database_url(value: SecretStr) -> SecretStr:
    try:
        driver = make_url(value.get_secret_value()).drivername
    except ArgumentError:
        driver = ""
    if driver not in ASYNC_DRIVERS:
        raise ValueError(f"it must be an SQLAlchemy URL that begins with {' or '.join(ASYNC_DRIVERS)}")
    return value


# The URL of a database, whose password is never shown.
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]


# How many requests a client may make in a time: 50/second.
Rate = Annotated[str, Field(pattern="^[1-9][0-9]{0,6}/(second|minute|hour)$")]


class IssuerSettings(BaseModel):
    """Another identity provider whose access tokens are accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, description="what the claim `iss` must be")
    jwks_url: str = Field(pattern="^https?://", description="URL of its JSON Web Key Set")
    audience: str = Field(min_length=1, description="what the claim `aud` must name")
    roles_claim: str = Field(
        "roles", pattern=r"^[^.]+(\.[^.]+)*$", description="the claim with its roles; dots lead into objects"
    )
    username_claim: str = Field("preferred_username", description="the claim with the user's name")
    roles: dict[str, str] = Field(
        min_length=1, description="its roles, each with the role here that it gives; others give nothing"
    )


class ServiceSettings(BaseSettings):
    """The settings that every process has; a service adds its own in a subclass.

    Each field is one environment variable of the same name in upper case. An operator reads its description
    when the value is wrong. Secrets are `SecretStr`.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    http_host: str = Field("127.0.0.1", description="address that the process listens on")
    http_port: int = Field(ge=0, le=65535, description="TCP port that the process listens on")
    http_hosts: str = Field(
        "127.0.0.1,localhost,[::1]",
        pattern=r"^(\*\.)?[A-Za-z0-9.\-\[\]:]+(,(\*\.)?[A-Za-z0-9.\-\[\]:]+)*$",
        description="names and addresses in URLs under which the process answers, without ports, separated by commas; "
        "`*.` in front stands for every name below. HTTP_HOST is one of them unless it is 0.0.0.0 or ::",
    )
    http_cors_origins: str = Field(
        "",
        pattern=r"^(https?://[a-z0-9.\-\[\]:]+(,https?://[a-z0-9.\-\[\]:]+)*)?$",
        description="origins whose pages may read answers (CORS), such as https://desk.example, separated by commas",
    )
    http_tls_certificate_file: Path | None = Field(
        None,
        description="PEM file of the server's certificate and its chain; with it the process serves HTTPS alone",
    )
    http_tls_key_file: Path | None = Field(None, description="PEM file of the certificate's private key")
    http_drain_seconds: float = Field(
        1.0, ge=0, le=60, description="seconds of being unready before the server stops taking requests"
    )
    http_deadline_seconds: float = Field(
        10.0,
        ge=0.1,
        le=60,
        description="seconds after which a request is cancelled when its X-Request-Timeout-Ms says nothing else",
    )
    rate_limit_read: Rate = Field(
        "50/second", description="reading requests of a client: a number by second, minute or hour"
    )
    rate_limit_write: Rate = Field("10/second", description="requests of a client by any other method")
    rate_limit_export: Rate = Field("2/minute", description="exports of a client")
    rate_limit_login: Rate = Field(
        "1/second", description="logins with a password from an address, or an IPv6 network of 64 bits"
    )
    rate_limit_store: SecretStr | None = Field(
        None,
        description="URL of a Redis or Valkey in which all processes of a service count together, redis://… or "
        "rediss://…; by default each process counts on its own",
    )
    http_trusted_proxies: str = Field(
        "",
        pattern=r"^([0-9a-fA-F.:/]+(,[0-9a-fA-F.:/]+)*)?$",
        description="addresses or networks of proxies whose X-Forwarded-For counts, separated by commas",
    )
    auth_issuer: str = Field("creditmesh", min_length=1, description="issuer that access tokens must name")
    auth_jwks_url: str | None = Field(
        None, pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    auth_revocations_url: str | None = Field(
        None,
        pattern="^https?://",
        description="URL of the list of ended sessions; by default /revocations where AUTH_JWKS_URL is",
    )
    cursor_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="secret that signs the cursors of pages, 32 characters or more, the same for all processes of a "
        "service; by default each process makes its own, and its cursors end with it",
    )
    auth_issuers: tuple[IssuerSettings, ...] = Field(
        (),
        description="other identity providers: a JSON list of objects with issuer, jwks_url, audience, roles_claim, "
        "username_claim and roles (theirs to ours)",
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR"
    )

    @property
    def hosts(self) -> frozenset[str]:
        """The names of `http_hosts`, and `http_host` where it is one address."""
        own = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        every = {"0.0.0.0", "[::]"}  # noqa: S104 - compared, not listened on
        return frozenset(self.http_hosts.split(",")) | ({own} - every)

    @property
    def cors_origins(self) -> frozenset[str]:
        """The origins of `http_cors_origins`."""
        return frozenset(one for one in self.http_cors_origins.split(",") if one)

    @field_validator("rate_limit_store")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss"}:
            raise ValueError("it must be a URL that begins with redis:// or rediss://")
        return value

    @property
    def revocations_url(self) -> str | None:
        """The URL of the list of ended sessions; None without an issuer."""
        if self.auth_revocations_url is not None or self.auth_jwks_url is None:
            return self.auth_revocations_url
        return urljoin(self.auth_jwks_url, "/revocations")

    @model_validator(mode="after")
    def _has_distinct_issuers(self) -> Self:
        named = [self.auth_issuer, *(other.issuer for other in self.auth_issuers)]
        if len(set(named)) != len(named):
            raise ValueError("each of AUTH_ISSUER and AUTH_ISSUERS must name another issuer")
        return self

    @model_validator(mode="after")
    def _has_whole_certificate(self) -> Self:
        if (self.http_tls_certificate_file is None) != (self.http_tls_key_file is None):
            raise ValueError("set both HTTP_TLS_CERTIFICATE_FILE and HTTP_TLS_KEY_FILE, or neither")
        return self


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S]) -> S:
    """The settings of class `cls` from the environment.

    When any is missing or wrong, prints a line for each on stderr (environment name, what is wrong, what
    is expected; never the value) and exits with status 2.
    """
    try:
        return cls()
    except ValidationError as error:
        print(f"{cls.__name__}: the environment is not valid.", file=sys.stderr)
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            print(_line(cls, problem), file=sys.stderr)
        sys.exit(INVALID_SETTINGS_STATUS)


def _line(cls: type[BaseSettings], problem: ErrorDetails) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    field = cls.model_fields.get(name.lower())
    wrong = "is not set" if problem["type"] == "missing" else f"is wrong: {problem['msg']}"
    expected = f"; expected: {field.description}" if field and field.description else ""
    return f"  {name.upper() or 'settings'} {wrong}{expected}"
