"""Bounds are exact: a flow file's number is the decimal that it writes, and a value on a bound is within it."""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.loader.connectors.lines import Lines
from services.loader.errors import InvalidFlow
from services.loader.flows.files import FLOWS, read_flow, read_flows
from services.loader.flows.model import Check, JournalFlow, Target
from services.loader.quality.checks import Checks

LAKE = FLOWS / "lake.yaml"
LARGEST = Decimal("999999999999999.9999")
"""The largest amount that the lake's type of money holds."""
# Numbers that no binary float is: the float is greater, smaller, or another in the last digit.
NUMBERS = ("0.0001", "0.1", "0.7", "1.10", "999999999999999.9999", "123456789012345678.123456789", "1.5e3")


@pytest.fixture(scope="module")
def expectations() -> Any:
    """The module under test; Great Expectations takes seconds to import, and warns while it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from services.loader.quality import expectations as found  # noqa: PLC0415
    return found


def flow_with(folder: Path, check: str) -> JournalFlow:
    """The lake's flow with one check of its payments."""
    text = LAKE.read_text(encoding="utf-8")
    written = "{column: amount, min: 0.0001, when: after}"
    assert text.count(written) == 3
    file = folder / "lake.yaml"
    file.write_text(text.replace(written, check), encoding="utf-8")
    flow = read_flow(file)
    assert isinstance(flow, JournalFlow)
    return flow


@pytest.mark.parametrize("number", NUMBERS)
def test_a_bound_of_a_flow_file_is_the_number_that_it_writes(tmp_path: Path, number: str) -> None:
    flow = flow_with(tmp_path, f"{{column: amount, min: {number}, max: -{number}, when: after}}")
    target = next(one for one in flow.targets if one.table == "credit_loan_transaction")
    (check,) = (one for one in target.checks if one.column == "amount")
    assert (check.min, check.max) == (Decimal(number), -Decimal(number))
    assert type(check.min) is Decimal


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "true", "much", "2026-01-01"])
def test_a_bound_that_is_no_number_is_refused_by_file_line_and_field(tmp_path: Path, number: str) -> None:
    with pytest.raises(InvalidFlow, match=r"lake\.yaml:\d+: targets\[\d+\]\.checks\[\d+\]\.min: "):
        flow_with(tmp_path, f"{{column: amount, min: {number}, when: after}}")


def test_no_bound_of_the_flow_files_is_a_float() -> None:
    bounds = [
        bound
        for flow in read_flows(FLOWS).values()
        for target in getattr(flow, "targets", ())
        for check in target.checks
        for bound in (check.min, check.max)
        if bound is not None
    ]
    assert len(bounds) > 15
    assert {type(bound) for bound in bounds} == {Decimal}
    with pytest.raises(ValueError, match="exact number"):
        Check(column="amount", min=0.0001)


def failures(expectations: Any, checks: list[Check], *values: Any) -> list[int]:
    """How many of the values each check after a load finds to be out of bounds."""
    import pandas as pd  # noqa: PLC0415

    outcomes = [expectations.Outcome(demand) for check in checks for demand in expectations.demands_of(check)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.DataFrame({checks[0].column: list(values)}).astype(object)
        expectations.Expectations().look(frame, outcomes)
    assert [outcome.observed for outcome in outcomes] == [[]] * len(checks)
    assert all(outcome.success == (outcome.failed == 0) for outcome in outcomes)
    return [outcome.failed for outcome in outcomes]


def test_a_value_on_its_bound_passes_before_and_after_the_load(expectations: Any) -> None:
    smallest, step = Decimal("0.0001"), Decimal("0.00000001")
    check = Check(column="amount", min=smallest, max=LARGEST)
    fits = [smallest, Decimal("0.00010000"), LARGEST, 1, None]
    does_not = [smallest - step, Decimal(0), -smallest, LARGEST + smallest, Decimal(10) ** 30]
    later = check.model_copy(update={"when": "after"})
    assert failures(expectations, [later], *fits) == [0]
    assert failures(expectations, [later], *does_not) == [len(does_not)]

    target = Target(source="t", table="t", keys=("id",), columns=("id", "amount"), checks=(check,))
    flow = read_flow(LAKE)
    assert isinstance(flow, JournalFlow)
    lines = Lines(flow, target, "sql")
    checks = Checks(target)

    def line(value: Any) -> bytes:
        return lines.row({"id": 1, "amount": value}, operation="r", major=1, minor=1, place="row 1")

    for values, failed in ((fits, 0), (does_not, len(does_not))):
        checks.look([line(value) for value in values])
        (finding,) = checks.take()
        assert (finding.checked, finding.failed) == (len(values), failed)


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("credit_loan_transaction", "amount", [Decimal("0.0001"), LARGEST]),
        ("credit_application_version", "amount", [Decimal("0.0001"), LARGEST]),
        ("credit_loan_proposal", "amount", [Decimal("0.0001"), LARGEST]),
        ("credit_loan", "principal", [Decimal("0.0001"), LARGEST]),
        ("credit_loan", "interest_rate", [Decimal(0), Decimal("0.000001"), Decimal("10.000000")]),
        (
            "credit_product_parameters",
            "probability_of_default",
            [Decimal(0), Decimal("0.000001"), Decimal("1.000000")],
        ),
        ("credit_instalment", "interest", [Decimal("0.0000"), Decimal("0.0001"), LARGEST]),
    ],
)
def test_the_extremes_of_the_lakes_types_pass_the_lakes_own_checks(
    expectations: Any, table: str, column: str, values: list[Decimal]
) -> None:
    flow = read_flow(LAKE)
    assert isinstance(flow, JournalFlow)
    (target,) = (one for one in flow.targets if one.table == table)
    checks = [one for one in target.checks if one.column == column]
    assert checks
    assert failures(expectations, checks, *values) == [0] * len(checks)
