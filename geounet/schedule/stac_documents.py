"""STAC's JSON documents, from files and from servers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from geounet.errors import MissingExtraError
from geounet.io.access import is_remote, one_line, public_url

if TYPE_CHECKING:
    from pystac_client.stac_api_io import StacApiIO

_PATIENCE = 30.0  # seconds that a server may be silent
_BUSY = (429, 500, 502, 503, 504)


class Unreadable(Exception):
    """A document that cannot be had; its text is the reason, in one line."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        """What a server answered."""


class Documents:
    """Reads documents, one at a time."""

    def __init__(self, *, allow_remote: bool) -> None:
        self._allow_remote = allow_remote

    def read(self, href: str) -> dict[str, Any]:
        """The JSON object at a path or an address. Raises Unreadable; MissingExtraError without pystac-client."""
        try:
            found = json.loads(self._text(href))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"it is no JSON: {one_line(str(error))}") from error
        if not isinstance(found, dict):
            raise Unreadable(f"it holds a {type(found).__name__}; expected a JSON object")
        return found

    def _text(self, href: str) -> str:
        if not is_remote(href):
            try:
                return Path(href).read_text(encoding="utf-8")
            except OSError as error:
                raise Unreadable(error.strerror or str(error)) from error
        if not href.startswith(("http://", "https://")):
            raise Unreadable("expected a file, or an address that begins with http:// or https://")
        if not self._allow_remote:
            raise Unreadable("it is remote; set infer.allow-remote: true")
        server = self.server
        with told():
            return server.request(href)

    @cached_property
    def server(self) -> StacApiIO:
        """Asks servers; again where they are busy."""
        try:
            from pystac_client.stac_api_io import StacApiIO
            from urllib3.util import Retry
        except ImportError as error:
            raise MissingExtraError("pystac-client", "stac", "a STAC catalogue on a server") from error
        again = Retry(
            total=4,
            connect=1,
            backoff_factor=0.5,
            status_forcelist=_BUSY,
            allowed_methods=None,  # a search by POST changes nothing
            raise_on_status=False,
            respect_retry_after_header=False,  # which may say hours; the next look comes anyway
        )
        return StacApiIO(timeout=_PATIENCE, max_retries=again)


@contextmanager
def told() -> Iterator[None]:
    """A context in which the errors of pystac-client, and of what it was given, become `Unreadable`."""
    from pystac.errors import STACError
    from pystac_client.exceptions import APIError

    try:
        yield
    except APIError as error:
        status = getattr(error, "status_code", None)
        raise Unreadable(_reason(str(error), status), status=status) from error
    except (STACError, KeyError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise Unreadable(f"it is not what STAC asks for: {one_line(str(error))[:200]}") from error


def _reason(text: str, status: int | None) -> str:
    """What went wrong, without the address, in which there may be secrets."""
    if status is not None:
        return f"it answered {status}: {one_line(' '.join(text.split()))[:120]}"
    errno = re.search(r"\[Errno -?\d+\] ([\w ]+)", text)
    return f"it does not answer{f': {errno[1]}' if errno else ''}"


def resolve_href(href: str, base: str) -> str:
    """The path or address that ``href`` means in the document at ``base``."""
    if href.lower().startswith("file:"):
        return unquote(urlsplit(href).path)
    if is_remote(href):
        return href
    if is_remote(base):
        return urljoin(base, href)
    plain = os.path.normpath(os.path.join(os.path.dirname(base), href))  # noqa: PTH118, PTH120  hrefs, not Paths
    decoded = os.path.normpath(os.path.join(os.path.dirname(base), unquote(href)))  # noqa: PTH118, PTH120
    return decoded if not os.path.exists(plain) and os.path.exists(decoded) else plain  # noqa: PTH110


def under(root: str, path: str) -> str:
    """An address below another one, whose query is left out."""
    return urlsplit(root)._replace(query="", fragment="").geturl().rstrip("/") + path


def shown(href: str) -> str:
    """A path or an address as messages show it and the ledger keeps it: nothing secret in it."""
    return public_url(href) if is_remote(href) else one_line(href)
