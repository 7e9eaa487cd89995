"""LoCoMo: how much of the evidence for questions about long conversations the memory recalls.

In: a file in LoCoMo's format (`locomo_dev.json`, 5 of its 10 conversations; evaluation only, CC-BY-NC-4.0). Every turn
becomes an episode (`Speaker: text`, with the caption of a shared picture), under its speaker as entity, its session and
that session's date; each conversation is a tenant. Every question is asked through the memory's own `recall`. Out: a
table of the share of evidence turns among the first k, for parts of the ranking alone, for the ranking as it is, and
for weights fitted to the other conversations. The data's `query` field holds search strings of its makers and is never
stored.

Paper: Maharana et al. 2024, "Evaluating Very Long-Term Conversational Memory of LLM Agents".
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.minilm import MiniLM
from lean_agentic.agentdb.ranking import Part, Weights
from lean_agentic.agentdb.recall import Recall
from lean_agentic.agentdb.records import Episode, Provenance
from lean_agentic.agentdb.store import Store
from lean_agentic.workbench.datasets import DATA_VARIABLE, DatasetError, data_folders
from lean_agentic.workbench.memory_weights import fit_weights
from lean_agentic.workbench.project import find_project

FILE = "locomo_dev.json"
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_DATE = "%I:%M %p on %d %B, %Y"
_EVIDENCE = re.compile(r"D:?(\d+):0*(\d+)")


def _only(*parts: Part) -> Weights:
    every = {part.value: 0.0 for part in Part}
    return Weights(**every | {part.value: getattr(Weights(), part.value) for part in parts})


RANKINGS: Mapping[str, Weights] = {
    "dense only": _only(Part.SIMILARITY),
    "BM25 only": _only(Part.TEXT),
    "dense + BM25": _only(Part.SIMILARITY, Part.TEXT),
    "all parts": Weights(),
}
FITTED = "all parts, weights from the other conversations"


@dataclass(frozen=True)
class Question:
    """A question, and the turns that hold its answer."""

    text: str
    evidence: tuple[str, ...]
    """Ids of turns, `D3:12`; those the conversation does not have are left out."""
    category: str


@dataclass(frozen=True)
class Conversation:
    """Turns as episodes, by the ids of the data, and questions about them."""

    name: str
    turns: Mapping[str, Episode]
    questions: tuple[Question, ...]


def load_conversations(path: Path | None = None) -> list[Conversation]:
    """The conversations of a file; by default `locomo_dev.json` in the data folders.

    Raises DatasetError where the file is missing or of another format.
    """
    path = path or _default_path()
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list) or not entries:
            raise TypeError("expected a list of conversations")
        return [_conversation(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not in LoCoMo's format: {error!r}") from error


def evaluate(
    conversations: Sequence[Conversation], embedding: Embedding | None = None, *, k: int = 10, fitted: bool = True
) -> pd.DataFrame:
    """Recall of evidence for each ranking.

    Parameters
    ----------
    embedding
        MiniLM by default.
    fitted
        Also fit weights to all conversations but one, for each one, and judge them on that one. Needs at least two.

    Returns
    -------
    DataFrame
        A row for each ranking: `recall` (mean over the questions of the share of their evidence turns among the first
        k), `any` (share of questions with at least one), `questions` (those with evidence), `ms` (median milliseconds
        of a recall in a batch, embedding included), the recall by category, and by conversation.
    """
    answers = _answers(conversations, embedding or MiniLM())
    rows = {name: _row(answers, [weights] * len(answers), k) for name, weights in RANKINGS.items()}
    if fitted and len(conversations) > 1:
        by_name = _fitted(answers)
        rows[FITTED] = _row(answers, [by_name[name] for name in answers["conversation"]], k)
    return pd.DataFrame(rows).T


def _answers(conversations: Sequence[Conversation], embedding: Embedding) -> pd.DataFrame:
    """A row for each question with evidence: its recall's trace and time, and what was right.

    A trace ranks anew under any weights, so that each question is asked once.
    """
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "memory.db") as store:
        ids = [_remember(store, each, embedding) for each in conversations]
        with IndexSync(store, IndexFactory(HnswIndex, HnswIndex.load), Path(folder) / "index") as index:
            recall = Recall(store, index, embedding)
            return pd.concat([_ask(recall, each, known) for each, known in zip(conversations, ids, strict=True)])


def _default_path() -> Path:
    folders = data_folders(find_project())
    found = [folder / FILE for folder in folders if (folder / FILE).is_file()]
    if not found:
        raise DatasetError(
            f"{FILE} is in none of {[str(folder) for folder in folders]}: take conversations of locomo10.json from "
            f"https://github.com/snap-research/locomo (CC-BY-NC-4.0) and set {DATA_VARIABLE} to their folder"
        )
    return found[0]


def _conversation(entry: Mapping[str, Any]) -> Conversation:
    turns: dict[str, Episode] = {}
    talk = entry["conversation"]
    numbers = sorted(int(key.split("_")[1]) for key, value in talk.items() if isinstance(value, list))
    for number in numbers:
        session = f"session_{number}"
        start = datetime.strptime(talk[f"{session}_date_time"].upper(), _DATE).replace(tzinfo=UTC).timestamp()
        for turn in talk[session]:
            turns[turn["dia_id"]] = _episode(turn, entry["sample_id"], session, start)
    return Conversation(entry["sample_id"], turns, tuple(_question(question, turns) for question in entry["qa"]))


def _episode(turn: Mapping[str, str], tenant: str, session: str, time: float) -> Episode:
    caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
    return Episode(
        f"{turn['speaker']}: {turn['text']}{caption}",
        entities=(turn["speaker"],),
        time=time,
        tenant=tenant,
        session=session,
        provenance=Provenance("LoCoMo", "imported", detail={"turn": turn["dia_id"]}),
    )


def _question(question: Mapping[str, Any], turns: Mapping[str, Episode]) -> Question:
    named = [f"D{day}:{turn}" for each in question["evidence"] for day, turn in _EVIDENCE.findall(each)]
    evidence = tuple(dict.fromkeys(each for each in named if each in turns))
    return Question(question["question"], evidence, CATEGORIES[question["category"]])


def _remember(store: Store, conversation: Conversation, embedding: Embedding) -> dict[str, int]:
    """Store the turns; their records' ids by the data's."""
    turns = list(conversation.turns.values())
    return dict(zip(conversation.turns, store.add(turns, embedding.embed([turn.text for turn in turns])), strict=True))


def _ask(recall: Recall, conversation: Conversation, ids: Mapping[str, int]) -> pd.DataFrame:
    """Ask all questions of a conversation; not noted, so that none is answered better for another asked before."""
    questions = [question for question in conversation.questions if question.evidence]
    results = recall.recall_batch([each.text for each in questions], tenant=conversation.name, note=False)
    return pd.DataFrame(
        {
            "conversation": conversation.name,
            "category": [question.category for question in questions],
            "right": [{ids[turn] for turn in question.evidence} for question in questions],
            "trace": [result.trace for result in results],
            "ms": [result.timings.total for result in results],
        }
    )


def _fitted(answers: pd.DataFrame) -> dict[str, Weights]:
    """For each conversation, the weights that fit all others."""
    weights = {}
    for name in answers["conversation"].unique():
        others = answers[answers["conversation"] != name]
        weights[name] = fit_weights(list(zip(others["trace"], others["right"], strict=True)))
    return weights


def _row(answers: pd.DataFrame, weights: Sequence[Weights], k: int) -> pd.Series[Any]:
    """The summary of what a ranking finds, with weights for each question."""
    traces = [replace(trace, weights=each, k=k) for trace, each in zip(answers["trace"], weights, strict=True)]
    found = [{record_id for record_id, _ in trace.replay()} for trace in traces]
    shares = [len(right & ids) / len(right) for right, ids in zip(answers["right"], found, strict=True)]
    judged = answers.assign(recall=shares)
    summary: dict[str, float] = {
        "recall": judged["recall"].mean(),
        "any": (judged["recall"] > 0).mean(),
        "questions": len(judged),
        "ms": judged["ms"].median(),
    }
    for column in ("category", "conversation"):
        means = judged.groupby(column, sort=True)["recall"].mean()
        summary |= {str(name): float(value) for name, value in means.items()}
    return pd.Series(summary)
