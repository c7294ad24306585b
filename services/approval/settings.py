"""Settings of approval."""

from pydantic import Field

from services.chassis.settings import DatabaseUrl, ServiceSettings


class ApprovalSettings(ServiceSettings):
    """What approval reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with approval's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    lake_pool_size: int = Field(10, ge=1, le=200, description="most connections to the lake, 1 to 200")
