"""Working memory: the last interactions, in front of the store, as text that fits a limit of tokens.

What falls out at the far end is handed on as an episode, so that nothing is lost between the two memories:

    memory = WorkingMemory(lambda episodes: store.add(episodes, embedding.embed([e.text for e in episodes])))
    memory.add(Interaction("user", "the pump leaks"))
    prompt = memory.context()

It lives in the process. After a crash the interactions that had not been handed on are gone; with `write_through` each
is handed on when it comes, and none is, except one that was being handed on. `close` hands on what is left.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from lean_agentic.agentdb.records import Episode, Provenance

CAPACITY = 50
TOKENS = 4000
CHARACTERS_A_TOKEN = 4
"""Of English text with the tokenizers of today; code and other languages take more tokens, up to one a character."""


def estimated_tokens(text: str) -> int:
    """A token for every four ASCII characters begun, and one for every other character.

    Close for English, on the safe side for other scripts. Give the tokenizer of your model where it must be exact.
    """
    plain = sum(character.isascii() for character in text)
    return math.ceil(plain / CHARACTERS_A_TOKEN) + len(text) - plain


@dataclass(frozen=True)
class Interaction:
    """One thing said or done."""

    speaker: str
    text: str
    time: float | None = None
    """Unix seconds; the time of adding where not given."""
    entities: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """As it stands in the context, and in the episode."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


class WorkingMemory:
    """The last interactions of one session. Safe to use from several threads.

    Parameters
    ----------
    keep : list of Episode -> anything
        Stores what is evicted, the oldest first; called with the memory locked, so that the order holds. Where it
        raises, the interactions stay, and are handed on with the next ones.
    capacity : int
        Interactions that are held.
    most_tokens : int
        Of the context.
    count_tokens : str -> int
        The tokens of a text.
    tenant, session : str
        Of the episodes.
    write_through : bool
        Hand each interaction on at once rather than when it is evicted.
    """

    def __init__(
        self,
        keep: Callable[[Sequence[Episode]], object],
        *,
        capacity: int = CAPACITY,
        most_tokens: int = TOKENS,
        count_tokens: Callable[[str], int] = estimated_tokens,
        tenant: str = "default",
        session: str = "",
        write_through: bool = False,
    ) -> None:
        if capacity < 1 or most_tokens < 1:
            raise ValueError(f"capacity and most_tokens are 1 or more, got {capacity} and {most_tokens}")
        self.capacity = capacity
        self.most_tokens = most_tokens
        self.tenant = tenant
        self.session = session
        self.write_through = write_through
        self._keep = keep
        self._count_tokens = count_tokens
        self._held: deque[Interaction] = deque()
        self._kept = 0
        """How many of those held, the oldest, were handed on already."""
        self._lock = threading.RLock()

    def add(self, interaction: Interaction) -> None:
        """Take in the newest interaction, and hand on what there is no place for any more.

        Raises whatever `keep` raises; the interaction is held all the same.
        """
        timed = interaction if interaction.time is not None else replace(interaction, time=time.time())
        with self._lock:
            self._held.append(timed)
            excess = len(self._held) - self.capacity
            self._hand_on(len(self._held) if self.write_through else excess)
            for _ in range(excess):
                self._held.popleft()
                self._kept -= 1

    def context(self, most_tokens: int | None = None) -> str:
        """The newest interactions that fit, a line each in the order of time.

        Whole ones only, except that the newest is cut at its beginning where it alone is too long.
        """
        limit = self.most_tokens if most_tokens is None else most_tokens
        lines: list[str] = []
        for interaction in reversed(self.interactions()):
            longer = [interaction.line, *lines]
            if self._count_tokens("\n".join(longer)) > limit:
                break
            lines = longer
        else:
            return "\n".join(lines)
        return "\n".join(lines) if lines else self._tail(interaction.line, limit)

    def interactions(self) -> list[Interaction]:
        """What is held, the oldest first."""
        with self._lock:
            return list(self._held)

    def flush(self) -> None:
        """Hand on whatever was not yet; it stays in the context."""
        with self._lock:
            self._hand_on(len(self._held))

    def close(self) -> None:
        """Hand on whatever was not yet, and forget it here."""
        with self._lock:
            self.flush()
            self._held.clear()
            self._kept = 0

    def __len__(self) -> int:
        return len(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        with self._lock:
            return f"WorkingMemory({len(self._held)} of {self.capacity} interactions, {self._kept} stored already)"

    def _hand_on(self, upto: int) -> None:
        """The oldest so many, as far as they were not."""
        waiting = [self._held[at] for at in range(self._kept, upto)]
        if waiting:
            self._keep([self._episode(each) for each in waiting])
            self._kept = upto

    def _episode(self, interaction: Interaction) -> Episode:
        return Episode(
            context=interaction.line,
            entities=interaction.entities,
            time=interaction.time,
            tenant=self.tenant,
            session=self.session,
            metadata=interaction.metadata,
            provenance=Provenance(interaction.speaker or "unknown", "said"),
        )

    def _tail(self, line: str, limit: int) -> str:
        """The longest end of a line that fits, by bisection."""
        low, high = 0, len(line)
        while low < high:
            middle = (low + high + 1) // 2
            if self._count_tokens(line[len(line) - middle :]) <= limit:
                low = middle
            else:
                high = middle - 1
        return line[len(line) - low :]
