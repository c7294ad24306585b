"""The SQL of corrections: the words of names, and which words find something for a caller. PostgreSQL only."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.chassis.database import ApplicationReader
from services.chassis.web.identity import Caller
from services.lake import access
from services.lake.tables import application
from services.search.selection import (
    PLAN_FOR_THE_VALUES,
    Selection,
    having_name,
    matching,
    of_selection,
    whole_word,
)
from services.search.spelling.domain import FEW, SHORT

# The aggregate is the server's: a million parties have some ten thousand words.
SELECT_WORDS = sa.text(
    "SELECT DISTINCT word FROM credit.party, "
    "LATERAL regexp_split_to_table(search.normalise(full_name), ' +') AS word WHERE length(word) >= :shortest"
)


def select_few(selection: Selection) -> sa.Select[Any]:
    """Count what a selection finds, up to FEW."""
    return sa.select(sa.func.count()).select_from(
        of_selection(selection, application.c.id).limit(FEW).subquery()
    )


def select_hits(words: Sequence[str], caller: Caller) -> sa.Select[Any]:
    """Count what each word alone finds for `caller`, up to FEW; one column a word, in their order."""
    hits = [_seen(caller).where(matching(word, caller, application)).limit(FEW).subquery() for word in words]
    columns: list[sa.ColumnElement[Any]] = [
        sa.select(sa.func.count()).select_from(found).scalar_subquery().label(f"hits_{number}")
        for number, found in enumerate(hits)
    ]
    return sa.select(*columns)


def select_known(words: Sequence[str], caller: Caller) -> sa.Select[Any]:
    """Whether `caller` sees an application with each word in a name that is shown to them; one column a word.

    What a caller may not see must not be told by a correction either.
    """
    named = [sa.union_all(*having_name(whole_word(word), caller)) for word in words]
    columns: list[sa.ColumnElement[Any]] = [
        sa.exists(_seen(caller).where(application.c.id.in_(found))).label(f"known_{number}")
        for number, found in enumerate(named)
    ]
    return sa.select(*columns)


class SpellingRepository:
    """Reads the replica; keeps nothing."""

    async def words(self, reader: ApplicationReader) -> list[str]:
        """The distinct words of all parties' names, normalised, that are long enough to be corrected to."""
        return list((await reader.execute(SELECT_WORDS, {"shortest": SHORT - 1})).scalars())

    async def finds_few(self, reader: ApplicationReader, selection: Selection) -> bool:
        """Whether a selection finds fewer than FEW applications."""
        await reader.execute(PLAN_FOR_THE_VALUES)
        return int(await reader.scalar(select_few(selection))) < FEW

    async def rare(self, reader: ApplicationReader, words: Sequence[str], caller: Caller) -> list[str]:
        """Those of `words` that find fewer than FEW applications of `caller`, whatever else is searched for."""
        row = (await reader.execute(select_hits(words, caller))).one()
        return [word for word, hits in zip(words, row, strict=True) if hits < FEW]

    async def known(self, reader: ApplicationReader, words: Sequence[str], caller: Caller) -> list[str]:
        """Those of `words` that are in a name which `caller` sees."""
        row = (await reader.execute(select_known(words, caller))).one()
        return [word for word, known in zip(words, row, strict=True) if known]


def _seen(caller: Caller) -> sa.Select[Any]:
    return sa.select(application.c.id).where(
        application.c.submitted_at.is_not(None), access.applications(caller)
    )
