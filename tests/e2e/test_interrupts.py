"""Ctrl-C at bad moments: the program ends at once, leaves nothing half-written, and goes on to the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from lockstep import narrow_pipe
from packages import hashes

BUSY = """
import hashlib, sys, threading
from contextlib import contextmanager
stage, mark = sys.argv[1:3]
del sys.argv[1:3]

def busy():  # minutes of C code that no signal cuts short, as of GDAL or of a compiled kernel
    open(mark, "w").close()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)

from geounet.io import cog
from geounet.run import vectorize
real_copy, real_writers = cog.gdal_copy, vectorize.open_writers

def copy(*given, **options):
    real_copy(*given, **options)
    busy()

@contextmanager
def writers(*given, **options):
    with real_writers(*given, **options) as opened:
        if threading.current_thread().name.startswith("vectors"):  # of a head, and no warming up
            busy()
        yield opened

if stage == "stitch":
    cog.gdal_copy = copy
else:
    vectorize.open_writers = writers
from geounet.cli import main
main()
"""


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("stage", ["stitch", "vectors"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_something_that_cannot_be_stopped_writes(world, tmp_path, stage, number):
    mark, out = tmp_path / "busy", tmp_path / "out"
    call = ["infer", str(world.scene), "-m", str(world.model), "-o", str(out), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, stage, str(mark), *call],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(mark, process)
        process.send_signal(number)
        told, error = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 130
    assert error.startswith("geounet: stopped")
    assert error.count("\n") == 1
    assert json.loads(told.splitlines()[-1])["exit_code"] == 130
    assert not list(out.glob(".geounet-*"))
    assert set(hashes(out)) == (set() if stage == "stitch" else {n for n in world.hashes if n.endswith(".tif")})
    again = subprocess.run([sys.executable, "-m", "geounet", *call], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert dict(hashes(out)) == world.hashes


def test_while_the_program_is_being_loaded(world, tmp_path):
    """At any moment after Python itself has started: one line or none, never a traceback.

    Python tells of each import, and the program waits until that is read: at the first one it is still loading.
    """
    for moment in range(12):
        reading, writing = narrow_pipe()
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "geounet", "info", str(world.scene)],
            stdout=subprocess.PIPE,
            stderr=writing,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        os.close(writing)
        process.stderr = reading
        for line in reading:
            if "click" in line:  # the first that is loaded when signals are listened to
                break
        if moment:
            threading.Timer(0.015 * moment, process.send_signal, [signal.SIGINT]).start()
        else:
            process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=240)
        said = [line for line in rest.splitlines() if not line.startswith("import time:")]
        assert process.returncode in (0, 130), rest
        assert said in ([], ["geounet: stopped; run the same command again to go on"]), moment
        if not moment:
            assert process.returncode == 130
