"""The other commands, what they print, several scenes, and names that files should not have."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from packages import constant, hashes, load, save, write_scene

from geounet.cli.commands import COMMANDS


@pytest.fixture
def infer(geounet, world, tmp_path):
    """``geounet infer`` with the small model."""

    def call(*arguments):
        return geounet("infer", "-m", world.model, *arguments)

    return call


# --- help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_help_lists_all_commands(arguments, geounet):
    ending = geounet(*arguments)
    assert (ending.code, ending.err) == (0, "")
    assert all(f"\n  {name} " in ending.out for name in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "models list", "models show", "models export"])
def test_help_of_every_command(command, geounet):
    ending = geounet(*command.split(), "--help")
    assert (ending.code, ending.err) == (0, "")
    assert f"Usage: geounet {command}" in ending.out


def test_version_and_unknown_commands(geounet):
    assert geounet("--version").out.startswith("geounet, version ")
    geounet("infre").refused("'infre'", "geounet --help")
    geounet("infer").refused("SCENE", "geounet infer --help")


# --- what infer prints ----------------------------------------------------------------------------------------


def test_summary_names_every_file_and_class(infer, world, tmp_path):
    ending = infer(world.scene, "-o", tmp_path / "out")
    assert ending.code == 0
    found = {p.name for p in (tmp_path / "out").iterdir() if p.name != ".geounet"}
    assert found == {line.split()[0] for line in ending.out.splitlines() if line.startswith("  ") and "B" in line}
    for word in ("scene: 0.0 Mpx in ", "Mpx/s", "onnxruntime cpu", "landuse: ", "polygons", "vegetation", "m²"):
        assert word in ending.out
    stages = [line.split()[0] for line in ending.err.splitlines()]
    assert stages == sorted(stages, key=["tiles", "stitch", "vectors"].index)
    assert set(stages) == {"tiles", "stitch", "vectors"}
    again = infer(world.scene, "-o", tmp_path / "out")
    assert again.out.startswith("scene: everything is there already")
    assert again.err == ""


def test_json_lines(infer, world, tmp_path):
    ending = infer(world.scene, "-o", tmp_path / "out", "--json", "--bands", "3,2,1")
    assert ending.err == ""
    events = ending.events
    assert {event["event"] for event in events} == {"warning", "progress", "done"}
    assert "blue, green, red" in events[0]["message"]
    progress = [event for event in events if event["event"] == "progress"]
    assert {event["stage"] for event in progress} == {"tiles", "stitch", "vectors"}
    assert all(0 <= event["done"] <= event["total"] for event in progress)
    done = events[-1]
    assert done["event"] == "done"
    assert all(Path(path).is_file() for path in done["paths"].values())
    assert done["tiles"] == 16
    assert set(done["area_by_class"]) == {"landuse", "road"}


def test_json_errors_are_events_too(infer, world, tmp_path):
    ending = infer(world.scene, "-o", tmp_path / "out", "--json", "--tile", "66")
    assert ending.code == 2
    assert [event["event"] for event in ending.events] == ["error"]
    assert ending.events[0]["exit_code"] == 2
    assert ending.events[0]["message"] in ending.err


def test_quiet_prints_nothing(infer, world, tmp_path):
    ending = infer(world.scene, "-o", tmp_path / "out", "-q", "--bands", "3,2,1")
    assert (ending.code, ending.out, ending.err) == (0, "", "")


def test_verbose_shows_tracebacks_of_bugs_only(infer, world, tmp_path, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr("geounet.run.pipeline.infer_scene", broken)
    plain = infer(world.scene, "-o", tmp_path / "out")
    plain.refused("unexpected ZeroDivisionError: a bug of two lines", "-v", code=1)
    assert "Traceback" in infer(world.scene, "-o", tmp_path / "out", "-v").err


@pytest.mark.parametrize(
    ("call", "events"),
    [
        ("plan SCENE -m MODEL", {"plan"}),
        ("info SCENE", {"scene"}),
        ("info MODEL", {"model"}),
        ("vectorize LABELS -o OUT.geojson", {"progress", "done"}),
        ("sample OUT.tif --size 256", {"progress", "done"}),
        ("models list", {"model"}),
        ("models show MODEL", {"model"}),
        ("models export MODEL -o OUT", {"done"}),
        ("doctor", {"check"}),
    ],
)
def test_every_command_speaks_json_and_keeps_quiet(call, events, geounet, world, tmp_path):
    names = {"SCENE": world.scene, "MODEL": world.model, "LABELS": world.plain / "landuse.tif"}

    def words(folder):
        return [str(names.get(word, word)).replace("OUT", str(tmp_path / folder)) for word in call.split()]

    spoken = geounet(*words("a"), "--json")
    assert (spoken.code, spoken.err) == (0, "")
    assert {event["event"] for event in spoken.events} == events
    for flags in (["-q"], ["--quiet", "-v"], ["--verbose", "-q"]):
        silent = geounet(*words("b"), *flags, *(["--overwrite"] if "OUT" in call else []))
        assert (silent.code, silent.out, silent.err) == (0, "", "")


@pytest.mark.parametrize(
    "command",
    [
        *(c for c in COMMANDS if c not in ("models", "ledger")),
        *(f"models {c}" for c in ("list", "show", "export")),
        *(f"ledger {c}" for c in ("list", "show", "retry", "forget")),
    ],
)
def test_every_command_has_the_same_switches(command, geounet):
    text = geounet(*command.split(), "--help").out
    for line in ("--json", "-q, --quiet", "-v, --verbose"):
        assert line in text


def test_dry_run_is_plan_and_touches_nothing(infer, geounet, world, tmp_path):
    ending = infer(world.scene, "-o", tmp_path / "out", "--dry-run", "--json")
    plan = geounet("plan", world.scene, "-m", world.model, "-o", tmp_path / "out", "--json")
    for event in (ending.events[0], plan.events[0]):
        assert event["tiles"] == 16
        assert event["recompute_factor"] == 1
    assert not (tmp_path / "out").exists()
    text = geounet("plan", world.scene, "-m", world.model)
    assert "200 × 170 px" in text.out
    assert "16 of 64 px, overlap 16 px" in text.out
    assert (text.err, geounet("plan", world.scene, "-m", world.model, "-q").out) == ("", "")


# --- folders ----------------------------------------------------------------------------------------------------


def test_results_lie_beside_the_scene(infer, world, tmp_path):
    scene = shutil.copy(world.scene, tmp_path / "town.tif")
    assert infer(scene, "-q").code == 0
    assert (tmp_path / "town_geounet/landuse.geojson").is_file()


def test_fresh_and_overwrite(infer, world, tmp_path):
    call = (world.scene, "-o", tmp_path / "out", "--json")
    first = infer(*call).events[-1]
    assert infer(*call).events[-1]["reused"]
    assert not infer(*call, "--fresh").events[-1]["reused"]
    refused = infer(*call, "--tta", "flips")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert dict(hashes(tmp_path / "out")) == world.hashes, "a refused run leaves what is there"
    changed = infer(*call, "--tta", "flips", "--overwrite").events[-1]
    assert changed["area_by_class"] != first["area_by_class"]


def test_new_vectors_do_not_compute_the_rasters_again(infer, world, tmp_path):
    call = (world.scene, "-o", tmp_path / "out", "--json", "--overwrite")
    infer(*call)
    before = (tmp_path / "out/landuse.tif").stat().st_mtime_ns
    assert infer(*call, "--min-area", "20").code == 0
    assert (tmp_path / "out/landuse.tif").stat().st_mtime_ns == before


def test_speed_is_of_what_this_run_computed(infer, world, tmp_path):
    call = (world.scene, "-o", tmp_path / "out", "--overwrite")
    assert infer(*call, "--json").events[-1]["pixels_computed"] == 170 * 200
    ending = infer(*call, "--min-area", "20")
    assert "scene: 0.0 Mpx, computed by an earlier run; the rest in " in ending.out
    assert "Mpx/s" not in ending.out
    assert infer(*call, "--min-area", "30", "--json").events[-1]["pixels_computed"] == 0


def test_files_of_the_user_are_not_replaced(infer, world, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/landuse.geojson").write_text("mine")
    infer(world.scene, "-o", tmp_path / "out", "-q").refused("landuse.geojson", "--overwrite")
    assert (tmp_path / "out/landuse.geojson").read_text() == "mine"


def test_output_that_is_a_file(infer, world, tmp_path):
    (tmp_path / "out").write_text("")
    infer(world.scene, "-o", tmp_path / "out").refused("cannot be written", "--output")
    infer(world.scene, "-o", tmp_path / "out/deep").refused("cannot be written", "--output")


def test_scene_in_a_folder_that_cannot_be_written(infer, world, tmp_path, monkeypatch):
    folder = tmp_path / "dvd"
    folder.mkdir()
    scene = shutil.copy(world.scene, folder / "town.tif")
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # the superuser writes anywhere
        real = Path.mkdir

        def mkdir(self, *args, **kwargs):
            if folder in self.parents:
                raise PermissionError(13, "Permission denied", str(self))
            real(self, *args, **kwargs)

        monkeypatch.setattr(Path, "mkdir", mkdir)
    infer(scene).refused("town_geounet cannot be written: Permission denied", "--output")
    assert infer(scene, "-o", tmp_path / "out", "-q").code == 0
    folder.chmod(0o755)


# --- several scenes ---------------------------------------------------------------------------------------------


def test_one_broken_scene_does_not_stop_the_others(infer, world, tmp_path):
    for name in ("a", "c"):
        shutil.copy(world.scene, tmp_path / f"{name}.tif")
    (tmp_path / "b.tif").write_bytes(b"II*\0broken")
    ending = infer(*(tmp_path / f"{n}.tif" for n in "abc"), "-o", tmp_path / "out", "-q")
    assert ending.code == 1
    assert ending.err.count("\n") == 1
    assert "b.tif" in ending.err
    assert {n: (tmp_path / "out" / n / "landuse.tif").is_file() for n in "abc"} == {
        "a": True,
        "b": False,
        "c": True,
    }


def test_all_scenes_refused(infer, tmp_path):
    ending = infer(tmp_path / "a.tif", tmp_path / "b.tif", "-o", tmp_path / "out", "-q")
    assert ending.code == 2
    assert ending.err.count("\n") == 2


def test_the_command_line_and_python_agree_where_results_go(world, tmp_path, monkeypatch):
    from geounet.config import build_options
    from geounet.run.opening import folder_of
    from geounet.run.pipeline import plan_scene

    scene = shutil.copy(world.scene, tmp_path / "town.north.tif")
    monkeypatch.chdir(tmp_path)
    for path in (scene, "town.north.tif", "./town.north.tif"):
        for output in (None, Path("maps")):
            for several in (True, False):
                options = build_options({}, {"model": str(world.model), "output": output and str(output)})
                planned = plan_scene([path], options, several=several).output
                assert planned == folder_of(str(path), output, several=several)
    assert folder_of("https://a.b/c/town.tif?key=1", None, several=True) == tmp_path / "town_geounet"


def test_equal_stems(infer, world, tmp_path):
    scenes = []
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        scenes.append(shutil.copy(world.scene, tmp_path / name / "town.tif"))
    infer(*scenes, "-o", tmp_path / "out", "-q").refused("both write to", "town")
    assert not (tmp_path / "out").exists()
    infer(scenes[0], scenes[0], "-q").refused("both write to")
    assert infer(*scenes, "-q").code == 0
    assert all((tmp_path / name / "town_geounet/landuse.tif").is_file() for name in ("east", "west"))


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a b.tif", "ünï–çødé 日本.tif", "new\nline.tif", "quo'te\".tif", "-dash.tif", "..tif", "a%20b&<x>.tif", "bare",
     ".hidden.tif", "two.dots.tif", "x" * 200 + ".tif"],
)  # fmt: skip
def test_awkward_names(name, infer, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(world.scene, tmp_path / name)
    ending = infer("-q", "--", name)
    assert (ending.code, ending.out, ending.err) == (0, "", "")
    made = [entry for entry in tmp_path.iterdir() if entry.name != name]
    assert len(made) == 1
    assert made[0].name.isprintable()
    item = json.loads((made[0] / "item.json").read_text())
    assert item["type"] == "Feature"
    assert name not in (made[0] / "report.html").read_text() or "<" not in name


def test_a_name_that_climbs_stays_in_its_folder(infer, world, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    shutil.copy(world.scene, tmp_path / "up.tif")
    shutil.copy(world.scene, tmp_path / "deep/b.tif")
    monkeypatch.chdir(tmp_path / "deep")
    assert infer("../up.tif", "b.tif", "-q", "-o", "out").code == 0
    assert {p.name for p in Path("out").iterdir()} == {"up", "b"}


# --- the other commands -------------------------------------------------------------------------------------


def test_info(geounet, world):
    scene = geounet("info", world.scene)
    assert (scene.code, scene.err) == (0, "")
    for word in ("200 × 170 px", "red, green, blue", "EPSG:32640", "0.5 m on the ground"):
        assert word in scene.out
    assert geounet("info", world.scene, "--json").events[0]["width"] == 200
    model = geounet("info", world.model)
    assert "sides must be multiples of 4" in model.out
    assert model.out == geounet("models", "show", world.model).out
    assert geounet("info", world.model, "--json").events[0]["tile"] == 64
    geounet("info", "nowhere.tif").refused("nowhere.tif")
    geounet("models", "show", "nowhere").refused("nowhere")


def test_vectorize(geounet, world, tmp_path):
    labels = shutil.copy(world.plain / "landuse.tif", tmp_path)
    ending = geounet("vectorize", labels)
    assert ending.code == 0
    assert "  vegetation  " in ending.out, "the raster knows the names of its classes"
    assert (tmp_path / "landuse.geojson").is_file()
    geounet("vectorize", labels, "-q").refused("--overwrite")
    ending = geounet("vectorize", labels, "-o", tmp_path / "x.gpkg", "--min-area", "5", "--json")
    done = ending.events[-1]
    assert Path(done["paths"][0]).name == "x.gpkg"
    assert done["features"] > 0
    geounet("vectorize", world.scene).refused("3 bands")
    geounet("vectorize", tmp_path / "nowhere.tif").refused("nowhere.tif")
    geounet("vectorize", labels, "--format", "kml").refused("kml")
    geounet("vectorize", labels, "-o", tmp_path).refused("is a folder")


def test_vectorize_of_a_raster_with_very_many_values_lists_the_largest(geounet, tmp_path):
    values = np.arange(100, dtype=np.uint8).reshape(10, 10).repeat(2, axis=0)
    values[:4] = 7
    with rasterio.open(
        tmp_path / "v.tif", "w", driver="GTiff", width=10, height=20, count=1, dtype="uint8"
    ) as file:
        file.write(values, 1)
    ending = geounet("vectorize", tmp_path / "v.tif")
    lines = [line for line in ending.out.splitlines() if line.startswith("  class ")]
    assert len(lines) == 30
    assert lines[0].split() == ["class", "7", "40", "px"]
    assert "  and 51 classes more" in ending.out


def test_vectorize_of_a_finished_raster_is_what_infer_left(geounet, world, tmp_path):
    geounet("vectorize", world.plain / "landuse.tif", "-o", tmp_path / "landuse.geojson", "-q")
    with (world.plain / "landuse.geojson").open() as a, (tmp_path / "landuse.geojson").open() as b:
        for left, right in zip(json.load(a)["features"], json.load(b)["features"], strict=True):
            left["properties"].pop("confidence_mean")
            right["properties"].pop("confidence_mean", None)
            assert left == right


def test_sample(geounet, tmp_path):
    ending = geounet("sample", tmp_path / "town.tif", "--size", "96", "--seed", "3")
    assert ending.code == 0
    with rasterio.open(tmp_path / "town.tif") as dataset:
        assert dataset.shape == (96, 96)
    geounet("sample", tmp_path / "town.tif", "--size", "96", "-q").refused("--overwrite")
    assert geounet("sample", tmp_path / "town.tif", "--size", "96", "--overwrite", "-q").code == 0
    geounet("sample", tmp_path / "x.tif", "--size", "1").refused("--size")


def test_models_export(geounet, world, tmp_path):
    assert geounet("models", "list").code == 0
    assert geounet("models", "export", world.model, "-o", tmp_path / "copy").code == 0
    shown = [geounet("models", "show", m).out.splitlines()[1:-1] for m in (world.model, tmp_path / "copy")]
    fields = [[line for line in lines if line.split()[0] == "context"] for lines in shown]
    assert "measured now" in fields[0][0]  # the copy has it in its card
    assert "measured now" not in fields[1][0]
    assert [line for line in shown[0] if line not in fields[0]] == [
        line for line in shown[1] if line not in fields[1]
    ]
    geounet("models", "export", world.model, "-o", tmp_path / "copy").refused("copy exists")
    assert geounet("models", "export", world.model, "-o", tmp_path / "copy", "--overwrite").code == 0


def test_doctor(geounet):
    ending = geounet("doctor", "--json")
    checks = {event["name"]: event["good"] for event in ending.events}
    assert ending.code == (0 if all(checks.values()) else 1)
    assert {"geounet", "GDAL", "GDAL write COG", "CUDA devices", "torch", "extra parquet"} <= set(checks)


def test_train_refuses_in_one_line(geounet, tmp_path):
    geounet("train", tmp_path / "nowhere.yaml", "-o", tmp_path / "out").refused("nowhere.yaml")


# --- scenes that hold nothing, or hardly anything ---------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (5, 3)])
def test_scenes_smaller_than_a_tile(shape, infer, tmp_path):
    pixels = np.arange(1, 1 + 3 * shape[0] * shape[1]).reshape(3, *shape).astype(np.uint8)
    scene = write_scene(tmp_path / "small.tif", pixels, photometric="rgb")
    assert infer(scene, "-q").code == 0
    with rasterio.open(tmp_path / "small_geounet/landuse.tif") as dataset:
        assert dataset.shape == shape
        assert (dataset.read(1) != 255).all()


def test_a_scene_without_a_valid_pixel(infer, tmp_path):
    scene = write_scene(tmp_path / "void.tif", np.zeros((3, 70, 70), np.uint8), nodata=0, photometric="rgb")
    ending = infer(scene, "--json")
    assert ending.code == 0
    assert ending.events[-1]["features"] == {"landuse": 0, "road": 0}
    assert json.loads((tmp_path / "void_geounet/landuse.geojson").read_text())["features"] == []


def test_a_network_that_gives_no_numbers_is_one_line(geounet, world, tmp_path):
    spec = load(world.model).spec
    model = save(tmp_path / "nan", constant(spec, [0, float("nan"), 0, 0]), spec)
    ending = geounet("infer", world.scene, "-m", model, "-o", tmp_path / "out", "-q", "--block", "96")
    ending.refused("blocks of scene failed", "columns 0 to 96", "head 'landuse' is not a number", code=1)
    assert not list((tmp_path / "out").glob("*.tif"))
