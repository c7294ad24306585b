"""Settings of intake."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from services.chassis.kafka_access import KafkaSettings
from services.chassis.objects.interface import Objects
from services.chassis.objects.opening import open_objects
from services.chassis.objects.sealed import Keys
from services.chassis.settings import DatabaseUrl
from services.intake.documents.scanners import open_scanner
from services.intake.messages.domain import Origin, parse_senders
from services.intake.parties.tags import TagKeys
from services.lake.domain.dates import UTC_ZONE, ZONE_DESCRIPTION


class IntakeSettings(KafkaSettings):
    """What intake reads from its environment."""

    auth_jwks_url: str = Field(
        pattern="^https?://", description="URL of the JSON Web Key Set that verifies access tokens"
    )
    lake_url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the lake with intake's login: postgresql+asyncpg://… or mssql+aioodbc://…"
    )
    lake_pool_size: int = Field(10, ge=1, le=200, description="most connections to the lake, 1 to 200")
    person_tag_key: SecretStr = Field(
        description="secret of 32 characters or more that makes the tags by which parties are found, or several "
        "separated by commas: the first makes tags, all find; the same for all processes"
    )
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
    object_store_url: str | None = Field(
        None,
        description="where documents and imports are stored: file:///folder; without it neither is taken",
    )
    object_store_keys: SecretStr | None = Field(
        None,
        description="32 random bytes in URL-safe base64 that encrypt stored contents, or several keys separated by "
        "commas: the first encrypts, all decrypt",
    )
    max_document_bytes: int = Field(
        20 << 20, ge=1 << 10, le=1 << 30, description="bytes of the largest document, 1 KiB to 1 GiB"
    )
    max_import_bytes: int = Field(
        256 << 20, ge=1 << 10, le=1 << 30, description="bytes of the largest import, unpacked, 1 KiB to 1 GiB"
    )
    document_scanner: str = Field(
        "none", description="scanner of documents: none, clamd://host:port or clamd:///path/of/a/socket"
    )
    bureau: Literal["none", "simulated", "http"] = Field(
        "none",
        description="the credit bureau that is asked about the people of a submission: none, simulated or http",
    )
    bureau_key: SecretStr | None = Field(
        None, min_length=16, description="secret from which the simulated bureau makes its answers up"
    )
    bureau_url: str | None = Field(
        None, pattern="^https?://", description="where the bureau `http` is asked by POST, with JSON"
    )
    bureau_token: SecretStr | None = Field(
        None, description="bearer token for the bureau `http`, if it needs one"
    )
    bureau_seconds: float = Field(
        5.0, gt=0, le=30, description="seconds that the bureau `http` has for an answer, at most 30"
    )

    kafka_bootstrap: str = Field(
        "", description="brokers to start from, host:port[,host:port…]; needed with KAFKA_SENDERS alone"
    )
    kafka_senders: str = Field(
        "",
        description="who sends applications or payments by Kafka: a JSON object with the kinds of each client by its "
        'id, {"<uuid>": ["applications", "payments"]}; by default nobody, and Kafka is not used',
    )

    @property
    def origins(self) -> Mapping[str, Origin]:
        """The topics of the senders, each with its origin."""
        return parse_senders(self.kafka_senders)

    @property
    def object_keys(self) -> Keys | None:
        """The keys of the store of contents; None when there is none."""
        if self.object_store_keys is None:
            return None
        return Keys.parse(self.object_store_keys.get_secret_value())

    @property
    def tag_keys(self) -> TagKeys:
        """The keys of tags."""
        return TagKeys(self.person_tag_key.get_secret_value())

    @property
    def objects(self) -> Objects | None:
        """The store of contents; None when there is none."""
        if self.object_store_url is None or self.object_store_keys is None:
            return None
        return open_objects(self.object_store_url, self.object_store_keys.get_secret_value())

    @field_validator("kafka_senders")
    @classmethod
    def _names_senders(cls, value: str) -> str:
        parse_senders(value)
        return value

    @model_validator(mode="after")
    def _can_receive(self) -> Self:
        needed = {"KAFKA_BOOTSTRAP": self.kafka_bootstrap, "OBJECT_STORE_KEYS": self.object_store_keys}
        if self.kafka_senders.strip() and (missing := [name for name, value in needed.items() if not value]):
            raise ValueError(f"KAFKA_SENDERS needs {' and '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _has_whole_store(self) -> Self:
        if (self.object_store_url is None) != (self.object_store_keys is None):
            raise ValueError("set both OBJECT_STORE_URL and OBJECT_STORE_KEYS, or neither")
        _ = self.objects
        return self

    @field_validator("person_tag_key")
    @classmethod
    def _has_long_keys(cls, value: SecretStr) -> SecretStr:
        TagKeys(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _can_ask(self) -> Self:
        if self.bureau == "simulated" and self.bureau_key is None:
            raise ValueError("BUREAU=simulated needs BUREAU_KEY")
        if self.bureau == "http" and self.bureau_url is None:
            raise ValueError("BUREAU=http needs BUREAU_URL")
        return self

    @field_validator("document_scanner")
    @classmethod
    def _names_a_scanner(cls, value: str) -> str:
        open_scanner(value)
        return value
