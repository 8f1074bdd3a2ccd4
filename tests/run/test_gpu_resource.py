"""Blocks that need a GPU go where one is offered. The workers here only say that they have one."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from packages import hashes
from processes import Case
from schedulers import scheduler, worker

import geounet
from geounet.run import execute
from geounet.run.context import RunContext
from geounet.run.journal import Journal
from geounet.run.work import Receipt, Work


@pytest.mark.slow
def test_only_workers_with_a_gpu_compute(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after one of two was killed: its blocks wait for the other, and not for a worker without a GPU."""
    from distributed import Client, get_task_stream

    real_work, real_record = execute.work_of, Journal.record
    killed: list[int] = []

    def work_of(context: RunContext) -> Work:
        return replace(real_work(context), needs_gpu=True)

    with ExitStack() as stack:
        address = stack.enter_context(scheduler(tmp_path))
        gpus = [
            stack.enter_context(worker(address, tmp_path, "--name", f"gpu-{n}", "--resources", "GPU=1"))
            for n in range(2)
        ]
        stack.enter_context(worker(address, tmp_path, "--name", "cpu"))

        def record(journal: Journal, receipt: Receipt) -> None:
            real_record(journal, receipt)
            if len(journal.receipts) == 4:
                killed.append(gpus[0])
                os.kill(gpus[0], signal.SIGKILL)

        monkeypatch.setattr(execute, "work_of", work_of)
        monkeypatch.setattr(Journal, "record", record)
        client = stack.enter_context(Client(address, set_as_default=False))
        cpu = next(a for a, w in client.scheduler_info(n_workers=-1)["workers"].items() if w["name"] == "cpu")
        with get_task_stream(client) as stream:
            options = case.options(tmp_path / "out", scheduler=address)
            geounet.infer(options.pop("scene"), **options)
    assert killed
    assert hashes(tmp_path / "out") == case.undisturbed
    assert len(stream.data) > 4  # tasks; quick blocks share one
    assert cpu not in {task["worker"] for task in stream.data}


def test_cuda_on_other_machines_needs_none_here(case: Case, tmp_path: Path) -> None:
    """The plan is for the workers' devices; an engine of this process is asked for nowhere."""
    from geounet.config import build_options
    from geounet.run.pipeline import plan_scene

    given = case.options(tmp_path, scheduler="tcp://127.0.0.1:9") | {"device": "cuda"}
    given.pop("scene")
    options = build_options({}, given)
    plan = plan_scene([case.scene], options)
    assert (plan.engine, plan.request.device) == ("cuda", "cuda:0")
