"""A sample of the traces that a batch's changes were made in, for the batch's span to link to."""

from collections.abc import Mapping, Sequence

from opentelemetry.trace import Span

from services.chassis.telemetry.spans import link_from

MOST_LINKS = 1_000
LOOKS_A_CHUNK = 2_000
SAMPLED = frozenset(b"13579bdf")
"""Last digits of a traceparent that has the flag: the lowest bit."""


class Contexts:
    """Collects traceparents of sampled changes: all of a small batch, some of every part of a large one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[bytes, None] = {}

    def look(self, chunk: Mapping[str, Sequence[bytes]]) -> None:
        """Take some of a chunk's."""
        if len(self._found) >= MOST_LINKS:
            return
        stride = max(1, sum(map(len, chunk.values())) // LOOKS_A_CHUNK)
        for lines in chunk.values():
            for line in lines[::stride]:
                traceparent = line.rsplit(b"\t", 2)[1]
                if traceparent and traceparent[-1] in SAMPLED and traceparent not in self._found:
                    self._found[traceparent] = None
                    if len(self._found) >= MOST_LINKS:
                        return

    def link(self, span: Span) -> int:
        """Link the span to them; returns how many there were."""
        links = [link for found in self._found if (link := link_from(found.decode()))]
        for link in links:
            span.add_link(link.context)
        return len(links)
