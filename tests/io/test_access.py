"""The policy at the door: which paths are opened, and by which driver."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geounet.errors import SceneError
from geounet.io.access import resolve, safe_stem
from geounet.io.scene import open_scene

PICTURE = np.full((1, 4, 4), 9, "uint8")
VRT = """<VRTDataset rasterXSize="4" rasterYSize="4"><GeoTransform>5e5,10,0,5e6,0,-10</GeoTransform>
<VRTRasterBand dataType="Byte" band="1">{inside}<SimpleSource>
<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


def vrt(path: Path, source: str, *, relative: int = 1, inside: str = "") -> Path:
    path.write_text(VRT.format(source=source, relative=relative, inside=inside))
    return path


def test_a_vrt_in_disguise_is_refused_and_fetches_nothing(tmp_path, range_server):
    path = vrt(tmp_path / "innocent.tif", f"/vsicurl/{range_server.url}/secret.tif", relative=0)
    with pytest.raises(SceneError, match="VRT in disguise"):
        open_scene(path)
    assert range_server.requests == []


@pytest.mark.parametrize("suffix", [".msk", ".ovr"])
def test_a_vrt_that_poses_as_a_sidecar_is_refused_and_fetches_nothing(write_tif, range_server, suffix):
    path = write_tif("scene.tif", PICTURE)
    vrt(path.with_name(path.name + suffix), f"/vsicurl/{range_server.url}/secret.tif", relative=0)
    with pytest.raises(SceneError, match="VRT in disguise"):
        open_scene(path)
    assert range_server.requests == []


@pytest.mark.parametrize("poisoned", ["scene.tif", "scene.tif.ovr"])
def test_overviews_that_lie_behind_a_url_are_refused_and_not_fetched(write_tif, range_server, poisoned):
    path = write_tif("scene.tif", PICTURE)
    with rasterio.open(write_tif(poisoned, PICTURE), "r+") as out:
        out.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{range_server.url}/secret.tif")
    with pytest.raises(SceneError, match="names overviews in"):
        open_scene(path)
    assert range_server.requests == []


def test_a_plain_vrt_is_read(write_tif, tmp_path):
    write_tif("part.tif", PICTURE)
    with open_scene(vrt(tmp_path / "all.vrt", "part.tif")) as scene:
        assert (scene.read(scene.geobox.window).data == 9).all()
        before = scene.fingerprint
    write_tif("part.tif", PICTURE + 1)
    assert open_scene(tmp_path / "all.vrt").fingerprint != before


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        ("../outside.tif", ""),
        ("/etc/hostname", ""),
        ("/vsicurl/http://127.0.0.1:9/x.tif", ""),
        ("nested.vrt", ""),
        ("part.tif", "<PixelFunctionType>evil</PixelFunctionType>"),
        ("part.tif", "<Overview><SourceFilename>/etc/hostname</SourceFilename></Overview>"),
    ],
)
def test_a_vrt_that_reaches_out_is_refused(write_tif, tmp_path, source, inside):
    write_tif("outside.tif", PICTURE)
    write_tif("in/part.tif", PICTURE)
    vrt(tmp_path / "in/nested.vrt", "part.tif")
    with pytest.raises(SceneError) as refused:
        open_scene(vrt(tmp_path / "in/all.vrt", source, inside=inside))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.tif", "No such file"),
        ("", "is empty; is a variable"),
        ("text.tif", "no raster"),
        ("empty.tif", "is empty"),
        ("bad\0name.tif", "cannot be read"),
        ("ftp://host/x.tif", "ftp:// is not known"),
        ("/vsizip/x.zip/x.tif", "not read"),
        ("/vsizip//vsicurl/http://host/x.zip/x.tif", "not read"),
        ("/vsicurl/http://host/x.tif", "--allow-remote"),
        ("/vsis3/bucket/x.tif", "--allow-remote"),
        ("https://user:word@host/x.tif?sig=secret", "https://host/x.tif is remote"),
        ("WMTS:http://127.0.0.1:9/", "No such file"),
        ("GTIFF_DIR:1:text.tif", "No such file"),
    ],
)
def test_what_is_no_scene_is_refused_in_one_line(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.tif").write_text("hello")
    (tmp_path / "empty.tif").touch()
    with pytest.raises(SceneError, match=message) as refused:
        open_scene(path)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "word" not in str(refused.value)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SceneError, match="not a regular file"):
        open_scene(tmp_path / "pipe.tif")


def test_relative_paths_open_from_elsewhere(write_tif, tmp_path, monkeypatch):
    write_tif("scene.tif", PICTURE)
    monkeypatch.chdir(tmp_path)
    spec = open_scene("scene.tif").spec
    monkeypatch.chdir("/")
    assert Path(spec.paths[0]).is_absolute()
    assert resolve(spec.paths[0]).drivers == ("GTiff",)


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "HFA", "ENVI", "JP2OpenJPEG"])
def test_formats(write_tif, driver):
    suffix = {"PNG": ".png", "JPEG": ".jpg", "HFA": ".img", "ENVI": ".dat", "JP2OpenJPEG": ".jp2"}[driver]
    options = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    path = write_tif("scene" + suffix, np.full((3, 40, 40), 77, "uint8"), driver=driver, **options)
    with open_scene(path) as scene:
        assert (scene.read(scene.geobox.window).data == 77).all()
        assert scene.rasters[0].dataset.driver == driver


@given(st.text(max_size=400))
def test_a_name_never_leaves_the_folder(text):
    name = safe_stem(text)
    assert name not in ("", ".", "..")
    assert len(name) <= 120
    assert len(name.encode()) <= 200
    assert not name.startswith(".")
    assert not set(name) & set("/\\\0\n\r:")
    assert name.isprintable()
    assert Path("/out", name).parent == Path("/out")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/Malmö_città.tif", "Malmö_città"),
        ("s3://bucket/a/b/scene%2F..%2Fx.tif", "x"),
        ("https://host/S2A.SAFE/?sig=/../..", "S2A"),
        ("a\nb.tif", "a_b"),
        ("..", "scene"),
        (".hidden", "hidden"),
        ("x.2020.tif", "x.2020"),
    ],
)
def test_names(path, name):
    assert safe_stem(path) == name
