"""Bodies and parameters of analytics' HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from services.analytics import service
from services.analytics.catalogue import model
from services.analytics.catalogue.conditions import written
from services.analytics.domain import Asked, Build, Run
from services.chassis.web.input.strict import Day, WholeText
from services.chassis.web.paging import AfterText, Cursors, Limit
from services.lake.domain.currency import Currency

KpiName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["par_30"])]
PageName = Annotated[str, Field(pattern=r"^[a-z]{1,20}$", examples=["portfolio"])]
Exact = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:f}", return_type=str),
    Field(examples=["0.0345000000"], json_schema_extra={"type": "string"}),
]
"""An exact decimal, as text: a float would be another number."""
BuildNumber = Annotated[
    WholeText, Field(ge=1, le=2**53, description="A build that GET /builds lists; by default the newest.")
]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class BuildBody(_Body):
    """A published build."""

    build_id: int
    finished_at: datetime = Field(description="When dbt ended.")
    published_at: datetime
    as_of_date: date | None = Field(description="The reporting date; null when nothing was ever lent.")
    through_position: str | None = Field(description="Every change of the lake up to this position is in it.")
    through_time: datetime | None = Field(description="When the last of them was loaded.")
    tests_passed: int
    tests_warned: int

    @classmethod
    def of(cls, build: Build) -> Self:
        """Show a build."""
        return cls.model_validate(build, from_attributes=True)


class RunBody(_Body):
    """The newest build of `ap`, published or not."""

    state: Literal["none", "published", "under_way", "failed", "partial", "passed"] = Field(
        description="none: nothing was built yet. under_way: or killed. partial: models or tests were left out. "
        "passed: it is copied next."
    )
    started_at: datetime | None
    finished_at: datetime | None
    failures: list[str] = Field(description="The models and tests that failed.")
    build_id: int | None = Field(description="Its number; null when it is not published.")

    @classmethod
    def of(cls, run: Run | None) -> Self:
        """Show a run."""
        if run is None:
            return cls(state="none", started_at=None, finished_at=None, failures=[], build_id=None)
        return cls.model_validate(run, from_attributes=True)


class TextBody(_Body):
    """A text in English and Vietnamese."""

    en: str
    vi: str

    @classmethod
    def of(cls, words: model.Words) -> Self:
        """Show a text."""
        return cls(en=words.en, vi=words.vi)


class PartBody(_Body):
    """The rows behind a numerator or denominator."""

    table: str
    where: str = Field(description="Which rows of the table, in the grammar of the catalogue.")
    adds_up: bool = Field(description="Whether the rows add up to the part.")
    sum: str | None = Field(description="The column that is added up; null where rows or days are counted.")
    columns: list[str]


class ThresholdsBody(_Body):
    """From where a value is a warning, and from where it is bad."""

    warn: Exact
    bad: Exact


class KpiBody(_Body):
    """An entry of the catalogue."""

    id: KpiName
    title: TextBody
    definition: TextBody
    unit: str = Field(examples=["ratio"])
    better: str = Field(description="lower, higher or neither.", examples=["lower"])
    thresholds: ThresholdsBody | None
    why: str = Field(description="The reason for the thresholds, or for having none.")
    guide: str = Field(description="Where the guide defines it.")
    grains: list[str]
    dimensions: list[str]
    adds_up: bool = Field(description="Whether the rows add up to the parts.")
    reason: str | None = Field(description="Why they do not.")
    lineage: str = Field(description="Its column in the lineage.", examples=["ap.kpi.value[par_30]"])
    parts: dict[str, PartBody] = Field(description="The parts that have rows, by name.")

    @classmethod
    def of(cls, kpi: model.Kpi) -> Self:
        """Show an entry."""
        return cls(
            id=kpi.id,
            title=TextBody.of(kpi.title),
            definition=TextBody.of(kpi.definition),
            unit=kpi.unit,
            better=kpi.better,
            thresholds=None
            if kpi.thresholds is None
            else ThresholdsBody(warn=kpi.thresholds.warn, bad=kpi.thresholds.bad),
            why=kpi.why,
            guide=kpi.guide,
            grains=list(kpi.grains),
            dimensions=list(kpi.dimensions),
            adds_up=kpi.adds_up,
            reason=kpi.reason,
            lineage=kpi.lineage,
            parts={
                name: PartBody(
                    table=part.table,
                    where=written(part.where),
                    adds_up=part.adds_up,
                    sum=part.sum,
                    columns=list(part.columns),
                )
                for name, part in kpi.parts.items()
            },
        )


class KpiList(_Body):
    """The catalogue."""

    items: list[KpiBody]


class PointBody(_Body):
    """One value of a KPI. Members that its table does not have are null."""

    currency: str
    as_of_date: date
    grain: str | None = None
    period_start: date | None = None
    dimension: str | None = None
    member: str | None = None
    opened_on: date | None = None
    from_bucket: str | None = None
    to_bucket: str | None = None
    cohort_month: date | None = None
    months_on_book: int | None = None
    numerator: Exact | None
    denominator: Exact | None
    value: Exact | None
    missing_rows: int | None = Field(
        None,
        description="Upper bound of the rows that are missing from the number, because they are set aside.",
    )

    @classmethod
    def of(cls, point: Mapping[str, Any], source: model.Source) -> Self:
        """Show a point as its table has it."""
        parts = {
            "numerator": point[source.numerator],
            "denominator": point[source.denominator],
            "value": point[source.column],
        }
        return cls(**{name: value for name, value in point.items() if name in cls.model_fields} | parts)


class PointsBody(_Body):
    """The points of a KPI."""

    kpi: KpiName
    points: list[PointBody]

    @classmethod
    def of(cls, values: service.Values) -> Self:
        """Show values."""
        return cls(kpi=values.kpi.id, points=_points(values))


class ValuesBody(_Body):
    """The points of a KPI in one build."""

    kpi: KpiName
    build: BuildBody
    points: list[PointBody]

    @classmethod
    def of(cls, values: service.Values) -> Self:
        """Show values."""
        return cls(kpi=values.kpi.id, build=BuildBody.of(values.build), points=_points(values))


def _points(values: service.Values) -> list[PointBody]:
    return [PointBody.of(point, values.kpi.source) for point in values.points]


class RowsBody(_Body):
    """A page of the rows behind a part of a point."""

    kpi: KpiName
    part: str
    build: BuildBody
    point: PointBody
    published: Exact | None = Field(description="The part as the build has it; null for a population.")
    total: Exact | None = Field(
        description="The part as the rows of now add up to it; null for a population. It differs where the facts are a "
        "build ahead."
    )
    row_count: int = Field(description="How many rows add up to it; 0 for a population.")
    columns: list[str]
    rows: list[list[str | int | None]] = Field(description="A list for each row, in the order of `columns`.")
    next: str | None

    @classmethod
    def of(cls, behind: service.Behind, cursors: Cursors) -> Self:
        """Show rows."""
        part = behind.kpi.parts[behind.part]
        last = behind.rows[-1] if behind.rows and behind.more else None
        key = None if last is None else [last[name] for name in last if name.startswith("key_")]
        return cls(
            kpi=behind.kpi.id,
            part=behind.part,
            build=BuildBody.of(behind.build),
            point=PointBody.of(behind.point, behind.kpi.source),
            published=behind.published,
            total=behind.total,
            row_count=behind.row_count,
            columns=list(part.columns),
            rows=[[_cell(row[name]) for name in part.columns] for row in behind.rows],
            next=None if key is None else cursors.encode_key(key),
        )


def _cell(value: Any) -> str | int | None:
    match value:
        case None | int() | str():
            return value
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value.isoformat())


class PageBody(_Body):
    """Everything that a page shows."""

    page: str
    build: BuildBody
    currency: str | None
    currencies: list[str]
    as_of: date | None
    kpis: list[PointsBody]

    @classmethod
    def of(cls, page: service.Page) -> Self:
        """Show a page."""
        return cls(
            page=page.name,
            build=BuildBody.of(page.build),
            currency=page.currency,
            currencies=list(page.currencies),
            as_of=page.as_of,
            kpis=[PointsBody.of(values) for values in page.kpis],
        )


class BuildList(_Body):
    """The builds that are kept, the newest first."""

    items: list[BuildBody]


class DayBody(_Body):
    """A day that a build has the portfolio of."""

    day: date
    grain: str = Field(description="as_of for the reporting date, month_end for the others.")


class DaysBody(_Body):
    """The days and currencies of a build."""

    build: BuildBody
    days: list[DayBody]
    currencies: list[str]


class QualityResult(_Body):
    """One expectation, as it was last checked."""

    flow: str
    target: str
    column_name: str | None
    expectation: str
    severity: str
    success: bool
    checked_count: int | None
    failed_count: int | None
    checked_at: datetime


class QualityBody(_Body):
    """The results of each flow's latest check, failed ones first."""

    items: list[QualityResult]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BuildParameters(_Parameters):
    """Which build."""

    build: BuildNumber | None = None


