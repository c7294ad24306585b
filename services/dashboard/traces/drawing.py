"""A trace as a picture: a lane for each service, a bar for each span, time from left to right.

A load comes a minute after a commit of a millisecond, so time is drawn compressed: a stretch in which nothing begins or
ends takes room by its logarithm.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log2
from urllib.parse import quote
from xml.sax.saxutils import escape

from services.dashboard.traces.domain import Followed, Span, critical

ORDER = ("intake", "approval", "replicator-relay", "replicator-sink", "airflow", "loader", "dbt")
"""The way of a change; other services stand before."""
WIDTH, LEFT, RIGHT = 960, 150, 12
BAR, GAP, PAD = 12, 4, 10
MOST_ROWS = 10
"""A lane is at most this high; what does not fit stands in the table."""
LEAST_WIDTH = 3.0
COLORS = {
    "light": {
        "text": "#1c2430",
        "line": "#dde2e8",
        "bar": "#9bb8c4",
        "critical": "#0b7285",
        "error": "#c92a2a",
    },
    "dark": {
        "text": "#e8edf2",
        "line": "#2f3945",
        "bar": "#4d6673",
        "critical": "#3bc9db",
        "error": "#ff8787",
    },
}


def lanes(spans: Sequence[Span]) -> list[str]:
    """The services, in the order of a change's way."""
    first: dict[str, int] = {}
    for one in spans:
        first[one.service] = min(one.start, first.get(one.service, one.start))
    return sorted(first, key=lambda one: (ORDER.index(one) if one in ORDER else -1, first[one], one))


def picture(followed: Followed, theme: str) -> tuple[str, int]:
    """The picture as an address for an image, and how many spans did not fit."""
    colors, path = COLORS[theme], critical(followed)
    places = _places(followed.spans)
    drawn, y, left_out = [], PAD, 0
    for lane in lanes(followed.spans):
        own = [one for one in followed.spans if one.service == lane]
        ends: list[float] = []
        top = y
        for one in own:
            x = places[one.start]
            width = max(places[one.end] - x, LEAST_WIDTH)
            row = next((number for number, end in enumerate(ends) if end <= x), len(ends))
            if row >= MOST_ROWS:
                left_out += 1
                continue
            ends[row : row + 1] = [x + width]
            color = colors[
                "error" if one.error else "critical" if (one.trace_id, one.span_id) in path else "bar"
            ]
            drawn.append(
                f'<rect x="{x:.1f}" y="{top + row * (BAR + GAP)}" width="{width:.1f}" height="{BAR}" rx="2" '
                f'fill="{color}"/>'
            )
        y = top + max(len(ends), 1) * (BAR + GAP) + PAD
        drawn.append(
            f'<text x="{PAD}" y="{top + BAR - 1}">{escape(lane)}</text>'
            f'<line x1="0" x2="{WIDTH}" y1="{y - PAD / 2:g}" y2="{y - PAD / 2:g}" stroke="{colors["line"]}"/>'
        )
        y += PAD // 2
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        f'font-family="sans-serif" font-size="13" fill="{colors["text"]}">{"".join(drawn)}</svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}", left_out


def _places(spans: Sequence[Span]) -> dict[int, float]:
    """Where each beginning and each end stands."""
    times = sorted({time for one in spans for time in (one.start, one.end)})
    rooms = [log2(1 + later - earlier) for earlier, later in pairwise(times)]
    scale = (WIDTH - LEFT - RIGHT) / (sum(rooms) or 1)
    places, x = {times[0]: float(LEFT)}, float(LEFT)
    for time, room in zip(times[1:], rooms, strict=True):
        x += room * scale
        places[time] = x
    return places
