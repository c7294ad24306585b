"""Spans, the traces that are linked to one, and which of them decided how long it took."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Link = tuple[str, str]
"""The ids of a trace and of a span in it."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work; times are microseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    name: str
    start: int
    duration: int
    error: str | None = None
    links: tuple[Link, ...] = ()

    @property
    def end(self) -> int:
        """When it ended."""
        return self.start + self.duration


@dataclass(frozen=True, slots=True)
class Followed:
    """A trace with what is linked to it.

    `missing` counts linked traces that the store does not have, `left_out` what was not read because it is too much.
    """

    trace_id: str
    spans: Sequence[Span]
    hops: Mapping[str, int]
    """How many links lead from the trace to each of the others."""
    missing: int = 0
    left_out: bool = False


def links_to(spans: Iterable[Span], trace_id: str) -> bool:
    """Whether one of the spans links to a trace."""
    return any(link[0] == trace_id for span in spans for link in span.links)


def critical(followed: Followed) -> frozenset[Link]:
    """The spans from the trace's beginning to what ended last in it, each the cause of the next."""
    own = {one.span_id: one for one in followed.spans if one.trace_id == followed.trace_id}
    path: set[Link] = set()
    at = max(own.values(), key=lambda one: (one.end, one.start, one.span_id), default=None)
    while at is not None and (at.trace_id, at.span_id) not in path:
        path.add((at.trace_id, at.span_id))
        at = own.get(at.parent_id or "")
    return frozenset(path)
