"""Ctrl-C and SIGTERM: the program ends within about a second, whatever it is busy with.

The first one raises KeyboardInterrupt, and the run says what is kept. But Python raises only between two of its
own instructions, and GDAL or a compiled kernel may be at work for minutes: a thread waits a second (some more
where the run has worker processes to put away), then removes what is unfinished and leaves. Nothing is lost:
whatever has its final name is whole (``geounet.io.atomic``).

Nor is every instruction of Python's a place to raise: a library that is just being loaded prints errors of its own
or swallows the interruption (NumPy's compiled half says that it failed to import), and one raised in a destructor
is printed and forgotten. There an alarm a moment later tries again.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

_STOPS = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 130
_PATIENCE = 1.0  # seconds between the signal and the end
_MOMENT = 0.01  # seconds until an interruption that cannot be raised here is tried again
_TIDY = 5.0  # seconds for a run that has heard the signal and puts away its processes, or asks others to

_said = threading.Lock()
_told = threading.Event()


def leave_silently() -> None:
    """While the program is still being loaded there is nothing to say and nothing to keep."""
    for number in _STOPS:
        signal.signal(number, lambda *_: os._exit(_INTERRUPTED))


def listen(last_word: Callable[[], object]) -> None:
    """From now on a signal stops the work; ``last_word`` is said where the work itself does not get to say it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading, last_word), name="signals", daemon=True).start()
    for number in (*_STOPS, signal.SIGALRM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _not_forgotten


def stopped() -> bool:
    """Whether a signal has told the program to stop; what fails from then on, fails because of it."""
    return _told.is_set()


def speak() -> None:
    """Take the last word; never returns where the watching thread has it and is about to leave."""
    if not _said.acquire(blocking=False):
        time.sleep(10 * _PATIENCE)


def _interrupt(_signal: int, frame: FrameType | None) -> None:
    """The second signal is the watching thread's; the first must not be cut short in its cleaning up."""
    if _told.is_set():
        return
    if _is_loading(frame):
        signal.setitimer(signal.ITIMER_REAL, _MOMENT)
        return
    _told.set()
    raise KeyboardInterrupt


def _is_loading(frame: FrameType | None) -> bool:
    """Whether a module is being imported at this frame or around it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _not_forgotten(lost: sys.UnraisableHookArgs) -> None:
    """An interruption that nobody could catch has stopped nothing yet."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _told.clear()
        signal.setitimer(signal.ITIMER_REAL, _MOMENT)
    else:
        sys.__unraisablehook__(lost)


def _watch(reading: int, last_word: Callable[[], object]) -> NoReturn:
    _wait_for_stop(reading, None)
    again = _wait_for_stop(reading, _PATIENCE)  # who asks twice is in a hurry
    if _told.is_set() and not again and _has_workers():
        _wait_for_stop(reading, _TIDY)
    if _said.acquire(blocking=False):
        # nobody may read what we say
        speaker = threading.Thread(target=_clean_up_and_say, args=(last_word,), daemon=True)
        speaker.start()
        speaker.join(_PATIENCE)
    else:
        time.sleep(_PATIENCE)
    os._exit(_INTERRUPTED)


def _has_workers() -> bool:
    started = sys.modules.get("geounet.run.started")
    if started is not None and started.is_closing():
        return True
    library = sys.modules.get("multiprocessing")  # where nobody has loaded it, nobody has started a process with it
    return library is not None and bool(library.active_children())


def _wait_for_stop(reading: int, seconds: float | None) -> bool:
    """Return at the next signal that is ours to handle (True), or after so many seconds (False)."""
    until = None if seconds is None else time.monotonic() + seconds
    while select.select([reading], [], [], None if until is None else max(0.0, until - time.monotonic()))[0]:
        number = os.read(reading, 1)[0]
        if number in _STOPS and signal.getsignal(number) is _interrupt:  # training has its own way to stop
            return True
    return False


def _clean_up_and_say(last_word: Callable[[], object]) -> None:
    from geounet.io.atomic import abandon

    abandon()
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")  # the progress bar hides the cursor
    last_word()
    sys.stdout.flush()
    sys.stderr.flush()
