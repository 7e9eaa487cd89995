"""How much a text says: the rarity of its words, summed over the words that differ.

A word weighs ln((n + 1) / d) where d of the n texts hold it (inverse document frequency, Spärck Jones 1972), so that
greetings, acknowledgements and the words of every sentence weigh little in any language, without a list of stop words.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Set

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+|\n+")


def words(text: str) -> set[str]:
    """The different words of a text, case folded."""
    return set(_WORD.findall(text.casefold()))


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without those that are empty."""
    return [part for piece in _SENTENCE.split(text) if (part := piece.strip())]


class WordWeights:
    """Weights of words by the texts that hold them.

    Examples
    --------
    >>> weights = WordWeights(["thanks, see you", "thanks a lot", "the pump of line 4 leaks"])
    >>> weights.mass("thanks!") < weights.mass("pump")
    True
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = 0
        self._holding: Counter[str] = Counter()
        for text in texts:
            self.texts += 1
            self._holding.update(words(text))

    def weight(self, word: str) -> float:
        """Of one word, case folded; a word of none of the texts weighs as much as one of a single text."""
        return math.log((self.texts + 1) / max(1, self._holding[word]))

    def total(self, some: Iterable[str]) -> float:
        """Sum of the weights; the same for the same words in any order."""
        return math.fsum(self.weight(word) for word in some)

    def mass(self, text: str) -> float:
        """How much a text says."""
        return self.total(words(text))

    def coverage(self, text: str, said: Collection[str]) -> float:
        """The share of a text's mass, 0 to 1, that lies in words already said; 1 for a text without words."""
        own = words(text)
        whole = self.total(own)
        return self.total(own & _as_set(said)) / whole if whole else 1.0


def _as_set(some: Collection[str]) -> Set[str]:
    return some if isinstance(some, Set) else set(some)
