"""What consolidation costs and saves: live vectors, and recall of evidence, before and after, on LoCoMo.

In: conversations (`memory_locomo.load_conversations`). Out: for each, the live vectors and the recall of evidence
turns among the first k, before and after one consolidation long after the last turn, so that every turn is weak. A hit
may be a fact then, which stands for several turns, and is counted in two ways:

- `strict`: it is read out into the turns it cites, in the order of its sources, each of which takes one of the k
  places (one that is shown already takes none). The reader sees k turns, as before.
- `one place`: it takes one place and counts as all the turns it cites. The reader sees k records, of more turns
  (`turns shown`).

Turns that a fact names in its provenance only, because they say next to nothing, count as lost in both.

    python -m lean_agentic.workbench.memory_consolidation
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lean_agentic.agentdb.consolidation import Consolidation
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy
from lean_agentic.agentdb.consolidation_report import ConsolidationReport
from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.embedding_cache import EmbeddingCache
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.minilm import MiniLM
from lean_agentic.agentdb.recall import Recall
from lean_agentic.agentdb.records import Fact, Record
from lean_agentic.agentdb.store import Store
from lean_agentic.workbench.memory_locomo import Conversation, load_conversations

LATER = 365 * 86400.0
"""Seconds after the last turn at which is consolidated."""
LEAST_SAVED, MOST_LOST = 0.30, 0.01
"""The target: share of live vectors saved, and recall lost at most."""
ABSORBED = (0.6, 0.7, 0.8, 0.9)
"""Values of `absorb_below` among which `held_out` chooses."""


@dataclass(frozen=True)
class Shown:
    """The turns that a recall shows, counted in both ways, as ids of episodes."""

    strict: tuple[int, ...]
    one_place: tuple[int, ...]


def shown(hits: Sequence[Record], k: int) -> Shown:
    """What the first k hits show; see the module."""
    turns: dict[int, None] = {}
    for hit in hits[:k]:
        turns |= dict.fromkeys(hit.sources if isinstance(hit, Fact) else (hit.id,))
    every = tuple(turns)
    return Shown(every[:k], every)


def measure(
    conversations: Sequence[Conversation],
    policy: ConsolidationPolicy | None = None,
    embedding: Embedding | None = None,
    *,
    k: int = 10,
) -> pd.DataFrame:
    """Consolidate each conversation by itself and ask its questions before and after.

    Returns
    -------
    DataFrame
        A row for each conversation, and `all`: `questions` (with evidence), `before` and `after` (live vectors),
        `saved` (share), `recall` (before), `strict` and `one place` (after), `turns shown` (mean, counting one place),
        `facts`, `seconds`. In `all`, recall is the mean over all questions.
    """
    cached = EmbeddingCache(embedding or MiniLM())
    rows = {each.name: _measured(each, policy or ConsolidationPolicy(), cached, k) for each in conversations}
    frame = pd.DataFrame(rows).T
    return pd.concat([frame, _overall(frame).to_frame("all").T])


def meets_target(row: Mapping[str, float]) -> bool:
    """Whether enough vectors are saved, and little enough recall lost, counted strictly."""
    return row["saved"] >= LEAST_SAVED and row["recall"] - row["strict"] <= MOST_LOST


def held_out(
    conversations: Sequence[Conversation],
    embedding: Embedding | None = None,
    *,
    absorbed: Sequence[float] = ABSORBED,
    k: int = 10,
) -> pd.DataFrame:
    """As `measure`, each conversation under the policy that does best on all others; `absorb_below` names it.

    Best: the highest strict recall among those that save enough on the others, or the most saving where none does.
    """
    cached = EmbeddingCache(embedding or MiniLM())
    frames = {
        value: measure(conversations, ConsolidationPolicy(absorb_below=value), cached, k=k).drop(index="all")
        for value in absorbed
    }
    rows = {}
    for each in conversations:
        others = {value: _overall(frame.drop(index=each.name)) for value, frame in frames.items()}
        chosen = max(absorbed, key=lambda value: _merit(others[value]))
        rows[each.name] = pd.concat([frames[chosen].loc[each.name], pd.Series({"absorb_below": chosen})])
    frame = pd.DataFrame(rows).T
    return pd.concat([frame, _overall(frame).to_frame("all").T])


def _merit(row: pd.Series[float]) -> tuple[bool, float]:
    enough = bool(row["saved"] >= LEAST_SAVED)
    return enough, float(row["strict"] if enough else row["saved"])


def _measured(
    conversation: Conversation, policy: ConsolidationPolicy, embedding: Embedding, k: int
) -> pd.Series[float]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(Store(folder / "memory.db"))
        ids = _remember(store, conversation, embedding)
        factory = IndexFactory(HnswIndex, HnswIndex.load)
        index = stack.enter_context(IndexSync(store, factory, folder / "index"))
        recall = Recall(store, index, embedding)
        before, *_ = _asked(recall, conversation, ids, k)
        last = max(turn.time or 0.0 for turn in conversation.turns.values())
        report = Consolidation(store, index, embedding, policy).run(now=last + LATER)
        _, strict, one_place, turns = _asked(recall, conversation, ids, k)
    return pd.Series(_row(conversation, report, before, strict, one_place, turns))


def _row(
    conversation: Conversation,
    report: ConsolidationReport,
    before: float,
    strict: float,
    one_place: float,
    turns: float,
) -> dict[str, float]:
    return {
        "questions": sum(bool(question.evidence) for question in conversation.questions),
        "before": report.live_before,
        "after": report.live_after,
        "saved": report.saved,
        "recall": before,
        "strict": strict,
        "one place": one_place,
        "turns shown": turns,
        "facts": report.facts,
        "seconds": report.seconds,
    }


def _remember(store: Store, conversation: Conversation, embedding: Embedding) -> dict[str, int]:
    """Store the turns; their records' ids by the data's."""
    # The data dates sessions only; a fact keeps the place of its turns by time.
    turns = [replace(turn, time=(turn.time or 0.0) + place) for place, turn in enumerate(conversation.turns.values())]
    return dict(zip(conversation.turns, store.add(turns, embedding.embed([turn.text for turn in turns])), strict=True))


def _asked(
    recall: Recall, conversation: Conversation, ids: Mapping[str, int], k: int
) -> tuple[float, float, float, float]:
    """Mean recall of the hits themselves, strict, and by one place; and the mean number of turns shown by the last."""
    rows = []
    for question in conversation.questions:
        if question.evidence:
            right = {ids[turn] for turn in question.evidence}
            # Not noted: no question may be answered better because another was asked before.
            hits = recall.recall(question.text, k, tenant=conversation.name, note=False).records
            found = shown(hits, k)
            shares = [
                len(right & set(turns)) / len(right) for turns in ([h.id for h in hits], found.strict, found.one_place)
            ]
            rows.append((*shares, len(found.one_place)))
    means = pd.DataFrame(rows).mean()
    return float(means[0]), float(means[1]), float(means[2]), float(means[3])


def _overall(frame: pd.DataFrame) -> pd.Series[float]:
    """Sums, and means over all questions."""
    total = frame[["questions", "before", "after", "facts", "seconds"]].sum()
    weight = frame["questions"] / total["questions"]
    means = frame[["recall", "strict", "one place", "turns shown"]].mul(weight, axis=0).sum()
    overall = pd.concat([total, means, pd.Series({"saved": 1 - total["after"] / total["before"]})])
    ordered: pd.Series[float] = overall.reindex([name for name in frame.columns if name in overall.index])
    return ordered.astype(float)


def main() -> None:
    """Measure the default policy on all conversations, and print the table."""
    frame = measure(load_conversations())
    print(frame.astype(float).round(4).to_string())
    overall = {name: float(frame[name].to_numpy(float)[-1]) for name in ("saved", "recall", "strict")}
    print("target met" if meets_target(overall) else "target missed")


if __name__ == "__main__":
    main()
