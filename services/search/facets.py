"""The counts of a search by facet, in one statement over the replica. PostgreSQL only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.lake.tables import application
from services.search.domain import Facet, FacetCount, Facets
from services.search.selection import (
    Selection,
    common_conditions,
    facet_columns,
    facet_conditions,
    joined,
)

MOST_COUNTED = 100_000
"""At most this many applications are counted one by one; above that a sample is."""
SAMPLED_ROWS = 20_000
"""About this many rows of the table are looked at for a sample: a share of a tenth is then known to 4 in 1,000."""
SURELY_TOO_MANY = 1.1
"""An estimate above this multiple of the most that are counted makes an exact count pointless."""

# Always the same sample, so that a repeated search has the same counts.
_SEED = 20261130

select_table_rows = sa.text(
    "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'credit.application'::regclass"
)
"""About how many applications the replica has; 0 when it was never analysed."""


def select_facets(
    selection: Selection, facets: Sequence[Facet], *, limit: int | None = None, percent: float | None = None
) -> sa.Select[Any]:
    """Count the applications of `selection` by `facets`, each under all filters but the facet's own.

    Args:
        selection: what is counted, and for whom.
        facets: what it is counted by, without repetition.
        limit: at most this many rows are counted.
        percent: only a sample of this many percent of the table's pages is counted.
    """
    of: sa.FromClause = application
    if percent is not None:
        of = sa.tablesample(application, sa.func.system(percent), name="sampled", seed=sa.literal(_SEED))
    own = facet_conditions(selection, of)
    columns = facet_columns(selection, of)
    # The filter of a facet that is not counted applies everywhere.
    everywhere = [condition for facet, condition in own.items() if facet not in facets]
    differs = {facet: condition for facet, condition in own.items() if facet in facets}
    rows = joined(
        of,
        *(columns[facet].label(facet.value) for facet in facets),
        *(condition.label(f"meets_{facet.value}") for facet, condition in differs.items()),
    ).where(
        *common_conditions(selection, of),
        *everywhere,
        # A row that fails the filters of two facets counts for none.
        sa.or_(_all_but(differs, None), *(_all_but(differs, facet) for facet in differs)),
    )
    found = rows.limit(limit).cte("found")
    meets = {facet: found.c[f"meets_{facet.value}"] for facet in differs}
    keys = [found.c[facet.value] for facet in facets]
    return (
        sa.select(
            sa.func.grouping(*keys).label("grouped"),
            *keys,
            sa.func.count().label("rows"),
            sa.func.count().filter(_all_but(meets, None)).label("total"),
            *(
                sa.func.count().filter(_all_but(meets, facet)).label(f"count_{facet.value}")
                for facet in facets
            ),
        )
        .select_from(found)
        .group_by(sa.func.grouping_sets(sa.tuple_(), *(sa.tuple_(key) for key in keys)))
    )


def facets_of(rows: Iterable[Mapping[str, Any]], facets: Sequence[Facet], percent: float | None) -> Facets:
    """Put together what `select_facets` read; `percent` is that of its sample."""
    factor = 1.0 if percent is None else 100 / percent
    counts: dict[Facet, list[FacetCount]] = {facet: [] for facet in facets}
    everything = 2 ** len(facets) - 1
    by_group = {everything - 2 ** (len(facets) - 1 - index): facet for index, facet in enumerate(facets)}
    total = 0
    for row in rows:
        if row["grouped"] == everything:
            total = round(row["total"] * factor)
            continue
        facet = by_group[row["grouped"]]
        if count := row[f"count_{facet.value}"]:
            counts[facet].append(FacetCount(row[facet.value], round(count * factor)))
    for found in counts.values():
        found.sort(key=lambda one: (-one.count, one.value or ""))
    return Facets(total, percent is not None, counts)


def counted_rows(rows: Iterable[Mapping[str, Any]], facets: Sequence[Facet]) -> int:
    """How many rows `select_facets` counted."""
    everything = 2 ** len(facets) - 1
    return next((row["rows"] for row in rows if row["grouped"] == everything), 0)


def _all_but(conditions: Mapping[Facet, sa.ColumnElement[bool]], but: Facet | None) -> sa.ColumnElement[bool]:
    return sa.and_(sa.true(), *(condition for facet, condition in conditions.items() if facet is not but))
