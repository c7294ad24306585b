"""Settings of approval and of its command."""

from zoneinfo import ZoneInfo

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import DatabaseUrl, ServiceSettings
from services.lake.domain.dates import UTC_ZONE, ZONE_DESCRIPTION


class ApprovalSettings(ServiceSettings):
    """What approval reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with approval's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    lake_pool_size: int = Field(10, ge=1, le=200, description="most connections to the lake, 1 to 200")
    business_time_zone: ZoneInfo = Field(default=ZoneInfo(UTC_ZONE), description=ZONE_DESCRIPTION)
    value_date_days_back: int = Field(
        30, ge=0, le=36_525, description="most days before today that a booking may be dated, 0 to 36525"
    )
    claim_minutes: int = Field(
        30, ge=1, le=1440, description="minutes for which a claim lasts without activity, 1 to 1440"
    )


class ExpirySettings(BaseSettings):
    """What the command `expire` reads from its environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with approval's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    traceparent: str | None = Field(
        None, description="W3C trace context of the caller, which the command continues"
    )
