from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lean_agentic.workbench.charts import Chart, ChartError, Reference, Series, axis_range, place, thin


def chart(*series: Series, **options: Any) -> Chart:
    return Chart("Cost", "request", "dollars", series, **options)


@given(arrays(np.float64, st.integers(1, 3000), elements=st.floats(-1e6, 1e6)), st.integers(4, 900))
def test_thinning_keeps_ends_and_extremes(y: np.ndarray, limit: int) -> None:
    kept = thin(y, limit)
    assert len(kept) <= limit
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == y.size - 1
    assert y[kept].min() == y.min()
    assert y[kept].max() == y.max()


def test_thinning_keeps_every_spike() -> None:
    y = np.zeros(100_000)
    spikes = np.arange(250, 100_000, 1000)
    y[spikes] = np.where(np.arange(spikes.size) % 2, 1.0, -1.0)
    assert set(spikes) <= set(thin(y, 800))


def test_thinning_keeps_gaps() -> None:
    y = np.ones(10_000)
    y[4000:6000] = np.nan
    kept = thin(y, 100)
    assert np.isnan(y[kept]).any()
    assert thin(np.full(1000, np.nan), 10).size <= 10


def test_thinning_refuses_fewer_than_four() -> None:
    with pytest.raises(ChartError, match="at least 4"):
        thin(np.zeros(10), 3)


@given(arrays(np.float64, (3, 20), elements=st.floats(0, 1e6)))
def test_stacked_areas_add_up(layers: np.ndarray) -> None:
    x = np.arange(20)
    placed = place(chart(*(Series(f"lane {i}", x, layer, "area") for i, layer in enumerate(layers))))
    for mark, layer in zip(placed, layers, strict=True):
        np.testing.assert_allclose(mark.top - mark.base, layer, atol=1e-6)
    np.testing.assert_allclose(placed[-1].top, layers.sum(axis=0))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("spacing", [1.0, 0.25])
def test_bars_stand_side_by_side(count: int, spacing: float) -> None:
    x = np.arange(4) * spacing
    placed = place(chart(*(Series(f"policy {i}", x, np.ones(4), "bars") for i in range(count))))
    left = [mark.shift - mark.width / 2 for mark in placed]
    right = [mark.shift + mark.width / 2 for mark in placed]
    assert left[1:] == pytest.approx(right[:-1])
    assert right[-1] - left[0] == pytest.approx(0.8 * spacing)
    assert right[-1] == pytest.approx(-left[0])


def test_axis_range_covers_marks_references_and_the_floor_of_bars() -> None:
    example = chart(
        Series("late", [0, 1], [3, 5], "bars"), Series("limit", [0, 1], [7, 7]), references=(Reference(9, "target"),)
    )
    assert axis_range(example, "y") == (0, 9)
    assert axis_range(example, "x") == pytest.approx((-0.4, 1.4))


def test_log_axis_leaves_out_what_it_cannot_show() -> None:
    assert axis_range(chart(Series("a", [1, 2, 3], [0, 10, 100]), y_log=True), "y") == (10, 100)
    with pytest.raises(ChartError, match="no positive value for its y axis"):
        chart(Series("a", [1, 2], [0, -1]), y_log=True)
    with pytest.raises(ChartError, match="no finite value"):
        chart(Series("a", [1, 2], [np.nan, np.nan]))


def test_description_says_the_numbers() -> None:
    text = chart(
        Series("adaptive", [1, 2, 3], [0.1, 0.6, 0.4]),
        Series("point", [2], [0.5], "points"),
        y_format="${:.2f}",
        references=(Reference(0.5, "budget"),),
    ).describe()
    assert "dollars over request (1 to 3)" in text
    assert "adaptive: 3 values from $0.10 to $0.60, last $0.40." in text
    assert "point: $0.50." in text
    assert "budget: $0.50." in text


@pytest.mark.parametrize(
    ("x", "y", "mark", "message"),
    [
        ([1, 2], [1], "line", "equally long"),
        ([], [], "line", "at least one number"),
        ([[1, 2]], [[1, 2]], "line", "equally long"),
        ([1, np.nan], [1, 2], "points", "x holds NaN"),
        ([2, 1], [1, 2], "line", "must not decrease"),
        ([1], [1], "pie", "no mark is called 'pie'"),
    ],
)
def test_bad_series_are_refused(x: Any, y: Any, mark: Any, message: str) -> None:
    with pytest.raises(ChartError, match=message):
        Series("cost", x, y, mark)


def test_bad_charts_are_refused() -> None:
    with pytest.raises(ChartError, match="has no series"):
        chart()
    with pytest.raises(ChartError, match="two series of one name"):
        chart(Series("a", [1], [1]), Series("a", [1], [2]))
    with pytest.raises(ChartError, match="must share their x"):
        chart(Series("a", [1], [1], "area"), Series("b", [2], [2], "area"))
