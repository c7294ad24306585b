"""Settings of intake."""

from decimal import Decimal
from zoneinfo import ZoneInfo

from pydantic import Field

from services.chassis.settings import DatabaseUrl, ServiceSettings
from services.lake.domain.dates import UTC_ZONE, ZONE_DESCRIPTION


class IntakeSettings(ServiceSettings):
    """What intake reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with intake's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    lake_pool_size: int = Field(10, ge=1, le=200, description="most connections to the lake, 1 to 200")
    business_time_zone: ZoneInfo = Field(default=ZoneInfo(UTC_ZONE), description=ZONE_DESCRIPTION)
    loan_lock_wait_seconds: int = Field(
        5, ge=0, le=30, description="seconds that a request waits for the lock of a loan, 0 to 30"
    )
    overpayment_tolerance: Decimal = Field(
        Decimal("0.15"),
        ge=0,
        le=1,
        description="payment allowed beyond the outstanding amount of a loan, as a fraction of its principal, 0 to 1",
    )
