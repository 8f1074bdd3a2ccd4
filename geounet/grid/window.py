"""Half-open pixel rectangles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Half-open rectangle of scene pixels: columns ``[col_off, col_off + width)``, rows likewise.

    Sorts in row-major order of its first pixel.
    """

    row_off: int
    col_off: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.width < 0 or self.height < 0:
            raise ValueError(f"window of negative size: {self}")

    @classmethod
    def from_bounds(cls, *, top: int, left: int, bottom: int, right: int) -> Window:
        """The window of rows ``[top, bottom)`` and columns ``[left, right)``."""
        return cls(row_off=top, col_off=left, height=bottom - top, width=right - left)

    @property
    def bottom(self) -> int:
        """First row below the window."""
        return self.row_off + self.height

    @property
    def right(self) -> int:
        """First column to the right of the window."""
        return self.col_off + self.width

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``, as numpy wants it."""
        return self.height, self.width

    def intersection(self, other: Window) -> Window:
        """The common window; of zero size where the two do not meet."""
        top, left = max(self.row_off, other.row_off), max(self.col_off, other.col_off)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Window(top, left, max(0, bottom - top), max(0, right - left))

    def relative_to(self, origin: Window) -> Window:
        """The same pixels, counted from the first pixel of ``origin``."""
        return Window(self.row_off - origin.row_off, self.col_off - origin.col_off, self.height, self.width)

    def slices(self) -> tuple[slice, slice]:
        """``(rows, columns)`` slices into an array of the frame that the window counts in."""
        return slice(self.row_off, self.bottom), slice(self.col_off, self.right)
