"""Scenes out of STAC: an API and a static catalogue give the same ones, and nothing is fetched twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import slanted, texture, write_scene
from pydantic import ValidationError
from range_server import serving
from shapely import box
from stac_server import StacHandler, StacServer, item, write_catalog

from geounet.errors import ConfigError
from geounet.schedule.candidate import Candidate
from geounet.schedule.config import SourceConfig
from geounet.schedule.content import content_digest
from geounet.schedule.stac import stac_candidates

pytest.importorskip("pystac_client")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[StacServer]:
    state = StacServer(tmp_path / "served")
    state.folder.mkdir()
    with serving(state, StacHandler):
        yield state


def scenes(
    stac: object, *, remote: bool = True, warn: Callable[[str], None] | None = None, **asked: Any
) -> list[Candidate]:
    config = SourceConfig.model_validate({"stac": str(stac), "assets": ["B04"], **asked})
    return list(stac_candidates(config, allow_remote=remote, warn=warn or pytest.fail))


def names(found: list[Candidate]) -> set[str]:
    return {scene.name for scene in found}


def key(scene: Candidate) -> str:
    return content_digest(scene.paths, (lambda *_: None, lambda *_: None), told=scene.contents)


MANY = [
    item(
        f"i{number}",
        at=(-4.0 + 3 * (number % 4), 40.0 + 5 * (number // 4)),
        time=f"2026-0{1 + number % 5}-1{number % 3}T10:00:00Z",
        cloud=None if number == 3 else 12 * (number % 7),
        collection="l8" if number % 3 == 2 else "s2",
    )
    for number in range(11)
]


@pytest.mark.parametrize("post", [True, False])
def test_all_pages_are_read(api: StacServer, post: bool) -> None:
    api.items, api.post = MANY, post
    found = scenes(api.url)
    assert names(found) == {f"i{number}" for number in range(11)}
    assert len(api.searches) == 4
    assert {method for method, path, _ in api.requests if "search" in path} == {"POST" if post else "GET"}
    assert api.downloads == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StacServer, Path]]:
    folder = tmp_path_factory.mktemp("stac")
    state = StacServer(folder, items=MANY)
    with serving(state, StacHandler):
        yield state, write_catalog(folder / "static", MANY)


DAYS = st.dates(date(2025, 12, 1), date(2026, 7, 1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bbox=st.none() | st.tuples(st.floats(-6, 3), st.floats(38, 48), st.floats(3.5, 12), st.floats(49, 60)),
    days=st.none() | st.tuples(DAYS, DAYS).map(sorted),
    cloud=st.none() | st.integers(0, 80),
    collections=st.sampled_from([(), ("s2",), ("l8",), ("l8", "s2")]),
    deaf=st.booleans(),
    post=st.booleans(),
    as_area=st.booleans(),
)
def test_an_api_and_a_folder_give_the_same_scenes(
    both: tuple[StacServer, Path],
    tmp_path: Path,
    bbox: tuple[float, ...] | None,
    days: list[date] | None,
    cloud: int | None,
    collections: tuple[str, ...],
    deaf: bool,
    post: bool,
    as_area: bool,
) -> None:
    api, catalog = both
    api.post, api.deaf = post, deaf
    asked: dict[str, Any] = {"collections": collections}
    if bbox is not None and as_area:
        asked["area"] = tmp_path / "area.geojson"
        asked["area"].write_text(json.dumps(box(*bbox).__geo_interface__))
    elif bbox is not None:
        asked["bbox"] = bbox
    if days:
        asked["datetime"] = f"{days[0]}/{days[1]}"
    if cloud is not None:
        asked["cloud_cover"] = cloud

    def expected(found: dict[str, Any]) -> bool:
        west, south, east, north = found["bbox"]
        there = bbox is None or (west <= bbox[2] and east >= bbox[0] and south <= bbox[3] and north >= bbox[1])
        then = not days or str(days[0]) <= found["properties"]["datetime"] < str(days[1] + timedelta(days=1))
        clear = cloud is None or found["properties"].get("eo:cloud_cover", 101) <= cloud
        return there and then and clear and (not collections or found["collection"] in collections)

    wanted = {found["id"] for found in MANY if expected(found)}
    if not (deaf and collections):  # an API that ignores collections is no API
        assert names(scenes(api.url, **asked)) == wanted
    assert names(scenes(catalog, **asked)) == wanted


def test_a_limit_takes_the_newest_and_stops_paging(both: tuple[StacServer, Path]) -> None:
    api, catalog = both
    api.deaf = False
    api.requests.clear()
    times = sorted((found["properties"]["datetime"] for found in MANY), reverse=True)[:2]
    for place in (api.url, catalog):
        assert [scene.time.strftime("%Y-%m-%dT%H:%M:%SZ") for scene in scenes(place, limit=2)] == times
    assert len(api.searches) == 1


def test_a_box_may_cross_the_date_line(tmp_path: Path) -> None:
    items = [item(str(lon), at=(lon, 10.0)) for lon in (-179.5, 0.0, 178.0)]
    assert names(scenes(write_catalog(tmp_path, items), remote=False, bbox=(177, 0, -178, 20))) == {
        "-179.5",
        "178.0",
    }


def test_hrefs_start_from_the_item_and_identity_from_the_catalogue(api: StacServer, tmp_path: Path) -> None:
    own = {"rel": "self", "href": f"{api.url}/deep/x/x.json"}
    api.items = [{**item("a", assets={"B04": {"href": "../a b.tif"}}), "links": [own]}]
    (scene,) = scenes(f"{api.url}/?token=secret")
    assert scene.paths == (f"{api.url}/deep/a b.tif",)
    assert scene.source == f"{api.url}/s2/a"
    file = tmp_path / "static" / "s2" / "a" / "a b.tif"
    catalog = write_catalog(
        tmp_path / "static",
        [
            item("a", assets={"B04": {"href": "./a%20b.tif"}}),
            item("b", assets={"B04": {"href": file.as_uri()}}),
            item("c", assets={"B04": {"href": str(file)}}),
        ],
    )
    file.write_bytes(b"")
    found = scenes(catalog, remote=False)
    assert {scene.paths for scene in found} == {(str(file),)}
    assert sorted(scene.source for scene in found)[0] == str(catalog.parent / "s2" / "a" / "a.json")


@pytest.mark.parametrize("name", ["../../etc/x", "a/b\n<b>", "x" * 4000, "…\u202e", "S2A_31.5_x"])
def test_an_id_is_a_harmless_name(api: StacServer, name: str) -> None:
    api.items = [item(name, assets={"B04": {"href": "/files/a.tif"}})]
    (scene,) = scenes(api.url)
    assert scene.name.isprintable()
    assert "/" not in scene.name
    assert len(scene.name) <= 120
    assert scene.source.isprintable()
    assert name != "S2A_31.5_x" or scene.name == name


def test_the_key_of_a_remote_scene_needs_no_download(api: StacServer) -> None:
    def of(asset: dict[str, Any], **properties: Any) -> str:
        api.items = [item("a", assets={"B04": asset}, **properties)]
        (scene,) = scenes(api.url)
        return key(scene)

    one = {"href": "/files/a.tif"}
    assert of(one) == of(one)
    assert of(one, updated="2026-01-01T00:00:00Z") != of(one, updated="2026-01-02T00:00:00Z")
    assert of({"href": "/files/b.tif"}) != of(one)
    assert of({"href": "/files/a.tif?id=1"}) != of({"href": "/files/a.tif?id=2"})
    signed = "/files/a.tif?id=1&sig=%s&se=%s&X-Amz-Signature=%s"
    assert of({"href": signed % (1, 2, 3)}) == of({"href": signed % (4, 5, 6)}) == of({"href": "/files/a.tif?id=1"})
    for word in ("file:checksum", "checksum:multihash"):
        first = of({**one, word: "1220aa"}, updated="2026-01-01T00:00:00Z")
        assert first == of({"href": "/moved.tif", word: "1220aa"}, updated="2026-01-02T00:00:00Z")
        assert first != of({**one, word: "1220bb"})
    assert api.downloads == []


def test_a_broken_item_is_told_and_left_out(api: StacServer, tmp_path: Path) -> None:
    broken = [
        {**item("no-time"), "properties": {"datetime": None}},
        {**item("odd-time"), "properties": {"datetime": "yesterday"}},
        {**item("no-href"), "assets": {"B04": {"title": "x"}}},
        {**item("odd-place"), "geometry": {"type": "Polygon", "coordinates": "here"}},
        {**item("x"), "id": 5},
    ]
    api.items, api.deaf = [*broken, item("good")], True  # so that broken ones come at all
    told: list[str] = []
    assert names(scenes(api.url, warn=told.append, bbox=(0, 0, 80, 80))) == {"good"}
    assert len(told) == 5
    assert all(line.isprintable() and "left out" in line for line in told), told
    catalog = write_catalog(tmp_path / "static", [*broken[:4], item("good", assets={"B04": {"href": "/a.tif"}})])
    (tmp_path / "static" / "s2" / "odd-time" / "odd-time.json").write_text("{")
    (tmp_path / "static" / "s2" / "no-time" / "no-time.json").unlink()
    told.clear()
    assert names(scenes(catalog, warn=told.append, bbox=(0, 0, 80, 80))) == {"good"}
    assert len(told) == 4


def test_a_catalogue_that_links_in_a_circle_ends(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path, [item("a", assets={"B04": {"href": "a.tif"}})])
    document = json.loads(catalog.read_text())
    document["links"] += [
        {"rel": "child", "href": "./catalog.json"},
        {"rel": "child", "href": "./s2/../catalog.json"},
    ]
    catalog.write_text(json.dumps(document))
    assert names(scenes(catalog)) == {"a"}


def test_items_without_the_asset(api: StacServer) -> None:
    api.items = [item("a"), item("b", assets={"red": {"href": "x.tif"}})]
    told: list[str] = []
    assert names(scenes(api.url, warn=told.append)) == {"a"}
    assert told == ["1 without all of source.assets left out (b); b has no 'B04', it has red"]
    with pytest.raises(ConfigError, match=r"^source.assets: no item has them all; a has no 'blue', it has B04$"):
        scenes(api.url, assets=["B04", "blue"])


def test_what_cannot_be_asked_is_one_line(api: StacServer, tmp_path: Path) -> None:
    api.items = [item("a")]
    catalog = write_catalog(tmp_path / "static", api.items)
    (api.folder / "page.html").write_text("<html>")
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"stac": "http://127.0.0.1:9/?key=secret"},
            "127.0.0.1:9/ cannot be read: it does not answer: Connection refused",
        ),
        ({"stac": f"{api.url}/nowhere"}, "it answered 404"),
        ({"stac": f"{api.url}/page.html"}, "it is no JSON"),
        ({"stac": tmp_path / "none.json"}, "No such file"),
        ({"stac": "s3://bucket/catalog.json"}, "http"),
        ({"stac": api.url, "collections": ["s3"]}, "has no 's3'; it has l8, s2"),
        ({"stac": catalog, "collections": ["s3"]}, "has no 's3'; it has l8, s2"),
        ({"stac": api.url, "area": tmp_path / "none.gpkg"}, "source.area"),
    ]
    for asked, words in cases:
        with pytest.raises(ConfigError) as error:
            scenes(**asked)
        assert words in str(error.value)
        assert str(error.value).isprintable()
        assert "secret" not in str(error.value)
    api.broken = True
    with pytest.raises(ConfigError, match=r"it answered 400: .*out of order"):
        scenes(api.url)


def test_a_busy_api_is_asked_again(api: StacServer) -> None:
    api.items, api.failures = [item("a")], 1
    assert names(scenes(api.url)) == {"a"}


def test_nothing_remote_without_leave(api: StacServer, tmp_path: Path) -> None:
    api.items = [item("a")]
    with pytest.raises(ConfigError, match=r"files/a.tif of item a is remote; set infer.allow-remote: true"):
        scenes(api.url, remote=False)
    catalog = write_catalog(tmp_path / "static", [])
    document = json.loads(catalog.read_text())
    catalog.write_text(json.dumps({**document, "links": [{"rel": "child", "href": f"{api.url}/"}]}))
    api.requests.clear()
    told: list[str] = []
    assert scenes(catalog, remote=False, warn=told.append) == []
    assert "allow-remote" in told[0]
    assert api.requests == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"assets": []}, "names of assets"),
        ({"bbox": [1, 2, 3, 1]}, "west, south, east, north"),
        ({"bbox": [1, 2, 3, 4], "area": "a.gpkg"}, "expected one of them"),
        ({"datetime": "soon/.."}, "2026-01-01/.."),
        ({"datetime": "2026-02-01/2026-01-01"}, "ends before it begins"),
        ({"cloud_cover": 120}, "100"),
        ({"limit": 0}, "1"),
        ({"folder": "in"}, "expected one of folder, list and stac"),
        ({"stac": None, "folder": "in"}, "assets is for a STAC catalogue"),
    ],
)
def test_a_question_that_cannot_be_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SourceConfig.model_validate({"stac": "x.json", "assets": ["B04"], **asked})


# the whole way, as a process

BANDS = {"B04": 0, "B03": 1}


def write_assets(folder: Path, name: str, *, seed: int) -> np.ndarray:
    """A scene of two files, a band each; the pixels ``(2, h, w)``."""
    folder.mkdir(exist_ok=True)
    pixels = np.where(slanted((90, 80)), texture((90, 80), seed=seed), np.uint8(0))
    for band, number in BANDS.items():
        write_scene(folder / f"{name}_{band}.tif", pixels[number : number + 1], nodata=0)
    return pixels


def two(name: str, where: str) -> dict[str, dict[str, Any]]:
    return {band: {"href": f"{where}/{name}_{band}.tif"} for band in BANDS}


def published(found: list[dict[str, Any]]) -> list[str]:
    return sorted(event["scene"] for event in found if event["event"] == "published")


def test_scenes_of_an_api_are_published_once(api: StacServer, place: Callable[..., Any]) -> None:
    source = {"stac": api.url, "collections": ["s2"], "assets": list(BANDS), "cloud_cover": 50}
    there = place(source=source, destination="out/{year}/{folder}/{scene}")
    infer = {"model": str(there.model), "device": "cpu", "threads": 1, "allow-remote": True}
    there.configure(source=source, destination="out/{year}/{folder}/{scene}", infer=infer)
    api.items = [
        item("new", assets=two("new", "/files"), time="2021-03-04T05:06:07Z"),
        item("cloudy", cloud=90),
        item("lost", assets=two("lost", "/files")),
    ]
    pixels = write_assets(api.folder / "files", "new", seed=1)
    found = there.run(code=1)
    assert published(found) == ["new"]
    errors = [event["error"] for event in found if event["event"] == "failed"]
    assert "lost_B04.tif" in errors[0]
    assert "404" in errors[0]
    made = there.out / "2021" / "s2" / "new"
    result = json.loads((made / "item.json").read_text())
    assert result["properties"]["datetime"] == "2021-03-04T05:06:07Z"
    assert result["id"].startswith("2021~s2~new-")

    api.requests.clear()
    assert published(there.run()) == []
    assert api.downloads == []
    assert [path for _, path, _ in api.requests] == ["/", "/collections/s2", "/search"]

    write_scene(there.scenes / "same.tif", pixels, nodata=0)  # the same pixels as one file
    there.configure(destination="plain/{scene}")
    there.run()
    for one in made.glob("*.tif"):
        with rasterio.open(one) as stacked, rasterio.open(there.folder / "plain" / "same" / one.name) as plain:
            assert (stacked.read() == plain.read()).all()
            assert len(np.unique(stacked.read())) > 1


def test_scenes_of_a_static_catalogue(place: Callable[..., Any]) -> None:
    there = place(source={"stac": "stac/catalog.json", "assets": list(BANDS)})
    items = [item(name, assets=two(name, "../../../pixels")) for name in ("a", "b")]
    write_catalog(there.folder / "stac", items)
    for seed, name in enumerate(("a", "b")):
        write_assets(there.folder / "pixels", name, seed=seed)
    assert published(there.run()) == ["a", "b"]
    (there.folder / "stac").rename(there.folder / "moved")
    write_assets(there.folder / "pixels", "b", seed=7)
    there.configure(source={"stac": "moved/catalog.json", "assets": list(BANDS)})
    assert published(there.run()) == ["b"]  # only what changed; the address does not matter


def test_a_mistake_is_one_line_with_exit_code_2(api: StacServer, place: Callable[..., Any]) -> None:
    api.items = [item("a")]
    there = place(source={"stac": api.url, "assets": "B04"})
    process = there.start()
    out, err = process.communicate(timeout=240)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert "allow-remote: true" in err
