"""Values of KPIs in words and pictures: by their unit, in the reader's language and theme."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from services.dashboard.analysis.figures import Figure, Point, decimal_of, position
from services.dashboard.here import here
from services.dashboard.parts.words import MINUS, NOTHING

STATUS: Mapping[str, tuple[str, str]] = {
    "good": ("Good", "green"),
    "warn": ("Watch", "orange"),
    "bad": ("Bad", "red"),
}
BUCKETS: Mapping[str, str] = {
    "paid_off": "Paid off",
    "written_off": "Written off",
    "cancelled": "Cancelled",
}
_COLOURS = {"light": ("#0b7285", "#c9e7ec"), "dark": ("#4fc3d9", "#1f4a53")}
_WIDTH, _HEIGHT, _MARGIN = 196, 34, 3


def value_of(value: Decimal | str | None, unit: str, currency: str) -> str:
    """A value as people write it; a dash where it is not known."""
    t = here().texts
    if value is None:
        return NOTHING
    exact = Decimal(value)
    match unit:
        case "ratio":
            return t.percent(exact)
        case "amount":
            return t.money(exact.quantize(Decimal(1)), currency)
        case "hours":
            return t.hours(float(exact))
        case "days":
            return t.hours(float(exact) * 24)
        case "count":
            return t.number(exact.quantize(Decimal(1)))
        case _:
            return t.number(exact.quantize(Decimal("0.001")))


def part_of(point: Point, name: str, entry: Mapping[str, Any], currency: str) -> str:
    """A numerator or denominator: money where a column is added up, else a number of cases."""
    t = here().texts
    exact = decimal_of(point, name)
    if exact is None:
        return NOTHING
    if entry["parts"].get(name, {}).get("sum"):
        return t.money(exact.quantize(Decimal("0.01")), currency)
    return t.number(exact.quantize(Decimal("0.01")).normalize() if exact % 1 else exact.quantize(Decimal(1)))


def change_of(figure: Figure, currency: str) -> str | None:
    """How much it changed since the period before; None where that is not known."""
    t = here().texts
    value, before = decimal_of(figure.point, "value"), decimal_of(figure.before, "value")
    if value is None or before is None or figure.before is None:
        return None
    difference = value - before
    sign = MINUS if difference < 0 else "+" if difference > 0 else ""
    if figure.entry["unit"] == "ratio":
        points = t.number((abs(difference) * 100).quantize(Decimal("0.01")))
        shown = t("{sign}{points} points", sign=sign, points=points)
    else:
        shown = f"{sign}{value_of(abs(difference), figure.entry['unit'], currency)}"
    return t("{change} since {day}", change=shown, day=t.day(position(figure.before)))


def member_of(name: str) -> str:
    """The name of a member of a dimension: days past due as they are, others as words."""
    found = BUCKETS.get(name)
    if found is not None:
        return here().texts(found)
    return name if name[:1] in "0123456789>" else name.replace("_", " ").capitalize()


def line(series: Sequence[Point]) -> str | None:
    """A small line of values as an image; None for fewer than two."""
    values = [found for point in series if (found := decimal_of(point, "value")) is not None]
    if len(values) < 2:
        return None
    lowest, highest = min(values), max(values)
    spread = float(highest - lowest) or 1.0
    step = (_WIDTH - 2 * _MARGIN) / (len(values) - 1)
    places = [
        (
            _MARGIN + number * step,
            _HEIGHT - _MARGIN - float(value - lowest) / spread * (_HEIGHT - 2 * _MARGIN),
        )
        for number, value in enumerate(values)
    ]
    stroke, fill = _COLOURS[here().theme]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<polygon points="{_MARGIN},{_HEIGHT} {drawn} {x:.1f},{_HEIGHT}" fill="{fill}" opacity="0.55"/>'
        f'<polyline points="{drawn}" fill="none" stroke="{stroke}" stroke-width="2" stroke-linejoin="round"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{stroke}"/></svg>'
    )
    return f"data:image/svg+xml,{quote(picture)}"


def said_by(words: Mapping[str, Any]) -> str:
    """A text of the catalogue in the reader's language: the catalogue's own, else the one of the pages' messages."""
    t = here().texts
    return str(words.get(t.language) or t(words["en"]))
