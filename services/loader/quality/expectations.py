"""Great Expectations, in one place: importing it takes seconds and 250 MB, so only `check` does."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

# Read when it is imported; it would report its use over the internet.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from services.loader.flows.model import Check

ERROR, WARNING = "error", "warning"
_PLACE = "place"
_TYPES = {
    "integer": r"^[+-]?\d+$",
    "numeric": r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$",
    "boolean": r"^(true|false|True|False)$",
    "date": r"^\d{4}-\d{2}-\d{2}$",
    "timestamp": r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}


class _WithinExactly(ColumnMapMetricProvider):  # type: ignore[misc]
    """Which values of a column lie between two numbers, compared as decimals."""

    condition_metric_name = "column_values.within_exactly"
    condition_value_keys = ("lowest", "highest")

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, lowest: str | None = None, highest: str | None = None, **_: Any) -> Any:  # noqa: N805
        least = None if lowest is None else Decimal(lowest)
        most = None if highest is None else Decimal(highest)
        return column.map(lambda value: (least is None or value >= least) and (most is None or value <= most))


class ExpectColumnNumbersToBeWithin(ColumnMapExpectation):  # type: ignore[misc]
    """The numbers of a column lie between two others, both included.

    Great Expectations' own expectation takes its bounds as floats: the float 0.0001 is greater than the number 0.0001.
    """

    lowest: str | None = None
    highest: str | None = None

    map_metric = "column_values.within_exactly"
    success_keys = ("lowest", "highest", "mostly")
    args_keys = ("column", "lowest", "highest")


@dataclass(frozen=True, slots=True)
class Demand:
    """One expectation of one target; `column` is None when it is about the whole table."""

    expectation: Any
    column: str | None = None
    severity: str = ERROR
    blocks: bool = True
    """Whether a failure of the severity error ends the check, and what follows it."""


@dataclass(slots=True)
class Outcome:
    """What came of one demand: how many values were looked at, how many of them failed."""

    demand: Demand
    checked: int = 0
    failed: int = 0
    success: bool = True
    failing: list[str] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The expectation as Great Expectations calls it."""
        return str(self.demand.expectation.expectation_type)


class Expectations:
    """Validates frames; one for a run."""

    def __init__(self) -> None:
        context = gx.get_context(
            mode="ephemeral",
            project_config=DataContextConfig(
                store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
                # The caller shows a progress bar already.
                progress_bars=ProgressBarsConfig(globally=False),
                analytics_enabled=False,
            ),
        )
        source = context.data_sources.add_pandas("warehouse")
        self._frames = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")

    def look(self, frame: pd.DataFrame, outcomes: Sequence[Outcome], *, name: str | None = None) -> None:
        """Validate one frame by the demands of `outcomes`, and add to them what comes of it.

        Args:
            frame: some rows; what was looked at before counts on.
            outcomes: one a demand.
            name: the column by which rows that fail are named in `Outcome.failing`; None: they are only counted,
                since values may be personal.
        """
        if frame.empty or not outcomes:
            return
        suite = gx.ExpectationSuite("demands")
        for place, outcome in enumerate(outcomes):
            outcome.demand.expectation.meta = {_PLACE: place}
            suite.add_expectation(outcome.demand.expectation)
        form: dict[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": 0}
        if name is not None:
            form = {"result_format": "COMPLETE", "unexpected_index_column_names": [name]}
        batch = self._frames.get_batch(batch_parameters={"dataframe": frame})
        for result in batch.validate(suite, result_format=form).results:
            outcome = outcomes[result.expectation_config.meta[_PLACE]]
            found = result.result
            outcome.checked += int(found.get("element_count") or len(frame))
            outcome.failed += int(found.get("unexpected_count") or (0 if result.success else 1))
            outcome.success = outcome.success and bool(result.success)
            outcome.failing += [str(row[name]) for row in found.get("unexpected_index_list") or () if name]
            if raised := _raised(result.exception_info):
                outcome.observed.append(raised)


def _raised(info: Any) -> str | None:
    """What an expectation died of, without the values it was looking at."""
    each = info.values() if info and "raised_exception" not in info else [info or {}]
    return next((str(one["exception_message"])[:500] for one in each if one.get("raised_exception")), None)


def demands_of(check: Check) -> Iterator[Demand]:
    """What a check of a flow file demands of the values of its column."""
    column, severity = check.column, check.severity

    def demand(expectation: Any) -> Demand:
        return Demand(expectation, column, severity)

    if check.not_null:
        yield demand(gxe.ExpectColumnValuesToNotBeNull(column=column))
    if check.type in _TYPES:
        yield demand(gxe.ExpectColumnValuesToMatchRegex(column=column, regex=_TYPES[check.type]))
    if check.one_of is not None:
        yield demand(gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(check.one_of)))
    if check.min is not None or check.max is not None:
        yield demand(
            ExpectColumnNumbersToBeWithin(
                column=column,
                lowest=None if check.min is None else f"{check.min:f}",
                highest=None if check.max is None else f"{check.max:f}",
            )
        )
    if check.max_length is not None:
        yield demand(gxe.ExpectColumnValueLengthsToBeBetween(column=column, max_value=check.max_length))


def filled(column: str) -> Demand:
    """No value of the column is NULL."""
    return Demand(gxe.ExpectColumnValuesToNotBeNull(column=column), column)


def unique(columns: Sequence[str]) -> Demand:
    """No two rows have the same values in all of `columns`."""
    if len(columns) == 1:
        return Demand(gxe.ExpectColumnValuesToBeUnique(column=columns[0]), columns[0])
    return Demand(gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns)))


def equal(one: str, other: str) -> Demand:
    """Two columns have the same value in each row that has both."""
    return Demand(
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A=one, column_B=other, ignore_row_if="either_value_is_missing"
        ),
        one,
    )


def at_most(column: str, most: int, severity: str = ERROR) -> Demand:
    """No value of the column is below 0 or above `most`."""
    within = ExpectColumnNumbersToBeWithin(column=column, lowest="0", highest=str(most))
    return Demand(within, column, severity)
