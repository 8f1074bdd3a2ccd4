"""``python -m tests.benchmarks [NAME …]``: measure, print tables, keep them."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import psutil

from tests.benchmarks import machine
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Table, as_markdown, as_text

NAMES = (
    "startup",
    "recompute",
    "engine",
    "route",
    "vectorize",
    "workers",
    "memory",
    "lines",
    "training",
    "unattended",
    "scale",
)
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
_BUSY = 0.5


def main() -> None:
    """Run the benchmarks that were named, or all; print each table when it is there."""
    arguments = _parse()
    settings = Settings(
        size=arguments.size,
        repeats=arguments.repeats,
        model=arguments.model,
        threads=arguments.threads,
        blocks=arguments.blocks,
        batches=arguments.batches,
        large=arguments.large,
    )
    load = machine.load()
    about = [*machine.describe(), f"model `{settings.model}`; load when the measuring began: {load:.2f}"]
    print("\n".join(about))
    if load > _BUSY:
        print("The machine is busy: trust ratios of CPU time, not those of wall time.")
    tables: list[Table] = []
    for name in arguments.names or NAMES:
        tables.append(import_module(f"tests.benchmarks.{name}").measure(settings))
        print(f"\n{as_text(tables[-1])}", flush=True)
        if arguments.markdown is not None:
            put_into(arguments.markdown, "\n".join([*(f"- {line}" for line in about), "", as_markdown(tables)]))


def put_into(path: Path, measured: str) -> None:
    """Replace what lies between the two marks of a page, which is made where it is not there."""
    page = path.read_text(encoding="utf-8") if path.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{measured.rstrip()}\n{END}{after}", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*NAMES, []], help=f"of {', '.join(NAMES)}")
    parser.add_argument("--size", type=int, default=8192, help="side of the sample scene in pixels")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; medians are shown")
    parser.add_argument("--model", default="landuse-roads", help="model package, by name or folder")
    parser.add_argument("--threads", type=int, default=len(psutil.Process().cpu_affinity()), help="tiles at a time")
    parser.add_argument("--blocks", type=int, default=5000, help="of the benchmark scale; with --large 100,000")
    parser.add_argument("--batches", type=int, default=12, help="drawn by each side of training; steps: a quarter")
    parser.add_argument("--large", action="store_true", help="also what takes many minutes (memory at 32768²)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
