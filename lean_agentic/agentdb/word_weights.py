"""How much a text says: the rarity of its words, summed over the words that differ.

A word weighs ln((n + 1) / d) where d of the n texts hold it (inverse document frequency, Spärck Jones 1972), so that
greetings, acknowledgements and the words of every sentence weigh little in any language, without a list of stop words.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Set
from statistics import median

QUESTION = 0.25
"""What a word counts that is only asked: a question tells little, its answer does."""
_ASKING = ("?", "？", "؟")
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<=[.!?…。！？؟])\s+|\n+")


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
        known = list(texts)
        self.texts = len(known)
        self._holding: Counter[str] = Counter()
        for text in known:
            self._holding.update(words(text))
        self.typical: float = median(self.information(text) for text in known) if known else 0.0
        """The median of what the texts tell (`information`)."""

    def weight(self, word: str) -> float:
        """Of one word, case folded; a word of none of the texts weighs as much as one of a single text."""
        return math.log((self.texts + 1) / max(1, self._holding[word]))

    def total(self, some: Iterable[str]) -> float:
        """Sum of the weights; the same for the same words in any order."""
        return math.fsum(self.weight(word) for word in some)

    def mass(self, text: str) -> float:
        """How much a text says."""
        return self.total(words(text))

    def information(self, text: str) -> float:
        """How much a text tells: the sum of its words' squared weights; a word that is only asked counts QUESTION.

        Without questions that is the squared length of the text's tf-idf vector: what a perfect match is worth.
        """
        told: dict[str, float] = {}
        for sentence in sentences(text):
            share = QUESTION if sentence.endswith(_ASKING) else 1.0
            for word in words(sentence):
                told[word] = max(told.get(word, 0.0), share * self.weight(word) ** 2)
        return math.fsum(told.values())

    def coverage(self, text: str, said: Collection[str]) -> float:
        """The share of a text's mass, 0 to 1, that lies in words already said; 1 for a text without words."""
        own = words(text)
        whole = self.total(own)
        return self.total(own & _as_set(said)) / whole if whole else 1.0


def _as_set(some: Collection[str]) -> Set[str]:
    return some if isinstance(some, Set) else set(some)
