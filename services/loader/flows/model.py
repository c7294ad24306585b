"""What a flow file may say; `airflow/flows/flow.schema.json` is published from these models."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)


def _exact(value: object) -> object:
    """Refuse a binary float: it is another number than the one that was written, so a bound would exclude itself."""
    if isinstance(value, float | bool):
        raise ValueError("give an exact number: an integer or a decimal")  # noqa: TRY004 - pydantic's way
    return value


Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
FlowName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,55}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Text = Annotated[str, Field(min_length=1)]
Number = Annotated[
    Decimal, BeforeValidator(_exact), Field(allow_inf_nan=False), WithJsonSchema({"type": "number"})
]
"""A number, exactly as the flow file writes it."""
Whole = Annotated[int, Strict()]
"""A whole number; neither a text nor a truth stands for one."""
Truth = Annotated[bool, Strict()]
"""`true` or `false`, and nothing that stands for them."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Model):
    """What the values of one column must be; a column's NULL fits all but `not_null`."""

    column: Identifier
    not_null: Truth = False
    type: Literal["text", "integer", "numeric", "boolean", "date", "timestamp", "uuid"] | None = None
    one_of: tuple[str, ...] | None = Field(None, min_length=1, description="texts that the value may be")
    min: Number | None = Field(None, description="smallest number")
    max: Number | None = Field(None, description="greatest number")
    max_length: Whole | None = Field(None, ge=1, description="most characters")
    when: Literal["load", "after"] = Field(
        "load",
        description="when it is counted: as rows land, or by `check`; no row is refused",
    )
    severity: Literal["error", "warning"] = Field(
        "error", description="error: the row is set aside when it is typed; warning: it is only reported"
    )

    @model_validator(mode="after")
    def _checks_something(self) -> Check:
        if not self.not_null and not any(
            value is not None for value in (self.type, self.one_of, self.min, self.max, self.max_length)
        ):
            raise ValueError("it checks nothing: give not_null, type, one_of, min, max or max_length")
        return self


class Target(_Model):
    """One landing table, and what of the source goes into it."""

    source: Text = Field(
        description="journal: schema.table; sql: schema.table; files: URL or path, * allowed; "
        "kafka: topic; http: path behind the source's URL"
    )
    table: Identifier = Field(description="landing table in schema dl")
    keys: tuple[Identifier, ...] = Field(min_length=1, description="columns that name a row")
    columns: tuple[Identifier, ...] = Field(
        min_length=1, description="columns that the source must have; others travel along in the image"
    )
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _names_agree(self) -> Target:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: a column is named twice")
        if missing := [key for key in self.keys if key not in self.columns]:
            raise ValueError(f"keys: {', '.join(missing)} is not among the columns")
        if missing := [check.column for check in self.checks if check.column not in self.columns]:
            raise ValueError(f"checks: {', '.join(missing)} is not among the columns")
        return self


class Schedule(_Model):
    """When a flow runs: by the clock, after other flows, or both."""

    # JSON schema does not know the validator below.
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [field], "properties": {field: {"type": type_}}}
                for field, type_ in (("cron", "string"), ("after", "array"))
            ]
        }
    )

    cron: str | None = Field(None, pattern=r"^\S+( \S+){4}$", description="five fields, in UTC")
    after: tuple[FlowName, ...] | None = Field(
        None, min_length=1, description="flows whose assets start this one"
    )

    @model_validator(mode="after")
    def _says_when(self) -> Schedule:
        if self.cron is None and self.after is None:
            raise ValueError("give cron, after, or both")
        return self


class JournalSource(_Model):
    """The lake's journal."""

    database: Literal["lake"] = "lake"


class Watermark(_Model):
    """A column that rises with every change of a row."""

    column: Identifier = Field(
        description="a time or a number, indexed, never NULL, set by every insert and update"
    )
    lag_seconds: Whole = Field(60, ge=0, description="a time younger than this is left to the next window")
    overlap: Whole = Field(
        300,
        ge=0,
        description="seconds (or numbers) below the watermark that are read again, for what committed late",
    )


