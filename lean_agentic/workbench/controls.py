"""Controls with a name that assistive technology, and a browser test, can find: slider, toggle and choice.

Each is a native `<input>` or `<select>` in a `<label>`, so the keyboard works as the browser's users know it,
and `get_by_role("slider", name="Budget")` finds it; ipywidgets' own sliders have no accessible name. A drag
sends its latest value only: the widget protocol holds values back while the kernel is busy and then sends the
last one, so redraws never queue up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.style import NumberFormat

HERE = Path(__file__).parent
NUMBER_FORMAT_JS = (HERE / "number_format.js").read_text(encoding="utf-8")
PAGE_CSS = (HERE / "page.css").read_text(encoding="utf-8")


class ControlError(WorkbenchError):
    """A control whose value and range do not fit each other."""


class Control(anywidget.AnyWidget):
    """What the three controls share: a visible label, which is also the accessible name, and a value."""

    _esm = NUMBER_FORMAT_JS + (HERE / "controls.js").read_text(encoding="utf-8")
    _css = PAGE_CSS

    kind = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    value: Any

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r}, value={self.value!r})"


class Slider(Control):
    """A number between two ends. See `slider`."""

    value = traitlets.Float().tag(sync=True)
    min = traitlets.Float().tag(sync=True)
    max = traitlets.Float().tag(sync=True)
    step = traitlets.Float().tag(sync=True)
    format = traitlets.Unicode().tag(sync=True)

    @traitlets.validate("value")
    def _inside(self, proposal: dict[str, Any]) -> float:
        value = float(proposal["value"])
        if not self.min <= value <= self.max:
            raise ControlError(f"{self.label}: {value} lies outside {self.min} to {self.max}.")
        return value


class Toggle(Control):
    """On or off. See `toggle`."""

    value = traitlets.Bool().tag(sync=True)


class Choice(Control):
    """One of a few named options. See `choice`."""

    value = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)

    @traitlets.validate("value")
    def _known(self, proposal: dict[str, Any]) -> str:
        value = str(proposal["value"])
        if value not in self.options:
            raise ControlError(f"{self.label}: {value!r} is none of {', '.join(self.options)}.")
        return value


def slider(
    label: str, value: float, min: float, max: float, step: float | None = None, *, format: str = "{:,.4g}"
) -> Slider:
    """Make a slider.

    Parameters
    ----------
    label
        Visible text and accessible name.
    value, min, max
        In the unit that `format` names, `min <= value <= max`.
    step
        Distance of two values; a hundredth of the range by default. Page Up and Page Down move ten.
    format
        How the value is written and spoken, for example `"${:,.2f}"`; see `style.NumberFormat`.

    Raises
    ------
    ControlError
        Ends, value and step do not fit each other.
    FormatError
        `format` has an unknown form.
    """
    step = (max - min) / 100 if step is None else step
    if not (all(map(math.isfinite, (value, min, max, step))) and min < max and min <= value <= max and step > 0):
        raise ControlError(
            f"{label}: a slider needs min < max, min <= value <= max and a step above 0; got min={min}, max={max}, "
            f"value={value}, step={step}."
        )
    NumberFormat(format)
    return Slider(kind="slider", label=label, min=min, max=max, step=step, format=format, value=value)


def toggle(label: str, value: bool = False) -> Toggle:
    """Make an on-off switch; `label` is its visible text and accessible name."""
    return Toggle(kind="toggle", label=label, value=value)


def choice(label: str, options: Sequence[str], value: str | None = None) -> Choice:
    """Make a drop-down list of `options`; the first is chosen unless `value` names another.

    Raises
    ------
    ControlError
        No options, two equal ones, or `value` is none of them.
    """
    if not options or len(set(options)) < len(options):
        raise ControlError(f"{label}: a choice needs at least one option and no two equal ones; got {list(options)}.")
    return Choice(kind="choice", label=label, options=list(options), value=options[0] if value is None else value)
