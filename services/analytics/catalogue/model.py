"""What a file of the catalogue may say. All of it is checked when it is read: no question meets a fault later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    StringConstraints,
    model_validator,
)
from pydantic_core import ErrorDetails

from services.analytics.catalogue.columns import FACTS, SOURCES
from services.analytics.catalogue.conditions import (
    Comparison,
    Condition,
    Kind,
    Parameter,
    always,
    check_kinds,
)
from services.analytics.catalogue.errors import InvalidCatalogue
from services.analytics.catalogue.parameters import PARAMETERS
from services.analytics.catalogue.parsing import parse
from services.chassis.yaml_files.reading import Location, UnreadableFile, read_checked

ROOT = Path(__file__).resolve().parents[3]
KPIS = Path(__file__).resolve().parent / "kpis"
"""The folder of the files, one for each KPI, named by its id."""

WHOLE = "all"
"""The dimension that is not split, and its member."""


def _condition(text: object) -> Condition:
    if not isinstance(text, str):
        raise ValueError("give a condition as text")  # noqa: TRY004 - pydantic's way
    return parse(text)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=600, strip_whitespace=True)]
Truth = Annotated[bool, Strict()]
Where = Annotated[Condition, PlainValidator(_condition)]
Unit = Literal["amount", "count", "days", "hours", "index", "ratio"]
Grain = Literal["as_of", "month_end", "month_of_booking", "month_of_decision", "month_of_submission"]
CURRENCY = Comparison("currency", "=", Parameter("currency"))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Model):
    """A text in the two languages that are complete."""

    en: Text
    vi: Text


class Thresholds(_Model):
    """From where a value is a warning, and from where it is bad; the value itself counts already."""

    warn: Decimal = Field(allow_inf_nan=False)
    bad: Decimal = Field(allow_inf_nan=False)


class Dimension(_Model):
    """How rows are split: a member is `prefix` and the value of `column`. Without a column the KPI is of all rows."""

    column: Name | None = None
    prefix: str = ""


class Source(_Model):
    """Where the values are."""

    table: Literal["ap.kpi", "ap.roll_rate", "ap.vintage"]
    where: Where | None = None
    column: Name = "value"
    numerator: Name = "numerator"
    denominator: Name = "denominator"

    @model_validator(mode="after")
    def _is_there(self) -> Source:
        columns = SOURCES[self.table].columns
        for field in ("column", "numerator", "denominator"):
            if columns.get(getattr(self, field)) is not Kind.DECIMAL:
                raise ValueError(f"{field}: {self.table} has no amount {getattr(self, field)!r}")
        if self.where is not None:
            _check("where", self.where, self.table, columns, {})
        return self


class Existing(_Model):
    """Another table, of which a row fulfils a condition and has the same value in the column `same`."""

    table: str
    same: Name
    where: Where


class Part(_Model):
    """The rows behind a numerator or denominator, and how they add up to it.

    Exactly one of `sum`, `count`, `count_distinct` and `sum_of_days_since` says how. Without any the rows are the
    population of a number that is no sum.
    """

    table: str
    where: Where
    exists: tuple[Existing, ...] = ()
    split: Truth = Field(True, description="whether a member of a dimension narrows these rows, too")
    largest: int | None = Field(
        None, ge=1, le=100, description="only rows of that many members of the dimension, by their sums"
    )
    sum: Name | None = None
    less: Where | None = Field(None, description="rows of the sum that are subtracted")
    averaged_over: Name | None = Field(None, description="the sum is divided by the distinct values of this")
    count: Literal["rows"] | None = None
    count_distinct: Name | None = None
    sum_of_days_since: Name | None = Field(None, description="Σ days from this column to :as_of")
    columns: tuple[Name, ...] = Field(min_length=1, description="what a row shows, in this order")

    @property
    def adds_up(self) -> bool:
        """Whether the rows add up to the part."""
        return any((self.sum, self.count, self.count_distinct, self.sum_of_days_since))

    @model_validator(mode="after")
    def _is_there(self) -> Part:
        if self.table not in FACTS:
            raise ValueError(f"table: there is no {self.table!r}; there are: {', '.join(sorted(FACTS))}")
        measures = ("sum", "count", "count_distinct", "sum_of_days_since")
        if len([name for name in measures if getattr(self, name)]) > 1:
            raise ValueError(f"sum: give one of {', '.join(measures)}")
        if self.sum is None and (self.less is not None or self.averaged_over or self.largest):
            raise ValueError("sum: less, averaged_over and largest are of a sum; give one")
        if CURRENCY not in always(self.where):
            raise ValueError(
                "where: it must hold `currency = :currency`: amounts of two currencies never add up"
            )
        columns = FACTS[self.table].columns
        kinds = {"sum": {Kind.DECIMAL}, "sum_of_days_since": {Kind.DATE}, "averaged_over": set(Kind)}
        kinds["count_distinct"] = set(Kind)
        for field, fitting in kinds.items():
            if (name := getattr(self, field)) and columns.get(name) not in fitting:
                raise ValueError(f"{field}: {self.table} has no fitting column {name!r}")
        # An application is what every row leads to, whatever table it is of.
        for place, name in enumerate(self.columns):
            if name not in columns and name != "application_id":
                raise ValueError(f"columns.{place}: {self.table} has no column {name!r} to show")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: a column is named twice")
        return self

    def conditions(self) -> Iterator[tuple[str, str, Condition]]:
        """Each condition with its field and table."""
        yield "where", self.table, self.where
        if self.less is not None:
            yield "less", self.table, self.less
        for place, one in enumerate(self.exists):
            yield f"exists.{place}.where", one.table, one.where


class Kpi(_Model):
    """One KPI."""

    id: Name
    unit: Unit
    value: Literal["ratio", "numerator", "denominator", "own"] = Field(
        description="what the value is of the two parts; own: what the definition says"
    )
    better: Literal["lower", "higher", "neither"]
    thresholds: Thresholds | None = None
    why: Text = Field(description="the reason for the thresholds, or for having none")
    title: Words
    definition: Words
    guide: Annotated[str, StringConstraints(pattern=r"^kpis\.md#[a-z0-9_-]+$")]
    grains: tuple[Grain, ...] = Field(min_length=1)
    dimensions: dict[Name, Dimension] = Field(min_length=1)
    source: Source
    adds_up: Truth = Field(True, description="whether the rows of both parts add up to them")
    reason: Text | None = Field(None, description="why they do not")
    numerator: Part | None = None
    denominator: Part

    @property
    def lineage(self) -> str:
        """The column of the warehouse that the value is, as lineage names it."""
        target = f"{self.source.table}.{self.source.column}"
        # ap.kpi is one narrow table: each KPI's value is a node of its own.
        return f"{target}[{self.id}]" if self.source.table == "ap.kpi" else target

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts that have rows, by name."""
        named = {"numerator": self.numerator, "denominator": self.denominator}
        return {name: part for name, part in named.items() if part is not None}

    @model_validator(mode="after")
    def _source_tells_it_apart(self) -> Kpi:
        named = Comparison("kpi", "=", self.id)
        if self.source.where != (named if self.source.table == "ap.kpi" else None):
            raise ValueError(
                f"source.where: of ap.kpi it must be `kpi = '{self.id}'`, of other tables nothing"
            )
        return self

    @model_validator(mode="after")
    def _thresholds_agree(self) -> Kpi:
        if self.thresholds is None:
            return self
        if self.better == "neither":
            raise ValueError("thresholds: neither direction is better, so none can be bad")
        if (self.thresholds.warn > self.thresholds.bad) == (self.better == "lower"):
            raise ValueError(f"thresholds: with {self.better} better, warn must come before bad")
        return self

    @model_validator(mode="after")
    def _adds_up_or_says_why(self) -> Kpi:
        needed = {"ratio": {"numerator", "denominator"}, "own": {"denominator"}}.get(self.value, {self.value})
        adding = {name for name, part in self.parts.items() if part.adds_up}
        if self.adds_up and (self.reason is not None or self.value == "own"):
            raise ValueError("reason: it is for a KPI that does not add up; say `adds_up: no`")
        if self.adds_up and not needed <= adding:
            raise ValueError(f"{min(needed - adding)}: it must say how its rows add up, or `adds_up: no`")
        if not self.adds_up and self.reason is None:
            raise ValueError("reason: say why its rows do not add up")
        return self

    @model_validator(mode="after")
    def _conditions_fit(self) -> Kpi:
        parameters = PARAMETERS[self.source.table]
        for name, part in self.parts.items():
            for place, one in enumerate(part.exists):
                if one.table not in FACTS or not all(
                    one.same in FACTS[table].columns for table in (one.table, part.table)
                ):
                    raise ValueError(
                        f"{name}.exists.{place}.same: {one.table} and {part.table} have no {one.same!r}"
                    )
            for field, table, condition in part.conditions():
                _check(f"{name}.{field}", condition, table, FACTS[table].columns, parameters)
            for dimension, how in self.dimensions.items():
                if part.split and how.column and how.column not in FACTS[part.table].columns:
                    raise ValueError(f"dimensions.{dimension}: {part.table} has no column {how.column!r}")
        if WHOLE in self.dimensions and self.dimensions[WHOLE].column:
            raise ValueError(f"dimensions.{WHOLE}: it is the whole, which has no column")
        return self


