"""Two local worker processes against one."""

from __future__ import annotations

from tests.benchmarks.processes import in_turn, infer, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table


def measure(settings: Settings) -> Table:
    """Whole runs with one and with two workers of one thread each, in turn."""
    scene, output = settings.scene, settings.outputs / "workers"

    def with_workers(count: int) -> list[str]:
        return infer(scene, settings.model, output, "--workers", str(count), "--threads", "1")

    sides = in_turn(
        {"one": lambda: run(with_workers(1)), "two": lambda: run(with_workers(2))}, repeats=settings.repeats
    )
    blocks = {name: median(r.said["timings"]["blocks"] for r in runs) for name, runs in sides.items()}
    walls = {name: median(r.wall for r in runs) for name, runs in sides.items()}
    return Table(
        title="workers: two processes against one",
        about=(
            f"`--workers 2 --threads 1` against `--workers 1 --threads 1` over {settings.size} × {settings.size}; "
            "“tiles” is the stage that the workers do, start and end of the processes included."
        ),
        results=(
            Result(
                what="tiles, one ÷ two", value=blocks["one"] / blocks["two"], unit="x", target=1.8,
                higher_is_better=True,
            ),
            Result(what="whole run, one ÷ two", value=walls["one"] / walls["two"], unit="x"),
            *(Result(what=f"tiles, {name} worker(s)", value=value, unit="s") for name, value in blocks.items()),
        ),
    )  # fmt: skip
