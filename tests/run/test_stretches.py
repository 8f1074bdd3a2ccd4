"""Who is sent which block next: none is lost, none goes out twice, whatever happens to the workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geounet.run.stretches import Stretches

WORKERS = [f"w{n}" for n in range(4)]
events = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from(WORKERS), st.integers(1, 9)),
        st.tuples(st.sampled_from(["leave", "join"]), st.sampled_from(WORKERS), st.just(0)),
        st.tuples(st.sampled_from(["back", "suspect", "no time"]), st.sampled_from(WORKERS), st.integers(0, 99)),
    ),
    max_size=80,
)


@given(blocks=st.integers(0, 90), events=events)
def test_every_block_is_out_or_left(blocks: int, events: list[tuple[str, str, int]]) -> None:
    stretches, out = Stretches(range(blocks)), set()
    stretches.join(WORKERS[:2])
    for what, worker, number in events:
        if what == "join":
            stretches.join([worker])
        elif what == "leave":
            stretches.leave(worker)
        elif what == "take":
            found = stretches.take(worker, idle=True, most=number)
            if found is not None:
                assert not out & set(found.blocks)
                assert 1 <= len(set(found.blocks)) == len(found.blocks) <= (1 if found.alone else number)
                out.update(found.blocks)
        elif out:
            block = sorted(out)[number % len(out)]
            out.remove(block)
            if what == "no time":
                stretches.give_back(worker, [block])
            else:
                stretches.put_back(block, suspect=what == "suspect")
        assert len(stretches) + len(out) == blocks
        assert bool(stretches) == (len(out) < blocks)
    stretches.join(["last"])
    for worker in WORKERS:
        stretches.leave(worker)
    while (found := stretches.take("last", idle=True, most=7)) is not None:
        assert not out & set(found.blocks)
        out.update(found.blocks)
    assert out == set(range(blocks))


def test_neighbours_stay_together_and_who_is_done_takes_half() -> None:
    stretches = Stretches(range(8))
    stretches.join(["a", "b"])
    taken = [stretches.take(worker, idle=False) for worker in "aaaaa"]
    assert [found.blocks for found in taken if found] == [(0,), (1,), (2,), (3,), (6,)]
    assert [found.blocks for _ in range(3) if (found := stretches.take("b", idle=False))] == [(4,), (5,)]
    assert [found.blocks for _ in range(3) if (found := stretches.take("a", idle=False))] == [(7,)]


def test_a_run_of_blocks_leaves_enough_for_the_others() -> None:
    """However quick a worker is, most of its stretch can still be taken over; the last ones go out one by one."""
    stretches = Stretches(range(100))
    stretches.join(["a"])
    taken = []
    while (found := stretches.take("a", idle=False, most=50)) is not None:
        assert len(found.blocks) <= max(1, (100 - len(taken)) // 4)
        taken += found.blocks
    assert taken == list(range(100))


def test_what_there_was_no_time_for_comes_next() -> None:
    stretches = Stretches(range(64))
    stretches.join(["a"])
    first = stretches.take("a", idle=False, most=4)
    assert first is not None
    assert first.blocks == (0, 1, 2, 3)
    stretches.give_back("a", [2, 3])
    found = stretches.take("a", idle=False, most=3)
    assert found is not None
    assert found.blocks == (2, 3, 4)


def test_suspects_come_last_and_alone() -> None:
    stretches = Stretches(range(3))
    stretches.join(["a"])
    first = stretches.take("a", idle=True)
    assert first is not None
    stretches.put_back(first.blocks[0], suspect=True)
    order = [stretches.take("a", idle=idle, most=9) for idle in (True, False, False, True)]
    assert [(found.blocks, found.alone) if found else None for found in order] == [
        ((1,), False),
        ((2,), False),
        None,
        ((0,), True),
    ]