class SqlSource(_Model):
    """Tables of a SQL database; without a watermark each window is the whole table, and deletes are found."""

    url_variable: Variable = Field(description="environment variable that holds the SQLAlchemy URL")
    watermark: Watermark | None = None
    may_be_empty: Truth = Field(
        False, description="whether a source without rows is believed, and all its rows deleted"
    )


class NextLink(_Model):
    """Each page names the next one."""

    kind: Literal["next_link"]
    field: Text = Field("next", description="where in the answer the next page's URL is, dotted")


class PageNumber(_Model):
    """Pages are counted; one with no items is the last."""

    kind: Literal["page_number"]
    parameter: Text = "page"
    first: Whole = 1


class HttpSource(_Model):
    """An HTTP API that answers JSON in pages; each window is all of its pages."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    items: str = Field("items", description="where in the answer the rows are, dotted; empty: it is an array")
    pages: Annotated[NextLink | PageNumber, Field(discriminator="kind")]
    headers: dict[str, Variable] = Field(
        default_factory=dict, description="request header to the environment variable that holds it"
    )
    timeout_seconds: float = Field(30.0, gt=0)
    attempts: Whole = Field(5, ge=1, description="tries of a request that fails by the way")
    complete: Truth = Field(True, description="rows that an answer no longer has are deletes")
    may_be_empty: Truth = Field(
        False, description="whether a source without rows is believed, and all its rows deleted"
    )


class FilesSource(_Model):
    """Files in a folder or an S3 bucket; each version of a file is read once."""

    format: Literal["csv", "ndjson", "parquet"]
    delimiter: str = Field(",", min_length=1, max_length=1)
    endpoint_variable: Variable | None = Field(
        None, description="environment variable that holds the endpoint of an S3 that is not AWS"
    )
    complete: Truth = Field(
        False, description="a file's version is all there is: what it no longer has are deletes"
    )
    may_be_empty: Truth = Field(
        False, description="whether a source without rows is believed, and all its rows deleted"
    )


class KafkaSource(_Model):
    """Topics whose keys and values are JSON objects; a record without value is a delete."""

    bootstrap_variable: Variable = "KAFKA_BOOTSTRAP"


class _Flow(_Model):
    name: FlowName
    layer: Literal["dl", "ods", "dw", "dm", "ap"]
    description: Text
    schedule: Schedule
    freshness_minutes: Whole = Field(ge=1, description="without a success for longer, the flow is stale")
    retries: Whole = Field(ge=0, le=100)
    timeout_minutes: Whole = Field(ge=1)
    pool: Text = "warehouse"


class _Load(_Flow):
    layer: Literal["dl"]
    targets: tuple[Target, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _targets_differ(self) -> _Load:
        for attribute in ("table", "source"):
            names = [getattr(target, attribute) for target in self.targets]
            if len(set(names)) < len(names):
                raise ValueError(f"targets: two have the same {attribute}")
        return self


class JournalFlow(_Load):
    """From the lake's journal."""

    connector: Literal["journal"]
    source: JournalSource = JournalSource()


class SqlFlow(_Load):
    """From a SQL database."""

    connector: Literal["sql"]
    source: SqlSource


class HttpFlow(_Load):
    """From an HTTP API."""

    connector: Literal["http"]
    source: HttpSource


class FilesFlow(_Load):
    """From files."""

    connector: Literal["files"]
    source: FilesSource


class KafkaFlow(_Load):
    """From Kafka."""

    connector: Literal["kafka"]
    source: KafkaSource = KafkaSource()


class DbtFlow(_Flow):
    """Models of dbt; the loader knows no more of them."""

    connector: Literal["dbt"]
    select: Text = Field(description="what dbt builds, such as path:models/ods")
    publish: Truth = Field(
        False, description="whether the build is published in schema serving once its tests have passed"
    )


LoadFlow = JournalFlow | SqlFlow | HttpFlow | FilesFlow | KafkaFlow
Flow = Annotated[
    JournalFlow | SqlFlow | HttpFlow | FilesFlow | KafkaFlow | DbtFlow, Field(discriminator="connector")
]
ADAPTER: TypeAdapter[LoadFlow | DbtFlow] = TypeAdapter(Flow)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a flow file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A flow of the warehouse",
        **ADAPTER.json_schema(),
    }
