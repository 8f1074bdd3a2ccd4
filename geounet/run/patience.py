"""Folders and files that are away for a while, as on a share whose server starts again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from geounet.errors import WorkError

AWAY = 60.0
"""Seconds to wait for them."""

_KNOCK = 0.5


def wait_for(paths: Iterable[str | Path]) -> bool:
    """Wait until all of these are there; whether any was away.

    Raises WorkError, in one line, where one does not come back in time.
    """
    wanted = [Path(path) for path in paths]
    deadline = time.monotonic() + AWAY
    waited = False
    for path in wanted:
        while not path.exists():
            if time.monotonic() > deadline:
                raise WorkError(
                    f"{path} has gone; what is finished is kept; bring it back and run the same command again"
                )
            waited = True
            time.sleep(_KNOCK)
    return waited
