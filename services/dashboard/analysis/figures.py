"""Which points of a KPI a page shows. Plain Python over what analytics answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

WHOLE = "all"
MOST_PERIODS = 24
"""Periods that a line shows."""

Point = Mapping[str, Any]
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A KPI on a day.

    Args:
        entry: its entry of the catalogue.
        point: the value of the whole; None where it has none.
        series: the values of the whole up to the day, the oldest first.
        split: the values of each member of a dimension, on the same day.
    """

    entry: Entry
    point: Point | None
    series: Sequence[Point]
    split: Sequence[Point]

    @property
    def before(self) -> Point | None:
        """The value of the period before."""
        return self.series[-2] if len(self.series) > 1 else None

    @property
    def status(self) -> str | None:
        """`good`, `warn` or `bad` by the thresholds; None without them, or without a value."""
        value, thresholds = decimal_of(self.point, "value"), self.entry["thresholds"]
        if value is None or thresholds is None:
            return None
        # Where more is better, a value below the threshold is the bad one.
        sign = -1 if self.entry["better"] == "higher" else 1
        for name in ("bad", "warn"):
            if sign * value >= sign * Decimal(thresholds[name]):
                return name
        return "good"

    @property
    def change_is_good(self) -> bool | None:
        """Whether it got better since the period before; None where neither direction is, or nothing changed."""
        value, before = decimal_of(self.point, "value"), decimal_of(self.before, "value")
        if value is None or before is None or value == before or self.entry["better"] == "neither":
            return None
        return (value > before) is bool(self.entry["better"] == "higher")


def decimal_of(point: Point | None, name: str) -> Decimal | None:
    """A number of a point; None where it is not known."""
    return None if point is None or point[name] is None else Decimal(point[name])


def position(point: Point) -> str:
    """The day or the first day of the period that a point is of, as ISO 8601."""
    return str(point["period_start"] or point["cohort_month"] or point["as_of_date"])


def figure(entry: Entry, points: Sequence[Point], as_of: str | None) -> Figure:
    """The figure of a KPI on a day.

    Args:
        entry: its entry of the catalogue.
        points: all its points of one currency.
        as_of: a day; None: the newest.
    """
    day = as_of or max((str(point["as_of_date"]) for point in points), default="")
    reached = [point for point in points if position(point) <= day]
    series = _series([point for point in reached if _is_whole(point, entry)])
    point = series[-1] if series else None
    last = position(point) if point else max(map(position, reached), default="")
    grain = point["grain"] if point else _grain(reached, last)
    split = [
        one
        for one in reached
        if position(one) == last and one["grain"] == grain and one["member"] not in {None, WHOLE}
    ]
    first = split[0]["dimension"] if split else None
    return Figure(entry, point, series, [one for one in split if one["dimension"] == first])


def _is_whole(point: Point, entry: Entry) -> bool:
    if point["dimension"] is None:
        return False
    whole = WHOLE if WHOLE in entry["dimensions"] else entry["dimensions"][0]
    return bool(point["dimension"] == whole and point["member"] == WHOLE)


def _series(points: Sequence[Point]) -> Sequence[Point]:
    by_position: dict[str, Point] = {}
    # On a reporting date that is a month's end both grains say the same: the reporting date's is shown.
    for point in sorted(points, key=lambda one: (position(one), one["grain"] == "as_of")):
        by_position[position(point)] = point
    return list(by_position.values())[-MOST_PERIODS:]


def _grain(points: Sequence[Point], last: str) -> str | None:
    grains = {point["grain"] for point in points if position(point) == last}
    return "as_of" if "as_of" in grains else next(iter(sorted(filter(None, grains))), None)


def matrix(
    points: Sequence[Point], as_of: str | None
) -> tuple[Sequence[str], Sequence[str], Mapping[tuple[str, str], Point]]:
    """Transitions on a day: from, to, and the point of each pair."""
    day = as_of or max((str(point["as_of_date"]) for point in points), default="")
    of_day = [point for point in points if point["as_of_date"] == day]
    grains = {point["grain"] for point in of_day}
    wanted = "as_of" if "as_of" in grains else "month_end"
    chosen = {
        (str(point["from_bucket"]), str(point["to_bucket"])): point
        for point in of_day
        if point["grain"] == wanted
    }
    rows = sorted({pair[0] for pair in chosen}, key=_severity)
    columns = sorted({pair[1] for pair in chosen}, key=_severity)
    return rows, columns, chosen


def triangle(
    points: Sequence[Point],
) -> tuple[Sequence[str], Sequence[int], Mapping[tuple[str, int], Point]]:
    """Cohorts: their months, the months on book, and the point of each pair that is over."""
    known = {
        (str(point["cohort_month"]), int(point["months_on_book"])): point
        for point in points
        if point["value"] is not None
    }
    return sorted({pair[0] for pair in known}), sorted({pair[1] for pair in known}), known


_BUCKETS = ("0", "1-30", "31-60", "61-90", ">90", "paid_off", "written_off", "cancelled")


def _severity(bucket: str) -> tuple[int, str]:
    return (_BUCKETS.index(bucket) if bucket in _BUCKETS else len(_BUCKETS), bucket)
