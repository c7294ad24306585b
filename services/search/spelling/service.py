"""The use case of corrections: learn the words of names, and correct a selection that finds next to nothing."""

import asyncio
from dataclasses import replace
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from services.chassis.database import ApplicationDatabase, ApplicationReader
from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.search.highlights import words_of
from services.search.selection import Selection
from services.search.spelling.domain import MOST_MEANT, Dictionary
from services.search.spelling.repository import SpellingRepository

LEAST_SECONDS = 5.0
"""Seconds between two readings of the words, at least."""
SHARE = 100
"""A reading is followed by a pause of this many times as long: it costs one hundredth of a processor."""

_log = get_logger(__name__)


class Speller:
    """The words of the names in the replica, in memory, and the corrections by them.

    The dictionary is read again and again as a whole: so names that were changed or erased leave it, and nothing has
    to be kept beside the replica. A name is found by its own letters at once, and by mistyped ones after the next
    reading.
    """

    def __init__(self, application: ApplicationDatabase, repository: SpellingRepository) -> None:
        self._application = application
        self._repository = repository
        self._dictionary: Dictionary | None = None

    @property
    def ready(self) -> bool:
        """Whether the words are read; before, nothing is corrected."""
        return self._dictionary is not None

    async def learn(self) -> None:
        """Read the words; raises what the database raises."""
        async with self._application.reading() as reader:
            words = await self._repository.words(reader)
        self._dictionary = await asyncio.to_thread(Dictionary, words)

    async def keep_learning(self) -> None:
        """Read the words again and again; runs until it is cancelled."""
        fails = False
        while True:
            began = monotonic()
            try:
                await self.learn()
                fails = False
            except (SQLAlchemyError, OSError) as error:
                if not fails:
                    _log.warning("the words of names cannot be read", error=error_name(error))
                fails = True
            await asyncio.sleep(max(LEAST_SECONDS, SHARE * (monotonic() - began)))

    async def corrected(
        self, reader: ApplicationReader, selection: Selection, *, finds_few: bool | None = None
    ) -> Selection:
        """`selection`, and where it finds next to nothing the words that its rare words may stand for.

        `finds_few` is what the caller knows already of what the selection finds. A word is corrected only when it
        finds next to nothing alone, and only to words in names that the caller sees.
        """
        dictionary, caller = self._dictionary, selection.caller
        if dictionary is None or finds_few is False:
            return selection
        meant = {word: found for word in selection.filters.words if (found := _meant(word, dictionary))}
        if not meant:
            return selection
        if finds_few is None and not await self._repository.finds_few(reader, selection):
            return selection
        rare = await self._repository.rare(reader, list(meant), caller)
        candidates = list(dict.fromkeys(other for word in rare for other in meant[word]))
        if not candidates:
            return selection
        known = set(await self._repository.known(reader, candidates, caller))
        # Cut only now: hidden words that are closer must not push out those that the caller sees.
        corrections = {
            word: shown[:MOST_MEANT]
            for word in rare
            if (shown := tuple(other for other in meant[word] if other in known))
        }
        return replace(selection, corrections=corrections)


def _meant(word: str, dictionary: Dictionary) -> list[str]:
    # A word such as O'Brien is several words of a name: those are parts of other words too often.
    parts = words_of([word])
    return dictionary.meant(parts[0]) if len(parts) == 1 else []
