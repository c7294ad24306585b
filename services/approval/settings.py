"""Settings of approval."""

from pydantic import Field, SecretStr

from services.chassis.settings import ServiceSettings


class ApprovalSettings(ServiceSettings):
    """What approval reads from its environment."""

    lake_url: SecretStr = Field(
        description="SQLAlchemy URL of the lake with approval's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    lake_pool_size: int = Field(10, ge=1, le=200, description="most connections to the lake, 1 to 200")
