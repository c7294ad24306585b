"""Settings of intake."""

from pydantic import Field

from services.chassis.settings import DatabaseUrl, ServiceSettings


class IntakeSettings(ServiceSettings):
    """What intake reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with intake's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    lake_pool_size: int = Field(10, ge=1, le=200, description="most connections to the lake, 1 to 200")
