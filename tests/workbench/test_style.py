from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.workbench.style import COLOURS, FormatError, NumberFormat, Palette


def test_a_name_keeps_its_look_whatever_comes_after() -> None:
    palette = Palette()
    palette.reserve("anthropic", "openrouter")
    before = palette.look("openrouter")
    palette.look("adaptive")
    palette.reserve("openrouter", "anthropic")
    assert palette.look("openrouter") == before
    assert palette.look("anthropic").colour == COLOURS[0]


def test_looks_of_28_names_differ() -> None:
    palette = Palette()
    assert len({palette.look(f"series {number}") for number in range(28)}) == 28


def contrast(colour: str, background: float) -> float:
    """WCAG 2 contrast of a colour with a grey of the given luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (max(luminance, background) + 0.05) / (min(luminance, background) + 0.05)


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_show_on_white_and_on_black(colour: str) -> None:
    assert contrast(colour, 1.0) > 2
    assert contrast(colour, 0.0) > 3


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("${:,.2f}", 1234.5, "$1,234.50"),
        ("${:.2f}", -3, "-$3.00"),
        ("${:.2f}", -0.001, "$0.00"),
        ("{:.0%}", 0.256, "26%"),
        ("{:.1f} ms", 12.34, "12.3 ms"),
        ("{:,.4g}", 123456, "123,500"),
        ("{:,.4g}", 0.00012345, "0.0001234"),
        ("{:,.4g}", 2.5, "2.5"),
        ("{:,.4g}", 0, "0"),
        ("{:.1f}", math.nan, "–"),
        ("{:.1f}", -math.inf, "-∞"),
    ],
)
def test_text(template: str, value: float, text: str) -> None:
    assert NumberFormat(template).text(value) == text


@pytest.mark.parametrize(
    ("template", "value", "step", "text"),
    [
        ("${:,.2f}", 1500, 500, "$1,500"),
        ("${:,.2f}", 0.25, 0.25, "$0.25"),
        ("{:.0%}", 0.75, 0.25, "75%"),
        ("{:.0%}", 0.995, 0.005, "99.5%"),
        ("{:.0f} ms", 2000, 500, "2,000"),
    ],
)
def test_tick(template: str, value: float, step: float, text: str) -> None:
    assert NumberFormat(template).tick(value, step) == text


@given(st.integers(-1000, 1000), st.sampled_from([1, 2, 2.5, 5]), st.integers(-6, 6))
def test_neighbouring_ticks_read_differently(turn: int, factor: float, power: int) -> None:
    step = factor * 10.0**power
    number = NumberFormat("{:.0f}")
    assert number.tick(turn * step, step) != number.tick((turn + 1) * step, step)
    assert float(number.tick(turn * step, step).replace(",", "")) == pytest.approx(turn * step)


@given(st.floats(-1e12, 1e12))
def test_text_reads_back_to_the_value_shown(value: float) -> None:
    assert float(NumberFormat("{:,.2f}").text(value).replace(",", "")) == pytest.approx(value, abs=0.00501)
    assert float(NumberFormat("{:,.4g}").text(value).replace(",", "")) == pytest.approx(value, rel=5.01e-4)


@pytest.mark.parametrize("template", ["", "{}", "{:.2e}", "{:>8.2f}", "{:.2f}{:.2f}", "two", "{0:.2f}", None])
def test_other_templates_are_refused(template: str) -> None:
    with pytest.raises(FormatError, match="no number format"):
        NumberFormat(template)
