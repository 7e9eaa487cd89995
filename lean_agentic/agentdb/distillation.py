"""From contrasts to patterns: what to do and what to avoid, merged where they say the same, retired when they turn.

In: the trajectories of one task type and the patterns known so far. Out: the patterns to add and to replace. A pure
function of both: run again on its own result it changes nothing, and the order of trajectories does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.action_roles import RoleOf, role_of
from lean_agentic.agentdb.contrast import Contrast, MiningSettings, contrast_of, mine_contrasts
from lean_agentic.agentdb.judges import JudgeError
from lean_agentic.agentdb.pattern_records import move_of, pattern_of, with_figures
from lean_agentic.agentdb.records import Pattern, Trajectory

Similarity = Callable[[Sequence[str]], npt.NDArray[np.floating]]
"""From n texts to their (n, n) cosine similarities."""
Rephrase = Callable[[str], str]
"""From a question to a model's answer: a lane."""
SAME_FOLLOWERS = 0.9
"""Moves that this share of their followers have in common are one (Jaccard)."""
SAME_TEXT = 0.9
SAME_TEXT_FOLLOWERS = 0.5
"""Patterns whose texts are this similar are one where they share that many followers too: `a before b` and `b before a`
read much alike."""
MOST_NAMED = 5


@dataclass(frozen=True)
class Distilled:
    """What a run of distillation found."""

    added: tuple[Pattern, ...] = ()
    """New patterns, without ids."""
    changed: tuple[Pattern, ...] = ()
    """Known patterns whose figures are others now, those retired or back among them."""
    retired: tuple[int, ...] = ()
    """Ids of changed ones that are retired now and were not."""
    revived: tuple[int, ...] = ()
    """Ids of changed ones that were retired and are not now."""
    unchanged: int = 0
    merged: int = 0
    """Discoveries told by another that says the same."""
    tested: int = 0
    """Moves tested."""

    @property
    def news(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.changed)


@dataclass(frozen=True)
class _Kept:
    """A discovery that is told, and those that it stands for."""

    contrast: Contrast
    known: Pattern | None
    also: list[Contrast] = field(default_factory=list)


def distil_patterns(
    trajectories: Sequence[Trajectory],
    known: Sequence[Pattern] = (),
    settings: MiningSettings | None = None,
    *,
    similarity: Similarity | None = None,
    rephrase: Rephrase | None = None,
    roles: RoleOf = role_of,
) -> Distilled:
    """Distil patterns from trajectories of one task type and tenant.

    Parameters
    ----------
    known
        All patterns of that task type so far, the retired ones too.
    similarity
        Of texts; without it patterns are merged by their actions and followers alone.
    rephrase
        May put the content of new patterns in better words.

    Raises
    ------
    JudgeError
        The trajectories are of several task types or tenants.
    """
    if len({(each.task_type, each.tenant) for each in trajectories}) > 1:
        raise JudgeError("patterns are distilled from the trajectories of one task type and one tenant at a time")
    settings = settings or MiningSettings()
    ordered = sorted(trajectories, key=lambda each: (each.group, each.id, repr(each.steps)))
    contrasts = mine_contrasts(ordered, settings, roles)
    found = [each for each in contrasts if each.q_value <= settings.false_discoveries and each.difference]
    kept = _merge(found, known, ordered, similarity)
    added = [_told(each, ordered) for each in kept if each.known is None]
    changed = [*_updated(kept, ordered), *_reexamined(kept, known, ordered, settings, roles)]
    before = {pattern.id: pattern for pattern in known}
    return Distilled(
        tuple(_rephrased(pattern, rephrase) for pattern in added),
        tuple(pattern for pattern in changed if pattern != before[pattern.id]),
        tuple(pattern.id for pattern in changed if pattern.retired and not before[pattern.id].retired),
        tuple(pattern.id for pattern in changed if not pattern.retired and before[pattern.id].retired),
        sum(pattern == before[pattern.id] for pattern in changed),
        len(found) - len(kept),
        len(contrasts),
    )


