"""Rows on their way: how values are written, what checks refuse, what checksums are of."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.lake.journal.lines import COLUMNS, unescaped
from services.loader.connectors.lines import Lines, parsed, plain
from services.loader.errors import SourceChanged
from services.loader.flows.model import Check, HttpFlow, NextLink, Schedule, Target
from services.loader.flows.model import HttpSource as Source
from services.loader.loading.contexts import MOST_LINKS, Contexts
from services.loader.loading.tally import Counted, Tally, checksum
from services.loader.quality.checks import Checks, broken

TARGET = Target(source="rates", table="partner_rate", keys=("code",), columns=("code", "rate"))
FLOW = HttpFlow(
    name="rates",
    layer="dl",
    description="Rates.",
    schedule=Schedule(cron="0 6 * * *"),
    freshness_minutes=1,
    retries=0,
    timeout_minutes=1,
    connector="http",
    source=Source(url="http://partner.example", pages=NextLink(kind="next_link")),
    targets=(TARGET,),
)


def fields(line: bytes) -> dict[str, str | None]:
    """A line by column."""
    return dict(zip(COLUMNS, map(unescaped, line.split(b"\t")), strict=True))


def line(values: dict[str, Any]) -> bytes:
    """The line of a row."""
    return Lines(FLOW, TARGET, "http").row(values, major=1, minor=2, operation="r", place="item 2")


def test_a_row_is_written_with_all_its_columns() -> None:
    assert fields(line({"code": "Nguyễn\t", "rate": Decimal("0.10"), "note": None})) == {
        "position_major": "1",
        "position_minor": "2",
        "operation": "r",
        "row_key": '["Nguyễn\\t"]',
        "image": '{"code":"Nguyễn\\t","rate":"0.10","note":null}',
        "fingerprint": None,
        "actor": "http",
        "traceparent": None,
        "captured_at": None,
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, True),
        (2**31 - 1, 2**31 - 1),
        (2**31, "2147483648"),
        (Decimal("1E+3"), "1000"),
        (0.1, "0.1"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=7))), "2026-01-01T20:04:00Z"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC).replace(tzinfo=None), "2026-01-02T03:04:00"),
        (b"\x00\xff", "00ff"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"b": Decimal("0.10"), "a": [1]}, '{"a":[1],"b":"0.10"}'),
    ],
)
def test_delicate_values_travel_as_text(value: Any, written: Any) -> None:
    assert plain(value) == written
    assert orjson.loads(orjson.dumps(plain(value))) == written


def test_numbers_of_json_keep_their_digits() -> None:
    assert {
        name: plain(value) for name, value in parsed('{"a": 0.10, "b": 12345678901234567890}').items()
    } == {
        "a": "0.10",
        "b": "12345678901234567890",
    }
    with pytest.raises(ValueError, match="NaN is no JSON"):
        parsed('{"a": NaN}')


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"code": "A"}, "flow rates: rates, item 2: there is no column rate"),
        ({"code": None, "rate": 1}, r"its key \(code\) has a NULL"),
    ],
)
def test_a_row_without_what_the_flow_wants_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceChanged, match=said):
        line(values)


@pytest.mark.parametrize(
    ("check", "fits", "does_not", "said"),
    [
        ({"not_null": True}, ["", 0], [None], "is NULL"),
        ({"type": "integer"}, [1, "-2", None], ["1.0", "one", True], "is no integer"),
        ({"type": "numeric"}, ["1.50", 2], ["NaN", "Infinity", "1,5", ""], "is no numeric"),
        ({"type": "boolean"}, [True, "false"], ["yes"], "is no boolean"),
        ({"type": "date"}, ["2024-02-29"], ["2023-02-29", "29.02.2024"], "is no date"),
        ({"type": "timestamp"}, ["2024-02-29T10:00:00Z"], ["noon"], "is no timestamp"),
        ({"type": "uuid"}, [str(UUID(int=1))], ["1"], "is no uuid"),
        ({"one_of": ("a", "b")}, ["a"], ["A"], "is none of a, b"),
        ({"max_length": 2}, ["ab"], ["abc"], "has 3 characters, more than 2"),
        ({"min": 0, "max": 1}, ["0", "1.00"], ["-0.01", "1.01", "much"], "is"),
    ],
)
def test_checks_count_what_does_not_fit_and_refuse_nothing(
    check: dict[str, Any], fits: list[Any], does_not: list[Any], said: str
) -> None:
    demand = Check(column="rate", **check)
    checks = Checks(TARGET.model_copy(update={"checks": (demand,)}))
    checks.look([line({"code": "A", "rate": value}) for value in fits])
    assert [(one.checked, one.failed) for one in checks.take()] == [(len(fits), 0)]
    for value in does_not:
        checks.look([line({"code": "A", "rate": value}), line({"code": "B", "rate": fits[0]})])
        (finding,) = checks.take()
        assert (finding.target, finding.column, finding.severity) == ("partner_rate", "rate", "error")
        assert (finding.checked, finding.failed) == (2, 1)
        reason = broken(demand, value)
        assert reason is not None
        assert reason.startswith(said)
        assert value in {None, "", "1", "A"} or str(value) not in reason + finding.rule


def test_checks_for_later_and_deletes_are_let_through() -> None:
    later = Checks(
        TARGET.model_copy(update={"checks": (Check(column="rate", type="integer", when="after"),)})
    )
    later.look([line({"code": "A", "rate": "x"})])
    assert later.take() == []
    now = Checks(TARGET.model_copy(update={"checks": (Check(column="rate", not_null=True),)}))
    now.look([Lines(FLOW, TARGET, "http").delete({"code": "A"}, major=1, minor=1, place="item 1")])
    assert [(one.checked, one.failed) for one in now.take()] == [(0, 0)]


def test_a_checksum_is_of_lines_and_not_of_how_they_came() -> None:
    whole, pieces = Tally(), Tally()
    whole.add([b"a", b"b", b"c"])
    pieces.add([b"a"])
    pieces.add([b"b", b"c"])
    assert whole.counted() == pieces.counted() == Counted(3, hashlib.sha256(b"a\nb\nc\n").hexdigest())
    tables = {"b": whole.counted(), "a": Counted(1, "0")}
    text = f"a 1 0\nb 3 {whole.counted().checksum}\n"
    assert checksum(tables) == hashlib.sha256(text.encode()).hexdigest()


def test_sampled_contexts_alone_are_linked_each_once_and_not_too_many() -> None:
    def changed(trace: int, flags: str) -> bytes:
        return b"\t".join([b"x"] * 7 + [f"00-{trace:032x}-{1:016x}-{flags}".encode(), b"\\N"])

    class Span:
        def __init__(self) -> None:
            self.links: list[int] = []

        def add_link(self, context: Any) -> None:
            self.links.append(context.trace_id)

    contexts, span = Contexts(), Span()
    contexts.look({"a": [changed(1, "01"), changed(1, "01"), changed(2, "00"), changed(3, "03")]})
    contexts.look({"a": [b"\t".join([b"x"] * 7 + [b"\\N", b"\\N"])]})
    assert contexts.link(span) == 2  # type: ignore[arg-type] # all that is asked of a span
    assert span.links == [1, 3]
    contexts.look({"a": [changed(number, "01") for number in range(10, 10 + 2 * MOST_LINKS)]})
    assert contexts.link(span) == MOST_LINKS  # type: ignore[arg-type] # as above
