"""What every chart and control shares: one look per series name, and one way to write a number.

In go names and numbers, out come colours, dashes, markers and texts. The colours are Okabe and Ito's
palette ("Color Universal Design", 2008) without its yellow and black, which vanish on a light and a dark
page. `number_format.js` writes numbers by the same rules in the browser.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lean_agentic.workbench.errors import WorkbenchError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
# Dash lengths in pixels. With more names than colours, the dash tells two series of one colour apart.
DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 2), (8, 3, 2, 3))
MARKERS = ("circle", "square", "diamond", "triangle")

NO_NUMBER = "–"
TEMPLATE = re.compile(
    r"(?P<before>[^{}]*)\{:(?P<comma>,?)\.(?P<digits>\d)(?P<kind>[fg%])\}(?P<after>[^{}]*)", re.DOTALL
)


class FormatError(WorkbenchError):
    """A number format that neither Python nor the browser side can follow."""


@dataclass(frozen=True)
class Look:
    """How one series is drawn wherever its name turns up."""

    colour: str
    dash: tuple[float, ...]
    marker: str


class Palette:
    """Gives each name a look, in the order in which names are first seen, and keeps it.

    Examples
    --------
    >>> palette = Palette()
    >>> palette.reserve("anthropic", "openrouter")
    >>> palette.look("openrouter").colour
    '#D55E00'
    """

    def __init__(self) -> None:
        self._order: dict[str, int] = {}

    def reserve(self, *names: str) -> None:
        """Fix the looks of names before the first chart shows them, so that drawing order cannot change them."""
        for name in names:
            self._order.setdefault(name, len(self._order))

    def look(self, name: str) -> Look:
        """Look of a series; the first seven names differ in colour, later ones in dash and marker too."""
        self.reserve(name)
        turn, colour = divmod(self._order[name], len(COLOURS))
        return Look(COLOURS[colour], DASHES[turn % len(DASHES)], MARKERS[turn % len(MARKERS)])


PALETTE = Palette()


@dataclass(frozen=True)
class NumberFormat:
    """Writes numbers by a template such as `"${:,.2f}"`, `"{:.0%}"`, `"{:.1f} ms"` or `"{:,.4g}"`.

    The one field is Python's, limited to what the browser side knows too: an optional comma for thousands,
    a precision, and `f` (decimals), `%` (decimals of a percentage) or `g` (significant digits, never an
    exponent). A minus sign stands before the whole text: `-$3.00`.

    Raises
    ------
    FormatError
        The template has another form.
    """

    template: str = "{:,.4g}"

    def __post_init__(self) -> None:
        if not isinstance(self.template, str) or not TEMPLATE.fullmatch(self.template):
            raise FormatError(
                f"{self.template!r} is no number format. Write text around one field such as {{:,.2f}}, {{:.0%}} "
                f"or {{:,.4g}}: '${{:,.2f}}', '{{:.1f}} ms'."
            )

    def text(self, value: float) -> str:
        """Write one number; NaN becomes a dash."""
        before, comma, digits, kind, after = self._parts()
        return self._sign(value, before, _write(abs(value), int(digits), kind, comma), after)

    def tick(self, value: float, step: float) -> str:
        """Write a number on an axis: as many decimals as a tick step needs, and no unit behind it.

        The axis label names the unit once; a currency sign or a per cent sign stays.
        """
        before, comma, _, kind, _ = self._parts()
        shown_step = step * (100 if kind == "%" else 1)
        # A step such as 0.25 needs one more decimal than its power of ten says.
        decimals = next((n for n in range(9) if abs(round(shown_step, n) - shown_step) < 1e-6 * shown_step), 9)
        return self._sign(value, before, _write(abs(value), decimals, "%" if kind == "%" else "f", comma or ","), "")

    def _parts(self) -> tuple[str, str, str, str, str]:
        match = TEMPLATE.fullmatch(self.template)
        assert match is not None  # checked when it was made
        return match["before"], match["comma"], match["digits"], match["kind"], match["after"]

    def _sign(self, value: float, before: str, digits: str, after: str) -> str:
        if math.isnan(value):
            return NO_NUMBER
        negative = value < 0 and any(digit in "123456789∞" for digit in digits)
        return f"{'-' if negative else ''}{before}{digits}{after}"


def _write(value: float, digits: int, kind: str, comma: str) -> str:
    """Digits of a non-negative number."""
    if not math.isfinite(value):
        return "∞"
    if kind != "g":
        return f"{value:{comma}.{digits}{kind}}"
    decimals = digits - 1 - (math.floor(math.log10(value)) if value > 0 else 0)
    text = f"{round(value, decimals):{comma}.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
