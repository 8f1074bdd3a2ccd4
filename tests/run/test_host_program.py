"""A program that calls geounet finds itself as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import Case

PROGRAM = """
import json, logging, signal, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import spawn
from rasterio._env import get_gdal_config
import torch, dask, distributed, rasterio, geopandas, numba  # what their import does is theirs

def state():
    loggers = ["", "distributed", "distributed.worker", "distributed.scheduler", "rasterio", "tornado", "asyncio"]
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(torch.get_num_threads).result()
    return {
        "levels": {name: logging.getLogger(name).level for name in loggers},
        "torch": [torch.get_num_threads(), later],
        "filters": [str(entry) for entry in warnings.filters],
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "cache": get_gdal_config("GDAL_CACHEMAX"),
        "spawn": str(spawn.get_preparation_data),
        "hooks": [str(sys.excepthook), str(threading.excepthook), str(warnings.showwarning)],
    }

if __name__ == "__main__":
    import geounet
    logging.getLogger("distributed").setLevel(logging.INFO)
    torch.set_num_threads(3)
    rasterio._env.set_gdal_config("GDAL_CACHEMAX", 300_000_000)
    warnings.filterwarnings("error", message="nobody says this")
    options = json.loads(sys.argv[1])
    before = state()
    try:
        geounet.infer(options.pop("scene"), **options)
    except geounet.errors.GeounetError as error:
        print(error, file=sys.stderr)
    after = state()
    print(json.dumps({name: [before[name], after[name]] for name in before if before[name] != after[name]}))
"""


@pytest.mark.parametrize(
    "more",
    [{}, {"precision": "bf16", "threads": 2}, {"workers": 2}, {"scheduler": "tcp://127.0.0.1:9"}],
    ids=["onnx", "torch", "workers", "error"],
)
def test_nothing_of_the_program_is_changed(case: Case, tmp_path: Path, more: dict[str, Any]) -> None:
    options = case.options(tmp_path, **{"block": 150, **more})
    call = [sys.executable, "-c", PROGRAM, json.dumps(options, default=str)]
    ending = subprocess.run(call, capture_output=True, text=True, check=False, timeout=200)
    assert json.loads(ending.stdout.splitlines()[-1]) == {}, ending.stderr
    assert ("does not answer" in ending.stderr) == ("scheduler" in more)
