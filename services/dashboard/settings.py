"""Settings of the dashboard."""

from typing import Literal, Self
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, ServiceSettings

_URL = "SQLAlchemy URL of the application database with {login}'s login: postgresql+asyncpg://…"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class DashboardSettings(ServiceSettings):
    """What the dashboard reads from its environment to serve."""

    http_port: int = Field(17100, ge=0, le=65535, description="TCP port that the process listens on")
    application_url: DatabaseUrl = Field(description=_URL.format(login="the dashboard"))
    dashboard_url: str = Field(
        pattern=r"^https?://[^/]+$",
        description="URL under which browsers reach the dashboard, without a path: https://desk.example. Without HTTPS "
        "only an address of this machine",
    )
    dashboard_session_keys: SecretStr = Field(
        description="keys that encrypt the tokens of sessions, each of 32 random bytes in URL-safe base64, separated "
        "by commas: the first encrypts, the others still decrypt"
    )
    auth_url: str = Field(pattern="^https?://", description="URL of auth")
    intake_url: str = Field(pattern="^https?://", description="URL of intake")
    approval_url: str = Field(pattern="^https?://", description="URL of approval")
    search_url: str = Field(pattern="^https?://", description="URL of search")
    analytics_url: str = Field(pattern="^https?://", description="URL of analytics")
    prometheus_url: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="URL of Prometheus, which tells the state of the platform; empty where there is none",
    )
    traces_url: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="URL of the store of traces; empty where there is none",
    )
    traces_store: Literal["zipkin", "jaeger"] = Field("zipkin", description="what answers at TRACES_URL")

    @property
    def secure(self) -> bool:
        """Whether browsers reach the dashboard by HTTPS alone."""
        return self.dashboard_url.startswith("https://")

    @property
    def service_urls(self) -> dict[str, str]:
        """The URL of each service that is called, by its name."""
        return {
            "auth": self.auth_url,
            "intake": self.intake_url,
            "approval": self.approval_url,
            "search": self.search_url,
            "analytics": self.analytics_url,
        }

    @property
    def session_keys(self) -> list[str]:
        """The keys of `dashboard_session_keys`."""
        return self.dashboard_session_keys.get_secret_value().split(",")

    @field_validator("dashboard_session_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        for key in value.get_secret_value().split(","):
            Fernet(key)
        return value

    @model_validator(mode="after")
    def _is_secure(self) -> Self:
        if not self.secure and urlsplit(self.dashboard_url).hostname not in _LOOPBACK:
            raise ValueError("DASHBOARD_URL must begin with https:// unless it is an address of this machine")
        return self


class MigrationSettings(BaseSettings):
    """What `migrate` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    application_url: DatabaseUrl = Field(description=_URL.format(login="its owner"))
