"""An interactive picture of a causal graph for JupyterLab, drawn by `causal_view.js`, and the same as a figure.

In go episodes and links of a memory. The reader zooms, hides weak links, and picks an episode to see what led to it,
what it led to, and the evidence for each link; everything works from the keyboard. `view.selected` is the picked
episode's id. `draw_causal` draws the picture where no kernel answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anywidget
import matplotlib.pyplot as plt
import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from lean_agentic.agentdb.records import CausalLink, Episode, LinkKind
from lean_agentic.workbench.causal_layout import Layout, Place, causal_layout
from lean_agentic.workbench.controls import PAGE_CSS
from lean_agentic.workbench.style import COLOURS

HERE = Path(__file__).parent
LABEL_LENGTH = 60
LINK_COLOURS = dict(zip(LinkKind, COLOURS, strict=False))
MOST_EPISODES = 400
"""A picture of more cannot be read; ask the memory for a part of it."""


class CausalView(anywidget.AnyWidget):
    """The causal graph of some episodes.

    Parameters
    ----------
    episodes
        At most 400 stored episodes.
    links
        Links between them; others are left out.
    min_strength
        Weaker links are hidden at first; the reader may move the limit.

    Raises
    ------
    ValueError
        There are more episodes than a picture can show.
    """

    _esm = (HERE / "causal_view.js").read_text(encoding="utf-8")
    _css = PAGE_CSS + (HERE / "causal_view.css").read_text(encoding="utf-8")

    graph = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)
    """Id of the picked episode; 0 is none."""
    min_strength = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)

    def __init__(
        self, episodes: Sequence[Episode], links: Sequence[CausalLink], *, min_strength: float = 0.0, selected: int = 0
    ) -> None:
        message = causal_message(episodes, links)
        super().__init__(graph=message, min_strength=min_strength, selected=selected)

    def __repr__(self) -> str:
        return f"CausalView({len(self.graph['episodes'])} episodes, {len(self.graph['links'])} links)"


def causal_message(episodes: Sequence[Episode], links: Sequence[CausalLink]) -> dict[str, Any]:
    """What travels to the browser: JSON values only.

    Raises
    ------
    ValueError
        There are more episodes than a picture can show.
    """
    layout = _checked_layout(episodes)
    places = {each.episode: each for each in layout.places}
    by_time = {each.id: each for each in episodes}
    return {
        "width": layout.width,
        "height": layout.height,
        "lanes": [{"name": name, "y": y} for name, y in layout.lanes],
        "episodes": [_episode_message(by_time[each.episode], each) for each in layout.places],
        "links": [_link_message(each) for each in _within(links, places)],
        "colours": {kind.value: colour for kind, colour in LINK_COLOURS.items()},
    }


def draw_causal(episodes: Sequence[Episode], links: Sequence[CausalLink], min_strength: float = 0.0) -> Figure:
    """The same picture as a matplotlib figure.

    Raises
    ------
    ValueError
        There are more episodes than a picture can show.
    """
    layout = _checked_layout(episodes)
    places = {each.episode: each for each in layout.places}
    figure, axes = plt.subplots(figsize=(min(14.0, 2 + layout.width / 90), max(2.2, layout.height / 90)))
    for name, y in layout.lanes:
        axes.axhline(y, color="0.9", zorder=0)
        axes.text(0, y - 34, name or "no session", fontsize=8, color="0.4")
    shown = [each for each in _within(links, places) if each.strength >= min_strength]
    for link in shown:
        one, other = places[link.cause], places[link.effect]
        look: dict[str, Any] = {"color": LINK_COLOURS[link.kind], "linestyle": "--" if link.inferred else "-"}
        arc = FancyArrowPatch(
            (one.x, one.y), (other.x, other.y), connectionstyle="arc3,rad=-0.25", arrowstyle="-|>", mutation_scale=9,
            linewidth=0.5 + 2.5 * link.strength, alpha=0.7, shrinkA=6, shrinkB=6, **look,
        )  # fmt: skip
        axes.add_patch(arc)
    axes.scatter([each.x for each in layout.places], [each.y for each in layout.places], s=60, color="0.25", zorder=3)
    for kind in dict.fromkeys(link.kind for link in shown):
        axes.plot([], [], color=LINK_COLOURS[kind], linestyle="-" if kind is LinkKind.GIVEN else "--", label=kind.value)
    if shown:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.set(xlim=(0, layout.width), ylim=(layout.height, 0), yticks=[], xticks=[], xlabel="time, one step an episode")
    axes.spines[:].set_visible(False)
    plt.close(figure)
    return figure


def _checked_layout(episodes: Sequence[Episode]) -> Layout:
    if len(episodes) > MOST_EPISODES:
        raise ValueError(
            f"{len(episodes)} episodes are too many for one picture: show at most {MOST_EPISODES}, "
            "for example those of one session or one trace"
        )
    return causal_layout(episodes)


def _within(links: Sequence[CausalLink], places: dict[int, Place]) -> list[CausalLink]:
    return [each for each in links if each.cause in places and each.effect in places]


def _episode_message(episode: Episode, place: Place) -> dict[str, Any]:
    text = " ".join(episode.text.split())
    return {
        "id": episode.id,
        "x": place.x,
        "y": place.y,
        "label": text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…",
        "context": episode.context,
        "action": episode.action,
        "outcome": episode.outcome,
        "session": episode.session,
        "entities": list(episode.entities),
        "time": _time_text(episode.time),
    }


def _time_text(time: float | None) -> str:
    if time is None or not math.isfinite(time):
        return ""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a time beyond the calendar
        return f"{time:g} s"


def _link_message(link: CausalLink) -> dict[str, Any]:
    evidence = {name: value if isinstance(value, str) else json.dumps(value) for name, value in link.evidence.items()}
    return {
        "cause": link.cause,
        "effect": link.effect,
        "kind": link.kind.value,
        "given": not link.inferred,
        "strength": round(link.strength, 4),
        "low": round(link.low, 4),
        "high": round(link.high, 4),
        "evidence": evidence,
    }
