from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lean_agentic.agentdb.covariate_design import RARE, candidate_columns, curved, encode, interacting


def rows(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "size": rng.normal(5, 2, n),
            "colour": rng.choice(["red", "green", "blue"], n),
            "urgent": rng.random(n) < 0.3,
            "same": 1.0,
            "when": np.linspace(0, 5 * 86_400, n),
        }
    )


def test_columns_are_standardised_and_constants_left_out() -> None:
    design = encode(rows(), ["size", "colour", "urgent", "same"])
    assert design.columns.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert design.columns.std(axis=0) == pytest.approx(1)
    assert len(design.names) == 4  # size, two of three colours, one of two truth values
    assert not any("same" in name for name in design.names)


def test_categories_span_the_same_space_as_dummies() -> None:
    frame = rows()
    design = encode(frame, ["colour"])
    dummies = pd.get_dummies(frame["colour"]).to_numpy(float)
    both = np.column_stack([np.ones(len(frame)), design.columns, dummies])
    assert np.linalg.matrix_rank(both) == 3


def test_rare_categories_share_what_no_column_says() -> None:
    frame = pd.DataFrame({"who": ["often"] * 20 + ["common"] * RARE + [f"once {i}" for i in range(10)]})
    assert encode(frame, ["who"]).names == ("who=common", "who=often")


def test_missing_numbers_become_the_median_and_say_so() -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0, 9.0, np.nan]})
    design = encode(frame, ["size"])
    assert design.names == ("size", "size missing")
    filled = np.array([1.0, 2.0, 9.0, 2.0])
    assert design.columns[:, 0] == pytest.approx((filled - filled.mean()) / filled.std())
    assert encode(pd.DataFrame({"size": [np.nan] * 4}), ["size"]).names == ()


def test_missing_categories_are_a_category() -> None:
    frame = pd.DataFrame({"who": ["a"] * 9 + [None] * 6})
    assert encode(frame, ["who"]).names == ("who=missing",)


def test_times_follow_the_hour_of_the_day() -> None:
    frame = rows(480)
    columns = encode(frame, [], "when").columns
    wave = np.cos(2 * np.pi * frame["when"] / 86_400 + 1.0)
    design = np.column_stack([np.ones(len(frame)), columns])
    residual = wave - design @ np.linalg.lstsq(design, wave, rcond=None)[0]
    assert np.abs(residual).max() < 1e-6
    within_one_hour = frame.assign(when=np.linspace(0, 3600, len(frame)))
    assert not any("sine" in name for name in encode(within_one_hour, [], "when").names)


def test_the_spline_is_linear_beyond_the_outer_knots_and_bends_between() -> None:
    values = np.linspace(-3, 3, 600)
    bends = curved(encode(pd.DataFrame({"x": values}), ["x"]))[:, 1:]
    assert bends.shape[1] == 3
    second = np.diff(bends, 2, axis=0)
    outside = (values[1:-1] < np.quantile(values, 0.049)) | (values[1:-1] > np.quantile(values, 0.951))
    assert np.abs(second[outside]).max() < 1e-9
    assert np.abs(second[~outside]).max() > 1e-6


def test_products_describe_an_interaction() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["a", "b", "c"])
    columns = np.column_stack([np.ones(200), interacting(encode(frame, ["a", "b", "c"]))])
    product = (frame["a"] * frame["c"]).to_numpy()
    residual = product - columns @ np.linalg.lstsq(columns, product, rcond=None)[0]
    assert np.abs(residual).max() < 1e-9


def test_few_rows_get_plain_descriptions_only() -> None:
    frame = rows(400)
    plenty = candidate_columns(encode(frame, ["size", "colour"]))
    few = candidate_columns(encode(frame.head(25), ["size", "colour"]))
    assert [columns.shape[1] for columns in plenty] == [3, 6, 9]
    assert [columns.shape[1] for columns in few] == [3]
