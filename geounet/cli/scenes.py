"""Several scenes in one command: which files make which scene, and one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from geounet.cli import signals
from geounet.cli.endings import tell_error
from geounet.cli.options import is_verbose
from geounet.errors import ConfigError, Interrupted, RequestError

Group = Sequence[str]


def scene_groups(scenes: Sequence[str], options: Any) -> list[Group]:
    """The files of each scene: all of them are one scene with ``--stack``, else each is one.

    Raises ConfigError where two scenes would write into one folder.
    """
    from geounet.run.opening import folder_of

    groups: list[Group] = [list(scenes)] if options.stack else [[scene] for scene in scenes]
    seen: dict[Path, str] = {}
    for first, *_ in groups if len(groups) > 1 else []:
        folder = folder_of(first, options.output, several=True).resolve()
        if folder in seen:
            raise ConfigError(
                f"{seen[folder]} and {first} would both write to {folder}; run them one by one, each with its own "
                "--output"
            )
        seen[folder] = first
    return groups


def each_scene(groups: Sequence[Group], work: Callable[[Group], None], *, as_json: bool) -> int:
    """Do ``work`` for every scene; the exit code.

    With one scene its error passes through. With several it is told and the next scene begins; then 2 says that
    all were refused, 1 that some failed or were refused and the others are done. Interrupted always passes.
    """
    if len(groups) == 1:
        work(groups[0])
        return 0
    codes = []
    for group in groups:
        try:
            work(group)
            codes.append(0)
        except (Interrupted, BrokenPipeError):  # BrokenPipeError: of a table, which no line of progress is
            raise
        except Exception as error:
            if signals.stopped():
                raise
            codes.append(tell_error(error, scene=group[0], as_json=as_json, verbose=is_verbose()))
    refused = RequestError.exit_code
    return refused if all(code == refused for code in codes) else int(any(codes))
