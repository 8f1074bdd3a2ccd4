"""Maps of the Sentinel-2 scenes of the last week: writes a schedule for a STAC API and runs it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import yaml
from common import in_one_line

from geounet.errors import ConfigError


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--stac", required=True, metavar="URL", help="A STAC API that has Sentinel-2.")
@click.option("--bbox", required=True, nargs=4, type=float, metavar="W S E N", help="Degrees.")
@click.option("--model", required=True, help="A model for 10 m imagery: a name, a package folder, an .onnx file.")
@click.option("--collection", default="sentinel-2-l2a", show_default=True)
@click.option("--asset", "assets", multiple=True, default=("red", "green", "blue"), show_default=True,
              help="A band, in the model's order; once per band.")  # fmt: skip
@click.option("--days", type=click.IntRange(min=1), default=7, show_default=True)
@click.option("--until", metavar="YYYY-MM-DD", help="Last day; today (UTC) if not given.")
@click.option("--cloud", type=click.FloatRange(0, 100), default=20, show_default=True, help="Percent at most.")
@click.option("--write-only", is_flag=True, help="Write the schedule, and leave the run to cron.")
@in_one_line
def main(folder: Path, *, write_only: bool, **asked: Any) -> int:
    """Map the Sentinel-2 scenes of the last week into FOLDER.

    \b
    python workflows/scripts/sentinel2_week.py weekly --stac https://stac.example.org/v1 \\
        --bbox 13.0 52.3 13.8 52.7 --model models/landcover-10m

    FOLDER gets schedule.yaml and, per scene, maps/YEAR/SCENE/. Run it every week, or every day: a scene is
    processed once, whatever weeks it lies in, and a failed one is tried again. The default model is none for this
    imagery, as it was trained below 1 m. Exit codes are those of geounet run: 1, some scene failed; 2, it cannot
    work; 130, stopped.
    """
    schedule = schedule_of(**asked)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "schedule.yaml"
    _keep_a_foreign_file(file)
    file.write_text(f"{_HEAD}{yaml.safe_dump(schedule, sort_keys=False)}", encoding="utf-8")
    click.echo(f"{file}: {schedule['source']['datetime']}")
    if write_only:
        return 0
    return subprocess.run([sys.executable, "-m", "geounet", "run", str(file)], check=False).returncode


_HEAD = "# Written by sentinel2_week.py; the next run of it writes this file again.\n"


def _keep_a_foreign_file(file: Path) -> None:
    """ConfigError where somebody else wrote the schedule."""
    if file.exists() and not file.read_text(encoding="utf-8", errors="replace").startswith(_HEAD):
        raise ConfigError(f"{file} is there and was not written by this script; choose another folder")


def schedule_of(
    *,
    stac: str,
    bbox: tuple[float, float, float, float],
    model: str,
    collection: str,
    assets: tuple[str, ...],
    days: int,
    until: str | None,
    cloud: float,
) -> dict[str, Any]:
    """The schedule of a week that ends with the day ``until``. Raises ConfigError."""
    west, south, east, north = bbox
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
        raise ConfigError(f"--bbox {west} {south} {east} {north}: expected west south east north in degrees")
    last = _day(until)
    local = Path(model)
    return {
        "source": {
            "stac": stac,
            "collections": [collection],
            "bbox": [west, south, east, north],
            "datetime": f"{last - timedelta(days=days - 1)}/{last}",
            "cloud_cover": cloud,
            "assets": list(assets),
        },
        "infer": {"model": str(local.absolute()) if local.exists() else model, "allow-remote": True},
        "destination": "maps/{year}/{scene}",
    }


def _day(text: str | None) -> date:
    try:
        return datetime.now(UTC).date() if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--until {text}: expected a day such as 2026-05-31") from error


if __name__ == "__main__":
    main()
