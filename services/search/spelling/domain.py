"""Which words of a dictionary a mistyped word may stand for. Plain Python; the distances are rapidfuzz's.

A typing error is a letter too much, too little or wrong, or two neighbours exchanged: the optimal string alignment
distance (Damerau 1964). Words under SHORT letters have too many neighbours to be corrected.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

SHORT = 4
"""Letters from which on a word may have one typing error."""
LONG = 8
"""Letters from which on a word may have two."""
FEW = 3
"""A word that finds as many applications as this is no typing error."""
MOST_MEANT = 5
"""Words that a mistyped word stands for at most: more would find anybody."""
MOST_NEAR = 50
"""Words of the dictionary that are compared with what the caller sees."""


def typing_errors(word: str) -> int:
    """How many typing errors `word` may have."""
    return 0 if len(word) < SHORT else 1 if len(word) < LONG else 2


class Dictionary:
    """Distinct words, by length: a word with n typing errors is at most n letters longer or shorter."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        """`words` are normalised."""
        by_length: defaultdict[int, list[str]] = defaultdict(list)
        for word in sorted(set(words)):
            by_length[len(word)].append(word)
        self._by_length = dict(by_length)

    def __len__(self) -> int:
        return sum(map(len, self._by_length.values()))

    def meant(self, word: str) -> list[str]:
        """The words that `word`, normalised, may stand for, the closest first, at most MOST_NEAR.

        A word that begins with `word` is none of them: it is found without a correction.
        """
        most = typing_errors(word)
        if not most:
            return []
        near: list[tuple[int, float, str]] = []
        for length in range(len(word) - most, len(word) + most + 1):
            words: Sequence[str] = self._by_length.get(length, ())
            found = process.extract(word, words, scorer=OSA.distance, score_cutoff=most, limit=None)
            near += [
                (int(distance), -JaroWinkler.similarity(word, other), other)
                for other, distance, _ in found
                if not other.startswith(word)
            ]
        return [other for _, _, other in sorted(near)[:MOST_NEAR]]