Member = Annotated[str, Field(min_length=1, max_length=64)]
Bucket = Annotated[str, Field(min_length=1, max_length=11, examples=["1-30"])]


class ValueParameters(BuildParameters):
    """Which points of a KPI; missing ones set no filter."""

    currency: Currency | None = None
    dimension: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,16}$", examples=["product"])] | None = None
    member: Member | None = None
    grain: Annotated[str, Field(pattern=r"^[a-z_]{1,20}$", examples=["as_of"])] | None = None
    as_of: Day | None = None
    period_from: Annotated[Day | None, Field(alias="from", description="First period, or day.")] = None
    period_to: Annotated[Day | None, Field(alias="to", description="Last period, or day.")] = None

    from_bucket: Annotated[Bucket | None, Field(description="Of a transition: where the money was.")] = None
    to_bucket: Annotated[Bucket | None, Field(description="Of a transition: where it went.")] = None
    cohort_month: Annotated[Day | None, Field(description="Of a vintage: its month's first day.")] = None
    months_on_book: Annotated[
        WholeText | None, Field(ge=0, le=1200, description="Of a vintage: how old it was.")
    ] = None

    def to_domain(self) -> Asked:
        """The filters as the use case knows them."""
        return Asked(**{name: getattr(self, name) for name in Asked.__dataclass_fields__})


class RowParameters(ValueParameters):
    """Which rows of which point."""

    part: Annotated[str, Field(pattern="^(numerator|denominator)$")] = "numerator"
    after: AfterText | None = None
    limit: Limit = 100


class PageParameters(BuildParameters):
    """Which page."""

    currency: Currency | None = None
    as_of: Day | None = None
