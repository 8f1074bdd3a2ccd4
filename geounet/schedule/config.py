"""The file of an unattended run: YAML → checked, frozen values. Unknown keys are refused with the nearest one."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from geounet.config import build_options, options_from
from geounet.errors import ConfigError
from geounet.io.access import is_remote
from geounet.quantities import parse_duration, parse_size
from geounet.run.options import InferOptions
from geounet.schedule.layout import check_template
from geounet.schedule.stac_query import check_bbox, parse_interval
from geounet.sections import Section, read_sections

Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Kept = Annotated[
    float, BeforeValidator(lambda k: (inf if k else 0.0) if isinstance(k, bool) else parse_duration(k))
]
Command = Annotated[tuple[str, ...], BeforeValidator(lambda c: tuple(shlex.split(c)) if isinstance(c, str) else c)]

Names = Annotated[tuple[str, ...], BeforeValidator(lambda n: (n,) if isinstance(n, str) else n)]

OF_STAC = ("collections", "bbox", "area", "datetime", "cloud_cover", "assets", "limit")
"""Keys of a source that only a STAC catalogue has."""
_OURS = {"output": "destination", "base": None, "fresh": None, "overwrite": None, "stack": "source"}
"""Options of ``geounet infer`` that the schedule decides, and its own key for them."""


class SourceConfig(Section):
    """Where new scenes appear; one of ``folder``, ``list`` and ``stac``."""

    folder: Path | None = None
    glob: str = "*.tif"
    """Which files of the folder are scenes; ``**/*.tif`` looks into its folders too."""
    settle: Duration = 10.0
    """A file that changed less than this ago may still be on its way, and waits for the next look."""
    list: Path | None = None
    """A text file with the path (or address) of a scene per line; ``#`` begins a remark."""
    stac: str | None = None
    """Address of a STAC API, or address or path of a static STAC catalogue; an item is a scene."""
    collections: Names = ()
    """Only these collections."""
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees: only items that touch it."""
    area: Path | None = None
    """A vector file: only items that touch its polygons; instead of ``bbox``."""
    datetime: Annotated[str, BeforeValidator(str)] = ".."
    """Only items of this time: ``2026-01-01/..``, ``2026-01-01/2026-03-31``; both days are included."""
    cloud_cover: float | None = Field(default=None, ge=0, le=100)
    """At most so many percent; items that do not say are left out."""
    assets: Names = ()
    """The assets whose bands make the scene, in this order."""
    limit: int | None = Field(default=None, ge=1)
    """Look at no more than the newest so many items."""

    @model_validator(mode="after")
    def _check(self) -> SourceConfig:
        given = [name for name in ("folder", "list", "stac") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'nothing'} given; expected one of folder, list and stac")
        if self.stac is None:
            strange = [name for name in OF_STAC if name in self.model_fields_set]
            if strange:
                raise ValueError(f"{strange[0]} is for a STAC catalogue; expected stac with it, or leave it out")
        elif not self.assets:
            raise ValueError("stac without assets; expected names of assets, such as assets: [B04, B03, B02]")
        if self.bbox is not None and self.area is not None:
            raise ValueError("bbox and area given; expected one of them")
        if self.bbox is not None:
            check_bbox(self.bbox)
        parse_interval(self.datetime)
        return self


class RetryConfig(Section):
    """What becomes of a scene that fails."""

    attempts: int = Field(default=3, ge=1)
    """Failures after which it is set aside with its reason."""
    backoff: Duration = 300.0
    """How long the second attempt waits; each further one twice as long."""
    lease: Duration = Field(default=600.0, ge=1)
    """How long a run that gave no sign of life keeps its scene; a sign is given every third of it."""


class KeepConfig(Section):
    """What stays, and how much room it may take."""

    runs: int = Field(default=1, ge=1)
    """Results kept per scene; with more than one the destination must name ``{run}``."""
    parts: Kept = 30 * 86400.0
    """How long the parts of a run stay, which are half as large as its maps: until then a scene that is delivered
    again, or was set aside, costs only the blocks that are not done or changed. ``true``: as long as the results;
    ``false``: not at all. Those of versions that were replaced go earlier, and all where the disk is short."""
    free: Size = 2**30
    """Room that stays free on the destination's disk: no scene is begun with less."""


class PublishConfig(Section):
    """Where results go besides their folder."""

    postgis: str | None = Field(default=None, pattern=r"^postgres(ql)?://")
    """A database with PostGIS: ``postgresql://user@host/database``."""
    table: str = Field(default="geounet", pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")
    """Its table, which gets the vectors of all scenes; ``schema.table`` too."""


class SignalConfig(Section):
    """Whom to tell."""

    on_success: Command = ()
    """A command, run without a shell after a scene was published; ``{output}``, ``{scene}``, … are filled in."""
    on_failure: Command = ()
    webhook: str | None = Field(default=None, pattern=r"^https?://")
    """Gets a JSON object by POST after each scene."""
    metrics: Path | None = None
    """A Prometheus textfile (node_exporter's collector), written after each look."""


class ScheduleConfig(Section):
    """The whole file."""

    source: SourceConfig
    infer: dict[str, Any] = Field(default_factory=dict)
    """Options of ``geounet infer``."""
    destination: str
    """Folder of a scene's results, by template."""
    ledger: str = ""
    """A SQLite file; by default ``ledger.sqlite`` in the destination's fixed part."""
    catalog: bool = True
    """Keep a static STAC catalogue over all results, and an index page."""
    publish: PublishConfig = PublishConfig()
    retry: RetryConfig = RetryConfig()
    keep: KeepConfig = KeepConfig()
    signals: SignalConfig = SignalConfig()

    @field_validator("destination")
    @classmethod
    def _fields_are_known(cls, template: str) -> str:
        check_template(template)
        return template

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        if self.keep.runs > 1 and "{run}" not in self.destination:
            raise ValueError(f"keep.runs {self.keep.runs}; expected {{run}} in destination, which tells runs apart")
        for name, instead in _OURS.items():
            if name in self.infer:
                raise ValueError(f"infer.{name} is decided here{f' by {instead}' if instead else ''}; leave it out")
        return self

    @property
    def root(self) -> Path:
        """The fixed part of the destination: everything that the run leaves lies in it."""
        fixed = self.destination.split("{", 1)[0]
        return Path(fixed if fixed.endswith("/") or fixed == self.destination else os.path.dirname(fixed) or ".")  # noqa: PTH120

    @property
    def ledger_place(self) -> str:
        """Where the ledger is."""
        return self.ledger or str(self.root / "ledger.sqlite")

    @property
    def options(self) -> InferOptions:
        """The options of every scene. Raises ConfigError."""
        return build_options({}, self.infer)

    def recipe(self, model_digest: str, contents: Mapping[str, str]) -> str:
        """Names model and options: with another recipe, scenes are processed again.

        ``contents`` stands for options that name files (`geounet.schedule.content.input_contents`).
        """
        given = {**self.infer, **contents}
        values = {key: str(value) for key, value in sorted(given.items()) if key not in _NO_PIXEL}
        return hashlib.sha256(json.dumps([model_digest, values]).encode()).hexdigest()


_NO_PIXEL = (
    "model",
    "workers",
    "threads",
    "scheduler",
    "cluster",
    "memory",
    "device",
    "allow_remote",
    "allow_pickle",
    "block",
)
"""Options that change no result (the model's digest speaks for the model)."""


def load_schedule(path: str | os.PathLike[str]) -> ScheduleConfig:
    """Read and check the file of an unattended run; paths in it start from its folder.

    Raises ConfigError with the first thing that is wrong, in one line.
    """
    file = Path(path)

    def prepare(raw: dict[str, Any]) -> Mapping[str, Any]:
        if not isinstance(raw.get("infer", {}) or {}, dict):
            raise ConfigError(f"{file}: infer: expected options of geounet infer, such as 'model: landuse-roads'")
        if "cluster" in raw:
            raise ConfigError(f"{file}: cluster is an option of geounet infer; expected it below infer:")
        infer = options_from(raw.get("infer") or {}, where=f"{file}: infer", folder=file.absolute().parent)
        return {**{key: value for key, value in raw.items() if value is not None}, "infer": infer}

    config = read_sections(file, ScheduleConfig, prepare=prepare)
    return _from_folder(config, file.absolute().parent)


def _from_folder(config: ScheduleConfig, folder: Path) -> ScheduleConfig:
    """The same with absolute paths."""

    def at(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    source, signals = config.source, config.signals
    return config.model_copy(
        update={
            "source": source.model_copy(
                update={
                    "folder": at(source.folder),
                    "list": at(source.list),
                    "area": at(source.area),
                    "stac": source.stac
                    if source.stac is None or is_remote(source.stac)
                    else str(at(Path(source.stac))),
                }
            ),
            "signals": signals.model_copy(update={"metrics": at(signals.metrics)}),
            "destination": str(folder / Path(config.destination).expanduser()),
            "ledger": str(at(Path(config.ledger)))
            if config.ledger and "://" not in config.ledger
            else config.ledger,
        }
    )
