"""The command line: parse, call, print. Every command's module is imported when it is called, not before."""

from __future__ import annotations

from geounet.cli.main import main

__all__ = ["main"]
