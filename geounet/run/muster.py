"""Which of the workers that are there may take part in a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from geounet.errors import RequestError
from geounet.run.roll_call import call
from geounet.run.work import Work

if TYPE_CHECKING:
    from distributed import Client

_GPU = "GPU"


class Muster:
    """Asks each worker when it is first seen, and one that cannot take part again: its share may come back."""

    def __init__(self, client: Client, work: Work, *, on_warning: Callable[[str], None]) -> None:
        """``on_warning`` hears of workers that join later and cannot take part."""
        self._client, self._work, self._warn = client, work, on_warning
        self._asked: set[str] = set()
        self._has_begun = False
        self.unfit: set[str] = set()
        """Workers that are there and cannot take part."""
        self.resources: dict[str, float] | None = None
        """What each block asks of its worker: a GPU, once a worker has offered one to a run that needs it."""

    def fit(self, workers: Mapping[str, Any]) -> set[str]:
        """Those of the scheduler's ``workers`` that can take part.

        Raises RequestError where one of the first ones cannot, and OSError where they do not answer.
        """
        if self.resources is None and self._work.needs_gpu and any(map(_offers_gpu, workers.values())):
            self.resources = {_GPU: 1}
        if self.resources:
            workers = {name: worker for name, worker in workers.items() if _offers_gpu(worker)}
        new = sorted(set(workers) - (self._asked - self.unfit))
        if self._work.roll is not None and new:
            self._ask(new)
        self._asked |= set(new)
        self._has_begun = self._has_begun or bool(new)
        return set(workers) - self.unfit

    def forget(self, worker: str) -> None:
        """It has gone; another one may come under its address."""
        self._asked.discard(worker)
        self.unfit.discard(worker)

    def _ask(self, new: list[str]) -> None:
        assert self._work.roll is not None
        reasons = call(self._client, self._work.roll, new)
        if reasons and not self._has_begun:
            raise RequestError(next(iter(reasons.values())))
        for worker, reason in reasons.items():
            if worker not in self.unfit:
                self._warn(f"{reason}; it gets no blocks until it can")
        self.unfit = (self.unfit - set(new)) | set(reasons)


def _offers_gpu(worker: Mapping[str, Any]) -> bool:
    return bool(worker.get("resources", {}).get(_GPU, 0) >= 1)
