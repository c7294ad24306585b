"""Settings of analytics and of its commands."""

from zoneinfo import ZoneInfo

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, ServiceSettings
from services.lake.domain.dates import UTC_ZONE, ZONE_DESCRIPTION

WAREHOUSE = "postgresql+asyncpg://… or mssql+aioodbc://…"


class AnalyticsSettings(ServiceSettings):
    """What `serve` reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    warehouse_url: DatabaseUrl = Field(
        description=f"SQLAlchemy URL of the warehouse with reporting's login: {WAREHOUSE}"
    )
    warehouse_pool_size: int = Field(
        10, ge=1, le=200, description="most connections to the warehouse, 1 to 200"
    )
    answers_mib: int = Field(
        64, ge=0, le=4096, description="most memory for answers that are kept, in MiB, 0 to 4096"
    )
    business_time_zone: ZoneInfo = Field(default=ZoneInfo(UTC_ZONE), description=ZONE_DESCRIPTION)


class MigrationSettings(BaseSettings):
    """What `migrate` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    warehouse_url: DatabaseUrl = Field(
        description=f"SQLAlchemy URL of the warehouse with its owner's login: {WAREHOUSE}"
    )


class PublicationSettings(BaseSettings):
    """What `publish` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    warehouse_url: DatabaseUrl = Field(
        description=f"SQLAlchemy URL of the warehouse with the transformer's login: {WAREHOUSE}"
    )
    traceparent: str | None = Field(
        None, description="W3C trace context of the caller, which the publication continues"
    )
