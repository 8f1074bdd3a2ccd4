"""A signal where Python may not raise: it is heard all the same, a moment later, and nothing else is printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LISTENING = """
import os, signal, time
from geounet.cli import signals
signals.listen(lambda: print("last word"))
try:
    {work}
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
    os._exit(0)
"""

GREEDY = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
except KeyboardInterrupt:
    print("swallowed by a library that is being loaded")
"""

DESTRUCTOR = """
class Lost:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
    Lost()
"""


def said(work: str, folder: Path) -> tuple[str, str]:
    code = LISTENING.format(work=work.strip())
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    return done.stdout.strip(), done.stderr.strip()


def test_in_the_middle_of_an_import(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(GREEDY)
    assert said("import greedy; print('loaded')", tmp_path) == ("loaded\nstopped", "")


def test_in_a_destructor(tmp_path: Path) -> None:
    assert said(DESTRUCTOR, tmp_path) == ("stopped", "")


def test_other_errors_of_destructors_are_still_told(tmp_path: Path) -> None:
    fails = DESTRUCTOR.replace("time.sleep(0.1)", "pass").replace("os.kill(os.getpid(), signal.SIGINT)", "1 / 0")
    assert "ZeroDivisionError" in said(fails + "    raise KeyboardInterrupt", tmp_path)[1]


AT_ONCE = """
import os, signal, time
from geounet.cli import main, signals
real = signals.listen

def listen(last_word):
    real(last_word)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)

signals.listen = listen
main(["--version"])
"""


def test_before_the_command_has_begun() -> None:
    """No traceback, whoever was asked to stop before there was anything to stop."""
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
