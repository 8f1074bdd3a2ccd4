"""Runs in a row share a cluster where that is asked for, and a dead one is replaced."""

from __future__ import annotations

import pytest

from geounet.run.cluster import connect, one_cluster


def test_one_cluster_is_used_again() -> None:
    with one_cluster():
        with connect(workers=0, scheduler=None) as first:
            assert first.submit(abs, -1).result() == 1
        with connect(workers=0, scheduler=None) as second:
            assert second is first
            assert second.submit(abs, -2).result() == 2
        first.close()
        with connect(workers=0, scheduler=None) as third:
            assert third is not first
            assert third.submit(abs, -3).result() == 3
    assert third.status == "closed"


def test_another_kind_of_cluster_is_opened_anew() -> None:
    with one_cluster():
        with connect(workers=0, scheduler=None) as threads:
            pass
        with connect(workers=1, scheduler=None) as processes:
            assert processes is not threads
            assert threads.status == "closed"


def test_without_it_each_run_has_its_own() -> None:
    with connect(workers=0, scheduler=None) as first:
        pass
    assert first.status == "closed"
    with pytest.raises(ZeroDivisionError), one_cluster(), connect(workers=0, scheduler=None) as client:
        raise ZeroDivisionError
    assert client.status == "closed"
