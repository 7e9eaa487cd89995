"""JSON in and out of the store against the json module and Python's own equality."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from lean_agentic.agentdb.errors import InvalidRecordError
from lean_agentic.agentdb.json_values import json_text, require_number, require_text, scalar_key
from tests.agentdb.store_records import JSON, SCALARS


@given(JSON)
def test_values_come_back(value: Any) -> None:
    assert json.loads(json_text(value, "it")) == value


def test_other_containers_become_plain_ones() -> None:
    value = MappingProxyType({"a": (1, OrderedDict(b=(2.5,)))})
    assert json.loads(json_text(value, "it")) == {"a": [1, {"b": [2.5]}]}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"a": [0, math.nan]}, r"it\['a'\]\[1\] must be a finite number, got nan"),
        ({"a": {"b": -math.inf}}, r"it\['a'\]\['b'\] must be a finite number"),
        ({"a": {None: 1}}, r"it\['a'\] has the key None"),
        ([b"bytes"], r"it\[0\] is a builtins.bytes"),
        (np.float32(1), "numpy.float32"),
        ({"a": np.zeros(2)}, r"it\['a'\] is a numpy.ndarray"),
        ("\ud83d", "half a surrogate pair"),
        ({"\ud83d": 1}, "half a surrogate pair"),
    ],
)
def test_what_would_come_back_otherwise_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(InvalidRecordError, match=complaint):
        json_text(value, "it")


def test_circles_and_depths_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(InvalidRecordError, match="nested too deeply"):
            json_text(value, "it")
    # Python frees nested lists by recursion.
    while isinstance(deep, list):
        deep = deep.pop()


@given(SCALARS, SCALARS)
def test_keys_are_equal_where_scalars_are(one: Any, other: Any) -> None:
    equal = one == other and isinstance(one, bool) == isinstance(other, bool)
    assert (scalar_key(one) == scalar_key(other)) == equal
    assert scalar_key(one) == scalar_key(json.loads(json.dumps(one)))


def test_only_scalars_have_keys() -> None:
    assert scalar_key([1]) is None
    assert scalar_key({}) is None
    assert scalar_key(1) == scalar_key(1.0) != scalar_key(True)
    assert scalar_key(0.0) == scalar_key(-0.0) == scalar_key(0)


def test_long_values_are_told_apart_by_their_end() -> None:
    one, other = scalar_key("x" * 10_000 + "1"), scalar_key("x" * 10_000 + "2")
    assert one is not None
    assert one != other
    assert len(one) < 100


@pytest.mark.parametrize("number", [math.nan, math.inf, "5", b"5", None, [], 10**400])
def test_what_is_no_finite_number_is_refused(number: Any) -> None:
    with pytest.raises(InvalidRecordError, match="reward must be a finite number"):
        require_number(number, "reward")


def test_numbers_become_floats() -> None:
    assert [require_number(number, "it") for number in (1, 2.5, np.float32(0.5), np.int64(3))] == [1.0, 2.5, 0.5, 3.0]


def test_texts_are_strings() -> None:
    assert require_text("ünï 😀 \0", "it") == "ünï 😀 \0"
    with pytest.raises(InvalidRecordError, match="it must be a string, got NoneType"):
        require_text(None, "it")  # type: ignore[arg-type]
