"""A server on loopback that serves a folder, whole or by ranges, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class RangeServer:
    """What a server was asked, and how it is to behave."""

    folder: Path
    url: str = ""
    sent: int = 0
    """Bytes of bodies."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """``(method, path, Range header)``."""
    failures: int = 0
    """So many of the next requests are answered 503."""


class RangeHandler(BaseHTTPRequestHandler):
    """Answers one connection; its class knows the server's state."""

    protocol_version = "HTTP/1.1"
    state: RangeServer

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.counted():
            self.send_file()

    def counted(self) -> bool:
        """Write the request down; False where it was answered with a failure."""
        self.state.requests.append((self.command, self.path, self.headers.get("Range")))
        if self.state.failures > 0:
            self.state.failures -= 1
            self.reply(503, b"busy")
            return False
        return True

    def send_file(self) -> None:
        file = self.state.folder / self.path.split("?")[0].lstrip("/")
        if not file.is_file():
            return self.reply(404, b"no such file")
        content, asked = file.read_bytes(), self.headers.get("Range")
        if asked is None:
            return self.reply(200, content)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(content)) + 1, len(content))
        span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        return self.reply(206, content[start:stop], span)

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), "ETag": '"1"', **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.state.sent += len(body)
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests count requests themselves."""


@contextmanager
def serving(state: RangeServer, kind: type[RangeHandler] = RangeHandler) -> Iterator[None]:
    """Serve until the end of the context; ``state.url`` says where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (kind,), {"state": state}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
