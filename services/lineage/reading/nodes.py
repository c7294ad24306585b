"""Names of nodes, as Marquez writes them, and walks over edges. Plain Python."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

Node = TypeVar("Node")
MOST_COLONS = 12


class Column(NamedTuple):
    """A column of a dataset."""

    namespace: str
    dataset: str
    field: str

    @property
    def node(self) -> str:
        """Its node's name."""
        return f"datasetField:{self.namespace}:{self.dataset}:{self.field}"


def node_of(kind: str, namespace: str, name: str) -> str:
    """The name of the node of a job or dataset."""
    return f"{kind}:{namespace}:{name}"


def splits(text: str, parts: int) -> Iterator[tuple[str, ...]]:
    """Every way to read `text` as `parts` parts between colons: a namespace has colons of its own.

    The longest first parts come first: a namespace is an address more often than a name has a colon.
    """
    if parts == 1:
        yield (text,)
        return
    colons = [place for place, one in enumerate(text) if one == ":"][:MOST_COLONS]
    for place in reversed(colons):
        for rest in splits(text[place + 1 :], parts - 1):
            if text[:place] and all(rest):
                yield (text[:place], *rest)


def reach(
    starts: Iterable[Node], neighbours: Callable[[Node], Iterable[Node]], depth: int
) -> dict[Node, int]:
    """What is at most `depth` steps away, with its distance, in the order in which it is found."""
    found = dict.fromkeys(starts, 0)
    edge: Sequence[Node] = list(found)
    for distance in range(1, depth + 1):
        following: list[Node] = []
        for node in edge:
            for other in neighbours(node):
                if other not in found:
                    found[other] = distance
                    following.append(other)
        if not following:
            break
        edge = following
    return found


def turned(edges: Mapping[Node, Iterable[Node]]) -> dict[Node, list[Node]]:
    """The edges in the other direction."""
    found: dict[Node, list[Node]] = {}
    for one, others in edges.items():
        for other in others:
            found.setdefault(other, []).append(one)
    return found