class Catalogue(_Model):
    """Every KPI, by id."""

    kpis: dict[str, Kpi]


def _check(
    field: str,
    condition: Condition,
    table: str,
    columns: Mapping[str, Kind],
    parameters: Mapping[str, Kind],
) -> None:
    try:
        check_kinds(condition, table, columns, parameters)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def read_catalogue(folder: Path = KPIS) -> Catalogue:
    """Read every `*.yaml` of a folder.

    Raises:
        InvalidCatalogue: there is none, or one is not valid; one line a fault, with file, line and field.
    """
    kpis: dict[str, Kpi] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            kpi = read_kpi(path)
        except InvalidCatalogue as error:
            faults.append(str(error))
        else:
            kpis[kpi.id] = kpi
    if faults:
        raise InvalidCatalogue("\n".join(faults))
    if not kpis:
        raise InvalidCatalogue(f"{_shown(folder)}: there is no *.yaml; the KPIs are files of this folder")
    return Catalogue(kpis=kpis)


def read_kpi(path: Path) -> Kpi:
    """Read one file.

    Raises:
        InvalidCatalogue: it is not valid; one line a fault, with file, line and field.
    """
    try:
        return read_checked(
            path,
            _shown(path),
            Kpi.model_validate,
            _place,
            fields="id, unit, value, title, …",
            key="id",
            whole="KPI",
        )
    except UnreadableFile as error:
        raise InvalidCatalogue(str(error)) from None


_NAMED = re.compile(r"(?P<field>[a-z_0-9]+(?:\.[a-z_0-9]+)*): (?P<message>.+)", re.DOTALL)


def _place(fault: ErrorDetails) -> tuple[Location, str]:
    """The field and the message of a fault; a check over several fields names one of them before a colon."""
    location, message = fault["loc"], fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error" and (named := _NAMED.fullmatch(message)):
        more = (int(part) if part.isdecimal() else part for part in named["field"].split("."))
        location, message = (*location, *more), named["message"]
    return location, message


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
