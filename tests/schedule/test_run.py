"""``geounet run`` as a process: exactly once, published whole, failures set aside, nothing foreign touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import rasterio
from packages import hashes, texture, write_scene
from places import COMMAND, Place

MakePlace = Callable[..., Place]


def events(found: list[dict], name: str) -> list[dict]:
    return [event for event in found if event["event"] == name]


def folders(place: Place) -> set[str]:
    return {path.name for path in place.out.iterdir() if path.is_dir()}


def test_each_scene_is_processed_once(place: MakePlace) -> None:
    there = place()
    there.add("a", seed=1)
    there.add("b", seed=2)
    assert len(events(there.run(), "published")) == 2
    before = {path: path.stat().st_mtime_ns for path in there.out.glob("*/*.tif")}
    assert len(before) == 4
    assert events(there.run(), "published") == []
    assert {path: path.stat().st_mtime_ns for path in there.out.glob("*/*.tif")} == before


def test_a_renamed_or_copied_file_is_no_new_scene(place: MakePlace) -> None:
    there = place()
    first = there.add("a", seed=1)
    there.run()
    first.rename(first.with_name("other.tif"))
    (there.scenes / "copy.tif").write_bytes((there.scenes / "other.tif").read_bytes())
    found = there.run()
    assert events(found, "found")[0]["new"] == 0
    assert folders(there) == {"a"}


def test_other_options_process_again_and_replace(place: MakePlace) -> None:
    there = place()
    there.add("a", seed=1)
    there.run()
    old = (there.out / "a" / "landuse.geojson").read_bytes()
    there.configure(infer={"model": str(there.model), "device": "cpu", "min-area": 30})
    assert len(events(there.run(), "published")) == 1
    assert (there.out / "a" / "landuse.geojson").read_bytes() != old
    assert sorted(entry["state"] for entry in there.ledger("list", "--json")) == ["done", "gone"]
    there.configure(infer={"model": str(there.model), "device": "cpu", "min-area": 30, "threads": 2})
    assert events(there.run(), "published") == []  # threads change no pixel


def test_changed_content_replaces_and_earlier_runs_are_kept_on_request(place: MakePlace) -> None:
    pystac = pytest.importorskip("pystac")
    there = place(destination="out/{scene}/{run}", keep={"runs": 2, "free": 1})
    for seed in (1, 2, 3):
        there.add("a", seed=seed)
        there.run()
    entries = there.ledger("list", "--json")
    assert sorted(entry["state"] for entry in entries) == ["done", "done", "gone"]
    kept = {Path(entry["output"]).name for entry in entries if entry["output"]}
    assert {path.name for path in (there.out / "a").iterdir()} == kept
    (newest,) = {
        Path(entry["facts"].get("blocks_in", "")).name for entry in entries if entry["state"] == "done"
    } - {""}
    assert {path.parts[-5] for path in (there.out / "a").glob("*/.geounet/*/parts/*")} == {newest}
    items = list(pystac.Catalog.from_file(str(there.out / "catalog.json")).get_items(recursive=True))
    assert {item.id for item in items} == {f"a~{run}-tiny" for run in kept}
    for item in items:
        item.stac_extensions = []  # their schemas are on the network
        item.validate()
        assert Path(item.get_self_href()).parent.name in item.id


@pytest.mark.parametrize("option", ["aoi", pytest.param("mask", marks=pytest.mark.slow)])
def test_another_file_under_the_name_in_an_option_is_another_option(place: MakePlace, option: str) -> None:
    there = place()
    file = there.folder / ("area.geojson" if option == "aoi" else "mask.tif")

    def draw(size: int) -> None:
        if option == "mask":
            write_scene(file, (np.arange(90 * 80).reshape(1, 90, 80) < size).astype(np.uint8))
            return
        x, y = 300000, 2800000  # of the scenes' corner
        ring = [[x, y], [x + size, y], [x + size, y - size], [x, y - size], [x, y]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        crs = {"type": "name", "properties": {"name": "EPSG:32640"}}
        features = [{"type": "Feature", "properties": {}, "geometry": polygon}]
        file.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))

    draw(20)
    there.configure(infer={"model": str(there.model), "device": "cpu", option: file.name})
    there.add("a", seed=1)
    assert len(events(there.run(), "published")) == 1
    draw(20)
    assert events(there.run(), "published") == []  # the same content, another time
    draw(30)
    assert len(events(there.run(), "published")) == 1
    file.unlink()
    process = there.start()
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err.count("\n"), file.name in err) == (2, 1, True), err


@pytest.mark.parametrize(
    "keeps", ["parts", *(pytest.param(k, marks=pytest.mark.slow) for k in ("confidence", "nothing"))]
)
def test_a_scene_that_was_delivered_again_costs_its_changed_blocks(place: MakePlace, keeps: str) -> None:
    infer = {"device": "cpu", "threads": 1, "block": 48, "confidence": keeps == "confidence"}
    keep = {"free": 1} if keeps == "parts" else {"parts": False, "free": 1}
    there = place()
    there.configure(infer={"model": str(there.model), **infer}, keep=keep)
    pixels = texture((150, 121), seed=1)
    scene = write_scene(there.scenes / "a.tif", pixels)
    assert events(there.run(), "published")[0]["blocks_as_before"] == 0
    pixels[1, 149, 3] ^= 1  # which the lower three rows of blocks read, in two columns of three
    write_scene(scene, pixels)
    published = events(there.run(), "published")[0]
    assert (published["blocks"], published["blocks_as_before"]) == (12, 0 if keeps == "nothing" else 6)
    there.folder = there.folder / "fresh"
    there.scenes.mkdir(parents=True)
    shutil.copy2(scene, there.scenes / "a.tif")
    there.configure(infer={"model": str(there.model), **infer}, keep=keep)
    there.run()
    assert hashes(there.out / "a") == hashes(there.folder.parent / "out" / "a")
    assert folders(there) == {"a"}


def test_same_names_from_two_folders_do_not_mix(place: MakePlace) -> None:
    there = place(source={"folder": "in", "glob": "**/*.tif", "settle": 0})
    there.add("north/a", seed=1)
    there.add("south/a", seed=2)
    there.run()
    first, second = sorted(folders(there))
    assert (first, second.startswith("a-")) == ("a", True)
    items = [json.loads((there.out / name / "item.json").read_text())["id"] for name in (first, second)]
    assert items == [f"{name}-tiny" for name in (first, second)]
    assert len(events(there.run(), "published")) == 0


def test_a_scene_that_fails_is_tried_again_then_set_aside(place: MakePlace) -> None:
    there = place()
    there.add("good", seed=1)
    (there.scenes / "bad.tif").write_bytes(b"II*\0 this is no raster")
    found = there.run(code=1)
    assert [event["set_aside"] for event in events(found, "failed")] == [False, True]
    assert there.states() == {"bad": "failed", "good": "done"}
    assert events(there.run(), "failed") == []  # it stays aside
    (entry,) = there.ledger("show", "bad", "--json")
    assert "bad.tif" in entry["error"]
    there.ledger("retry", "--all")
    assert len(events(there.run(code=1), "failed")) == 2


def test_a_scene_that_was_set_aside_costs_what_is_not_done(place: MakePlace) -> None:
    """What it had finished serves its next try, and also another version of it."""
    infer = {"device": "cpu", "threads": 1, "block": 48}
    there = place()
    there.configure(infer={"model": str(there.model), **infer}, retry={"attempts": 1})
    layout = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    scene = write_scene(there.scenes / "a.tif", texture((150, 121), seed=1), **layout)
    whole = scene.read_bytes()
    with rasterio.open(scene) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_3_4", "TIFF", bidx=1))
    scene.write_bytes(whole[:offset] + bytes(40) + whole[offset + 40 :])
    (failed,) = events(there.run(code=1), "failed")
    assert failed["set_aside"]
    (entry,) = there.ledger("show", "a", "--json")
    kept = Path(entry["facts"]["blocks_in"])
    assert kept.name.startswith(".geounet-work-")
    scene.write_bytes(whole)
    published = events(there.run(), "published")[0]
    assert 0 < published["blocks_as_before"] < published["blocks"]
    assert not kept.exists(), "the newer version has taken over what there was"
    assert folders(there) == {"a"}


def test_files_that_are_not_ours_are_never_replaced(place: MakePlace) -> None:
    there = place()
    there.add("a", seed=1)
    mine = there.out / "a" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("do not lose me")
    found = there.run(code=1)
    assert "move it away" in events(found, "failed")[0]["error"]
    assert mine.read_text() == "do not lose me"


def test_names_meant_to_harm_stay_in_their_folder(place: MakePlace) -> None:
    there = place(signals={"on_success": "sh -c 'echo ran \"$0\" >> hooked' {scene}"})
    names = ["$(touch owned)", "a;touch owned", "<script>alert(1)</script>", "…\u202etxt", "x" * 180, "new\nline"]
    for number, name in enumerate(names):
        there.add("plain", seed=number).rename(there.scenes / f"{name.replace('/', '_')}.tif")
    there.run()
    assert len(folders(there)) == len(names)
    assert not list(there.folder.rglob("owned"))
    page = (there.out / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert (there.folder / "in").is_dir()
    assert {path.name for path in there.folder.iterdir()} == {"in", "out", "schedule.yaml"}
    assert (there.out / "hooked").read_text(encoding="utf-8").count("ran ") == len(names)


def test_the_catalogue_is_valid_and_leads_to_every_item(place: MakePlace) -> None:
    pystac = pytest.importorskip("pystac")
    there = place(destination="out/{year}/{scene}")
    there.add("a b", seed=1)
    there.add("ünï", seed=2)
    there.run()
    catalog = pystac.Catalog.from_file(str(there.out / "catalog.json"))
    (collection,) = catalog.get_children()
    catalog.validate()
    collection.validate()
    items = list(catalog.get_items(recursive=True))
    assert len(items) == 2
    west, south, east, north = collection.extent.spatial.bboxes[0]
    first, last = collection.extent.temporal.intervals[0]
    for item in items:
        alone = pystac.Item.from_file(item.get_self_href())  # as somebody who was given its address
        extensions, alone.stac_extensions = alone.stac_extensions, []  # their schemas are on the network
        alone.validate()
        assert extensions
        assert alone.get_root().get_self_href() == catalog.get_self_href()
        assert alone.get_parent().id == alone.get_collection().id == collection.id
        assert west <= item.bbox[0] < item.bbox[2] <= east
        assert south <= item.bbox[1] < item.bbox[3] <= north
        assert first <= item.datetime <= last
        hrefs = [asset.get_absolute_href() for asset in item.assets.values()]
        assert hrefs
        assert all(Path(href).exists() for href in hrefs)
        scene = next(link for link in item.links if link.rel == "derived_from")
        assert Path(
            unquote(scene.get_absolute_href())
        ).exists()  # relative links survive the way to the destination


def test_a_kill_in_the_middle_loses_nothing(place: MakePlace) -> None:
    there = place()
    for number in range(4):
        there.add(f"s{number}", seed=number, shape=(200, 180))
    for wait in (1.0, 1.6, 2.2):
        process = there.start()
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    there.run()
    assert set(there.states().values()) == {"done"}
    assert folders(there) == {"s0", "s1", "s2", "s3"}
    assert not list(there.out.glob(".geounet-*"))
    assert all((there.out / name / "item.json").exists() for name in folders(there))


@pytest.mark.parametrize("lines", [1, 2, 4], ids=["found", "begin", "progress"])
def test_a_reader_that_goes_away_is_no_failure_of_a_scene(place: MakePlace, lines: int) -> None:
    there = place()
    there.add("a", seed=1, shape=(700, 600))
    process = there.start_in_step("--json")
    assert process.stdout is not None
    assert process.stderr is not None
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()  # what `| head -1` does
    assert process.wait(300) == 130
    (told,) = process.stderr.read().splitlines()
    assert "goes on where it stopped" in told
    (entry,) = there.ledger("list", "--json")
    assert (entry["state"], entry["attempts"]) == ("waiting", 0)
    there.run()
    assert there.states() == {"a": "done"}


def test_runs_at_once_share_the_scenes(place: MakePlace) -> None:
    there = place()
    for number in range(6):
        there.add(f"s{number}", seed=number)
    processes = [there.start("--json") for _ in range(3)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    said = [json.loads(line) for out, _ in outputs for line in out.splitlines()]
    published = [event["scene"] for event in events(said, "published")]
    assert sorted(published) == [f"s{number}" for number in range(6)]


def test_a_scene_that_is_taken_over_is_left_and_the_others_go_on(place: MakePlace) -> None:
    there = place(
        retry={"lease": "1s"}, infer={"model": "landuse-roads", "device": "cpu", "threads": 1, "block": 512}
    )
    there.add("first", seed=1, shape=(1500, 1500))
    process = there.start_in_step("--json")
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["event"] != "begin":
        pass
    with sqlite3.connect(there.out / "ledger.sqlite", timeout=30) as ledger:
        lease = time.time() + 3600
        ledger.execute("UPDATE geounet_scenes SET owner = 'far:1:0', lease = ?", [lease])
    out, err = process.communicate(timeout=300)
    said = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0, (out, err)
    assert "taken" in events(said, "warning")[0]["message"]  # at a step of the work, or at its end
    assert (said[-1]["published"], said[-1]["failed"]) == (0, 0)
    assert there.states() == {"first": "running"}


def test_no_scene_is_begun_on_a_full_disk(place: MakePlace) -> None:
    there = place(keep={"free": "9000TiB"})
    there.add("a", seed=1)
    process = there.start()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "no scene is begun" in err
    assert there.states() == {"a": "waiting"}


def test_a_full_disk_is_no_failure_where_nothing_is_due(place: MakePlace) -> None:
    there = place()
    there.add("a", seed=1)
    there.run()
    there.configure(keep={"free": "9000TiB"})
    assert there.run()[-1]["published"] == 0
    assert not list(there.out.glob("*/.geounet/*/parts/*")), "blocks have made room all the same"


def test_a_scheduler_that_is_away_is_no_fault_of_the_scene(place: MakePlace) -> None:
    with socket.socket() as nobody:  # a port that is taken, and at which nobody listens
        nobody.bind(("127.0.0.1", 0))
        away = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        there = place()
        there.configure(infer={"model": str(there.model), "device": "cpu", "scheduler": away})
        for seed, name in enumerate("ab"):
            there.add(name, seed=seed)
        process = there.start("--json")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert (err.count("\n"), f"{away} does not answer" in err) == (1, True), err
    said = [json.loads(line) for line in out.splitlines()]
    assert (len(events(said, "begin")), events(said, "failed")) == (1, [])
    entries = there.ledger("list", "--json")
    assert [(entry["state"], entry["attempts"]) for entry in entries] == [("waiting", 0)] * 2


def test_a_corrected_world_file_moves_the_map(place: MakePlace) -> None:
    there = place()
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write_scene(there.scenes / "a.tif", texture((90, 80), seed=1), crs=None, transform=None)
    for west in (1000, 2000):
        (there.scenes / "a.tfw").write_text(f"0.5\n0\n0\n-0.5\n{west}.25\n4999.75\n")
        assert len(events(there.run(), "published")) == 1
        with rasterio.open(there.out / "a" / "landuse.tif") as file:
            assert tuple(file.transform)[:6] == (0.5, 0, west, 0, -0.5, 5000)
    assert folders(there) == {"a"}


def test_a_dry_run_writes_nothing(place: MakePlace) -> None:
    there = place()
    there.add("a", seed=1)
    assert [event["state"] for event in there.run("--dry-run")] == ["new"]
    assert not there.out.exists()


def test_watching_ends_with_a_signal(place: MakePlace) -> None:
    there = place()
    process = there.start("--watch", "1s", "--json")
    there.add("late", seed=1)
    deadline = time.monotonic() + 240
    while not (there.out / "late").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_watching_outlives_a_folder_that_is_away_for_a_while(place: MakePlace) -> None:
    there = place()
    process = there.start("--watch", "1s", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "found"
    there.scenes.rename(there.folder / "away")
    while json.loads(process.stdout.readline())["event"] != "warning":
        pass
    (there.folder / "away").rename(there.scenes)
    there.add("late", seed=1)
    while json.loads(process.stdout.readline())["event"] != "published":
        pass
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
    assert process.returncode == 130


def test_a_file_that_still_grows_waits(place: MakePlace) -> None:
    there = place(source={"folder": "in", "settle": "1h"})
    there.add("a", seed=1)
    assert events(there.run(), "found")[0]["new"] == 0


def test_a_list_names_scenes(place: MakePlace) -> None:
    there = place(source={"list": "scenes.txt"})
    there.add("a", seed=1)
    there.add("b", seed=2)
    (there.folder / "scenes.txt").write_text("# mine\nin/b.tif\n\nin/b.tif\n")
    assert [event["scene"] for event in events(there.run(), "published")] == ["b"]


def test_hooks_and_metrics_tell(place: MakePlace) -> None:
    there = place(signals={"metrics": "geounet.prom", "on_success": "false", "on_failure": "/no/such/program"})
    there.add("a", seed=1)
    (there.scenes / "bad.tif").write_text("no raster")
    found = there.run(code=1)
    warnings = " ".join(event["message"] for event in events(found, "warning"))
    assert "hook false ended with 1" in warnings
    assert "hook /no/such/program" in warnings
    metrics = (there.folder / "geounet.prom").read_text()
    assert 'geounet_scenes{state="done"} 1\n' in metrics
    assert 'geounet_scenes{state="failed"} 1\n' in metrics


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sauce": {}}, ["unknown key 'sauce'", "'source'"]),
        (
            {"source": {"folder": "in", "list": "x"}},
            ["folder and list given", "expected one of folder, list and stac"],
        ),
        ({"destination": "out/{city}"}, ["{scene}", "{year}"]),
        ({"destination": "out/{year}"}, ["same folder"]),
        ({"destination": "out/../{scene}"}, ["no .. in it"]),
        ({"infer": {"tyle": 3}}, ["tyle", "tile"]),
        ({"infer": {"output": "x"}}, ["destination"]),
        ({"keep": {"runs": 3}}, ["{run}"]),
        ({"retry": {"lease": "soon"}}, ["10m"]),
        ({"source": {"folder": "nowhere"}}, ["nowhere", "no folder"]),
        ({"infer": {"model": "unheard-of"}}, ["unheard-of"]),
    ],
)
def test_a_configuration_that_cannot_work_is_one_line(
    place: MakePlace, changes: dict[str, object], words: list[str]
) -> None:
    there = place(**changes)
    process = there.start()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, ""), err
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_ledger_commands_refuse_what_is_not_there(place: MakePlace, tmp_path: Path) -> None:
    there = place()
    there.run()
    for arguments, words in [
        (["list", str(tmp_path / "none.sqlite")], "is not there"),
        (["retry", str(there.config)], "expected the names of scenes"),
        (["show", str(there.config), "nobody"], "no scene 'nobody'"),
    ]:
        done = subprocess.run([*COMMAND, "ledger", *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert words in done.stderr
