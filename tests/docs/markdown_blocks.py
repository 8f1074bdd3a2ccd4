"""What a Markdown file shows: its fenced blocks, its links, its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"CHANGELOG.md"}  # speaks of the past
_FENCE = re.compile(r"^(\s*)```(.*)$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block."""

    line: int
    """Line of its first fence, from 1."""
    info: list[str]
    """What stands behind the fence: the language, and words for the tests."""
    text: str


def documents() -> list[Path]:
    """Every Markdown file that a reader meets."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    start, info, lines = 0, [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence and not start:
            start, info, lines = number, fence[2].split(), []
        elif fence:
            yield Block(line=start, info=info, text="\n".join(lines) + "\n")
            start = 0
        elif start:
            lines.append(line)
    assert not start, f"{path}:{start}: a fenced block is not closed"


def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def links(path: Path) -> list[str]:
    """Targets of links and images."""
    without_code = re.sub(r"`[^`]*`", "", prose(path))
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


def anchors(path: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}
