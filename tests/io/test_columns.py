"""Attributes as bytes: JSON as Python writes it, whatever the columns."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geounet.io.columns import binary_properties, json_properties

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**8), 10**8).map(lambda k: k / 100),
    st.integers(-(10**16), 10**16).map(lambda k: k / 10_000),
    st.sampled_from([0.0, -0.0, 1e-4, 1e-5, 1e11, 1e16, 0.1 + 0.2]),
)


def texts(columns: dict[str, np.ndarray[Any, Any]]) -> list[str]:
    blob, starts = json_properties(columns)
    return [blob[a:b].tobytes().decode() for a, b in pairwise(starts)]


def plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


@settings(deadline=None)  # the first one may compile
@given(
    st.lists(
        st.tuples(st.integers(-(2**62), 2**62), numbers, st.booleans(), st.one_of(st.none(), st.text())), min_size=1
    )
)
def test_json_is_that_of_python(rows: list[tuple[int, float, bool, str | None]]) -> None:
    kinds = {"id": np.int64, 'a "key"': np.float64, "touches_edge": np.bool_, "name": object}
    columns = {
        name: np.array(values, dtype)
        for (name, dtype), values in zip(kinds.items(), zip(*rows, strict=True), strict=True)
    }
    for text, row in zip(texts(columns), rows, strict=True):
        properties = dict(zip(kinds, map(plain, row), strict=True))
        head = json.dumps({"type": "Feature", "properties": properties}, ensure_ascii=False, separators=(",", ":"))
        assert text == f'{head[:-1]},"geometry":'


def test_no_feature_is_no_text() -> None:
    columns = {
        "id": np.empty(0, np.int64),
        "mean": np.empty(0),
        "edge": np.empty(0, np.bool_),
        "name": np.empty(0, object),
    }
    for form in (json_properties, binary_properties):
        blob, starts = form(columns)
        assert (blob.size, starts.tolist()) == (0, [0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32])
def test_small_numbers_are_numbers_too(dtype: type) -> None:
    assert texts({"n": np.array([0, 9, 10, 127], dtype)})[3].endswith('{"n":127},"geometry":')


def test_properties_leave_out_what_is_not_known() -> None:
    blob, starts = binary_properties(
        {
            "id": np.array([7, 8]),
            "mean": np.array([np.nan, 0.5]),
            "edge": np.array([True, False]),
            "name": np.array(["ß", None], object),
        }
    )
    first, second = (blob[a:b].tobytes() for a, b in pairwise(starts))
    assert first == bytes([0, 0, 7, *[0] * 7, 2, 0, 1, 3, 0, 2, 0, 0, 0, 0xC3, 0x9F])
    assert second == bytes([0, 0, 8, *[0] * 7, 1, 0, *np.float64(0.5).tobytes(), 2, 0, 0])
