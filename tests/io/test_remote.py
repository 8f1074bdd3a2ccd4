"""Scenes behind a URL: only the ranges that are needed, retried."""

from __future__ import annotations

import numpy as np
import pytest

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io.scene import open_scene

WINDOW = Window(600, 700, 100, 90)


@pytest.fixture
def data(rng) -> np.ndarray:
    return rng.integers(0, 255, (3, 1024, 2048)).astype("uint8")


@pytest.fixture
def path(write_tif, data):
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "interleave": "pixel"}
    return write_tif("bucket/big.tif", data, **tiles)


def test_only_the_ranges_that_are_needed(path, data, range_server):
    with open_scene(f"{range_server.url}/bucket/big.tif?sig=1", allow_remote=True) as scene:
        assert (scene.read(WINDOW).data == data[(slice(None), *WINDOW.slices())]).all()
        assert range_server.sent < path.stat().st_size / 5
        assert {p for _, p, _ in range_server.requests} == {"/bucket/big.tif?sig=1"}
        assert all(span for method, _, span in range_server.requests if method == "GET")
        assert scene.name == "big"
        asked = len(range_server.requests)
        scene.read(WINDOW)
        assert len(range_server.requests) == asked


def test_a_busy_server_is_asked_again(path, data, range_server):
    with open_scene(f"{range_server.url}/bucket/big.tif", allow_remote=True) as scene:
        range_server.failures = 2
        assert (scene.read(WINDOW).data == data[(slice(None), *WINDOW.slices())]).all()
        assert range_server.failures == 0


def test_s3(path, data, range_server, monkeypatch):
    monkeypatch.setenv("AWS_S3_ENDPOINT", range_server.url.removeprefix("http://"))
    monkeypatch.setenv("AWS_HTTPS", "NO")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "FALSE")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    with open_scene("s3://bucket/big.tif", allow_remote=True) as scene:
        assert (scene.read(WINDOW).data == data[(slice(None), *WINDOW.slices())]).all()
    assert range_server.sent < path.stat().st_size / 5


def test_nothing_is_asked_without_leave(path, range_server):
    with pytest.raises(SceneError, match="--allow-remote"):
        open_scene(f"{range_server.url}/bucket/big.tif")
    with pytest.raises(SceneError, match="--allow-remote"):
        open_scene(path, mask=f"{range_server.url}/bucket/big.tif")
    assert range_server.requests == []


def test_what_is_not_there_is_told_in_one_line(path, range_server, capfd):
    with pytest.raises(SceneError, match=r"nope.tif cannot be opened: .*404") as missing:
        open_scene(f"{range_server.url}/nope.tif?sig=secret", allow_remote=True)
    assert "secret" not in str(missing.value)
    with pytest.raises(SceneError, match="connect"):
        open_scene("http://127.0.0.1:9/x.tif", allow_remote=True)
    assert capfd.readouterr().err == ""


def test_a_remote_vrt_is_not_followed(tmp_path, range_server):
    source = f"<SimpleSource><SourceFilename>/vsicurl/{range_server.url}/secret.tif</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="Byte" band="1">{source}</VRTRasterBand>'
    text = f'<VRTDataset rasterXSize="4" rasterYSize="4">{band}</VRTDataset>'
    (tmp_path / "x.tif").write_text(text)
    with pytest.raises(SceneError, match="cannot be opened"):
        open_scene(f"{range_server.url}/x.tif", allow_remote=True)
    assert {p for _, p, _ in range_server.requests} == {"/x.tif"}


def test_the_fingerprint_follows_the_file(path, write_tif, data, range_server):
    url = f"{range_server.url}/bucket/big.tif"
    first = open_scene(url, allow_remote=True).fingerprint
    assert open_scene(url, allow_remote=True).fingerprint == first
    write_tif("bucket/two.tif", data[:, ::-1] // 2, tiled=True, compress="deflate")
    assert open_scene(f"{range_server.url}/bucket/two.tif", allow_remote=True).fingerprint != first