def _merge(
    found: Sequence[Contrast], known: Sequence[Pattern], ordered: Sequence[Trajectory], similarity: Similarity | None
) -> list[_Kept]:
    """Discoveries of which no two say the same; known ones come first, then the surer ones."""
    by_move = {(move_of(pattern), pattern.avoid): pattern for pattern in sorted(known, key=lambda each: -each.id)}
    pairs = [(each, by_move.get((each.move, not each.helps))) for each in found]
    pairs.sort(key=lambda pair: pair[1] is None or pair[1].retired)
    alike = _alike_by_text([pattern_of(each, ordered, avoid=not each.helps).text for each, _ in pairs], similarity)
    kept: list[tuple[int, _Kept]] = []
    for place, (contrast, pattern) in enumerate(pairs):
        teller = next((one for at, one in kept if _same(one.contrast, contrast, alike[at, place])), None)
        if teller is None:
            kept.append((place, _Kept(contrast, pattern)))
        else:
            teller.also.append(contrast)
    return [one for _, one in kept]


def _alike_by_text(texts: Sequence[str], similarity: Similarity | None) -> npt.NDArray[np.floating]:
    if similarity is None or not texts:
        return np.zeros((len(texts), len(texts)))
    return similarity(texts)


def _same(first: Contrast, second: Contrast, text_similarity: float) -> bool:
    ours, theirs = set(first.places), set(second.places)
    shared = len(ours & theirs) / len(ours | theirs)
    by_text = text_similarity >= SAME_TEXT and shared >= SAME_TEXT_FOLLOWERS
    return first.helps is second.helps and (shared >= SAME_FOLLOWERS or by_text)


def _told(one: _Kept, ordered: Sequence[Trajectory]) -> Pattern:
    pattern = pattern_of(one.contrast, ordered, avoid=not one.contrast.helps)
    return _with_companions(pattern, one, ordered)


def _updated(kept: Sequence[_Kept], ordered: Sequence[Trajectory]) -> list[Pattern]:
    """Known patterns that were found again: in use, with today's figures."""
    return [
        _with_companions(replace(_refigured(each.known, each.contrast, ordered), retired=False), each, ordered)
        for each in kept
        if each.known is not None
    ]


def _with_companions(pattern: Pattern, one: _Kept, ordered: Sequence[Trajectory]) -> Pattern:
    if not one.also:
        return pattern
    titles = sorted(pattern_of(each, ordered, avoid=not each.helps).title for each in one.also)
    return replace(pattern, metadata={**pattern.metadata, "also": titles[:MOST_NAMED]})


def _refigured(pattern: Pattern, contrast: Contrast, ordered: Sequence[Trajectory]) -> Pattern:
    return with_figures(pattern, contrast, [ordered[place] for place in contrast.places])


def _reexamined(
    kept: Sequence[_Kept],
    known: Sequence[Pattern],
    ordered: Sequence[Trajectory],
    settings: MiningSettings,
    roles: RoleOf,
) -> list[Pattern]:
    """Known patterns that were not found again: kept in use while the evidence still points their way."""
    found = {each.known.id for each in kept if each.known is not None}
    examined = []
    for pattern in known:
        move = move_of(pattern)
        if move is None or pattern.id in found:
            continue
        contrast = contrast_of(move, ordered, settings, roles)
        teller = next((each for each in kept if _same(each.contrast, contrast, 0.0)), None) if contrast.places else None
        refigured = _refigured(pattern, contrast, ordered)
        if teller is not None:
            refigured = replace(refigured, metadata={**refigured.metadata, "merged into": _told(teller, ordered).title})
        retired = pattern.retired or teller is not None or has_turned(refigured, contrast)
        examined.append(replace(refigured, retired=retired))
    return examined


def has_turned(pattern: Pattern, contrast: Contrast) -> bool:
    """Whether evidence no longer speaks for a pattern.

    Nothing is left of it, its effect has changed sign, or the whole interval of the success rate lies on the wrong side
    of the base rate.
    """
    if not contrast.support or not contrast.others:
        return True
    if pattern.avoid:
        return contrast.difference >= 0 or pattern.success_low > pattern.base_rate
    return contrast.difference <= 0 or pattern.success_high < pattern.base_rate


def _rephrased(pattern: Pattern, rephrase: Rephrase | None) -> Pattern:
    if rephrase is None:
        return pattern
    answer = rephrase(
        "Put this advice to an agent in one or two plain sentences. Keep every name in it as it is, add nothing. "
        f"Answer with the sentences alone.\n\n{pattern.content}"
    ).strip()
    missing = [action for action in pattern.actions if action not in answer]
    if missing:
        raise JudgeError(f"the rephrased advice lacks {', '.join(missing)}: {answer!r:.200}")
    return replace(pattern, content=answer)
