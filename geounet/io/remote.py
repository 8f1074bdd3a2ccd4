"""Scenes behind a URL: GDAL's options for them, and what the server says about the file."""

from __future__ import annotations

# Sources: https://gdal.org/user/configoptions.html and https://gdal.org/user/virtual_file_systems.html;
# the choice follows https://developmentseed.org/titiler/advanced/performance_tuning/
REMOTE_OPTIONS: dict[str, str] = {
    # never list the folder of the file, nor look for sidecars: a bucket may hold a million files
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # a first range that holds the header of most COGs, so that opening is one request
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    # blocks that follow each other are one request
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    # ranges that were fetched are kept: 64 MB, GDAL's own 16 MB is less than one row of large blocks
    "CPL_VSIL_CURL_CACHE_SIZE": str(64 * 2**20),
    # 429, 500, 502, 503, 504 and broken connections: again after 0.5 s, 1 s, 2 s, 4 s
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    # a server that is silent is an error, not a hang
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
}

_TIMEOUT_S = 10


def etag(path: str) -> str | None:
    """The ``ETag`` (or ``Last-Modified``) of a ``/vsicurl/`` path; None where the server gives none."""
    url = path.removeprefix("/vsicurl/")
    if not url.startswith(("http://", "https://")):
        return None
    import urllib.request  # brings http and email along, which files on disk do not need

    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
            return reply.headers.get("ETag") or reply.headers.get("Last-Modified")
    except (OSError, ValueError):
        return None
