"""A small model, and folders in which scenes appear."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from packages import save, tiny_spec, unet  # noqa: E402
from places import Place  # noqa: E402

from geounet.errors import ConfigError  # noqa: E402
from geounet.schedule.database import connect  # noqa: E402


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = tiny_spec(hyperparameters={"depth": 1, "width": 4}, divisor=2)
    return save(tmp_path_factory.mktemp("models") / "tiny", unet(spec, seed=1), spec)


@pytest.fixture
def place(tmp_path: Path, model: Path) -> Callable[..., Place]:
    def make(**changes: Any) -> Place:
        found = Place(tmp_path, model)
        found.scenes.mkdir(exist_ok=True)
        found.configure(**changes)
        return found

    return make


def server_binaries() -> Path | None:
    """The folder of a PostgreSQL server's programs."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own, on a socket in a folder, without a password."""
    binaries = server_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed")
    pytest.importorskip("psycopg")
    folder = tmp_path_factory.mktemp("pg")
    user: dict[str, int] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("nobody")
        user = {"user": account.pw_uid, "group": account.pw_gid}
        home = Path(tempfile.mkdtemp(prefix="geounet-pg-", dir="/tmp"))  # a short name, as sockets must have
        os.chown(home, account.pw_uid, account.pw_gid)
        folder = home
    data = folder / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **user,
    )
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **user,
    )
    url = f"postgresql://tester@/postgres?host={folder}"
    deadline = time.monotonic() + 240
    while True:
        try:
            connect(url).close()
            break
        except ConfigError:
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.1)
    yield url
    server.send_signal(signal.SIGINT)  # at once, also where a connection was left open
    server.wait(timeout=240)
    shutil.rmtree(folder, ignore_errors=True)
