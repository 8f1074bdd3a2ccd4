"""Heaps in plain arrays, for compiled code: sorting, and what is smallest next."""

from __future__ import annotations

from typing import Any

from geounet.kernels import kernel


@kernel
def sort(a: Any, n: int) -> None:
    """Sort ``a[:n]`` in place by heaps; numba's own sort takes four seconds to compile."""
    k = 1
    while k < n and a[k - 1] <= a[k]:
        k += 1
    if k >= n:  # as nearly always
        return
    for end in range(1, n):
        k = end
        while k > 0 and a[(k - 1) // 2] < a[k]:
            a[(k - 1) // 2], a[k] = a[k], a[(k - 1) // 2]
            k = (k - 1) // 2
    for end in range(n - 1, 0, -1):
        a[0], a[end] = a[end], a[0]
        k = 0
        while True:
            low = 2 * k + 1
            if low >= end:
                break
            if low + 1 < end and a[low + 1] > a[low]:
                low += 1
            if a[low] <= a[k]:
                break
            a[low], a[k] = a[k], a[low]
            k = low


@kernel
def push(areas: Any, who: Any, n: int, area: int, number: int) -> None:
    """Add to a heap of ``n``: the smallest area first, the earlier corner among equals."""
    k = n
    while k > 0:
        up = (k - 1) // 2
        if areas[up] < area or (areas[up] == area and who[up] <= number):
            break
        areas[k], who[k] = areas[up], who[up]
        k = up
    areas[k], who[k] = area, number


@kernel
def pop(areas: Any, who: Any, n: int) -> None:
    """Take the first off a heap of ``n``."""
    area, number = areas[n - 1], who[n - 1]
    k = 0
    while True:
        low = 2 * k + 1
        if low >= n - 1:
            break
        if low + 1 < n - 1 and (
            areas[low + 1] < areas[low] or (areas[low + 1] == areas[low] and who[low + 1] < who[low])
        ):
            low += 1
        if area < areas[low] or (area == areas[low] and number <= who[low]):
            break
        areas[k], who[k] = areas[low], who[low]
        k = low
    areas[k], who[k] = area, number
