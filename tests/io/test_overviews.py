from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.enums import Resampling

from geounet.io.overviews import halve_mean, halve_mode, level_shapes

PIXELS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([0, 1, 2, 255])
)


def squares(pixels: np.ndarray):
    for row in range(0, pixels.shape[0], 2):
        for col in range(0, pixels.shape[1], 2):
            valid = [int(v) for v in pixels[row : row + 2, col : col + 2].ravel() if v != 255]
            yield (row // 2, col // 2), valid


def first_to_lead(values: list[int]) -> int:
    """The value that first reaches the highest count."""
    best, counts = 255, Counter()
    for v in values:
        counts[v] += 1
        if counts[v] > counts.get(best, 0):
            best = v
    return best


@given(PIXELS)
def test_mode_is_the_most_frequent_valid_value(pixels):
    halved = halve_mode(pixels)
    for where, valid in squares(pixels):
        assert halved[where] == first_to_lead(valid)


@given(PIXELS)
def test_mean_is_the_rounded_mean_of_the_valid_values(pixels):
    halved = halve_mean(pixels)
    for where, valid in squares(pixels):
        expected = int(sum(valid) / len(valid) + 0.5) if valid else 255
        assert halved[where] == expected


@pytest.mark.parametrize(("name", "halve"), [("mode", halve_mode), ("average", halve_mean)])
def test_gdal_agrees_on_even_sides(tmp_path: Path, name, halve):
    pixels = np.random.default_rng(3).choice(np.array([0, 1, 2, 200, 255], np.uint8), (256, 384))
    path = tmp_path / "even.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=384, height=256, count=1, dtype="uint8", nodata=255,
        transform=rasterio.Affine(2, 0, 0, 0, -2, 0),
    ) as file:  # fmt: skip
        file.write(pixels, 1)
        file.build_overviews([2], Resampling[name])
    with rasterio.open(path, overview_level=0) as file:
        np.testing.assert_array_equal(halve(pixels), file.read(1))


@settings(max_examples=50)
@given(st.integers(1, 200_000), st.integers(1, 200_000))
def test_levels_halve_until_one_fits(height, width):
    shapes = [(height, width), *level_shapes((height, width), largest=512)]
    assert all(max(s) > 512 for s in shapes[:-1])
    assert max(shapes[-1]) <= 512 or width == 1
    for (h0, w0), (h1, w1) in itertools.pairwise(shapes):
        assert (h1, w1) == (-(-h0 // 2), -(-w0 // 2))
