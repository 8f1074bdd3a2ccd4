"""Files and servers that the tests of io/ read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
WriteTif = Callable[..., Path]


def _write(folder: Path, name: str, data: np.ndarray, **profile: Any) -> Path:
    """``data`` ``(bands, h, w)`` as a GTiff in UTM 33N at 10 m, with descriptions, colorinterp and mask."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    after = {k: profile.pop(k) for k in ("descriptions", "colorinterp", "mask") if k in profile}
    count, height, width = data.shape
    shape = {"width": width, "height": height, "count": count, "dtype": data.dtype}
    with rasterio.open(path, "w", **({"driver": "GTiff", **UTM, **shape} | profile)) as out:
        if "descriptions" in after:
            out.descriptions = after["descriptions"]
        if "colorinterp" in after:
            out.colorinterp = after["colorinterp"]
        out.write(data)
        if "mask" in after:
            out.write_mask(after["mask"])
    return path


@pytest.fixture
def write_tif(tmp_path: Path) -> WriteTif:
    """Writes a GTiff into the test's folder: ``write_tif(name, data, **profile)``."""
    return partial(_write, tmp_path)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@dataclass
class RangeServer:
    """Serves a folder on loopback, whole or by ranges, and remembers what it was asked."""

    url: str
    sent: int = 0
    """Bytes of bodies."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """``(method, path, Range header)``."""
    failures: int = 0
    """So many of the next requests are answered 503."""


@pytest.fixture
def range_server(tmp_path: Path) -> Iterator[RangeServer]:
    state = RangeServer(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.requests.append((self.command, self.path, asked))
            file = tmp_path / self.path.split("?")[0].lstrip("/")
            if state.failures > 0:
                state.failures -= 1
                return self._reply(503, b"busy")
            if not file.is_file():
                return self._reply(404, b"no such file")
            content = file.read_bytes()
            if asked is None:
                return self._reply(200, content)
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or len(content)) + 1, len(content))
            span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
            return self._reply(206, content[start:stop], span)

        def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), "ETag": '"1"', **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                state.sent += len(body)
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
