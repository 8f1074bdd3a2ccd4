"""Who is sent which block next: none is lost, none goes out twice, whatever happens to the workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geounet.run.stretches import Stretches

WORKERS = [f"w{n}" for n in range(4)]
events = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["take", "leave", "join"]), st.sampled_from(WORKERS)),
        st.tuples(st.sampled_from(["back", "suspect"]), st.integers(0, 99)),
    ),
    max_size=80,
)


@given(blocks=st.integers(0, 30), events=events)
def test_every_block_is_out_or_left(blocks: int, events: list[tuple[str, str | int]]) -> None:
    stretches, out = Stretches(range(blocks)), set()
    stretches.join(WORKERS[:2])
    for what, given_ in events:
        if what == "join":
            stretches.join([str(given_)])
        elif what == "leave":
            stretches.leave(str(given_))
        elif what == "take":
            found = stretches.take(str(given_), idle=True)
            if found is not None:
                assert found.block not in out
                out.add(found.block)
        elif out:
            block = sorted(out)[int(given_) % len(out)]
            out.remove(block)
            stretches.put_back(block, suspect=what == "suspect")
        assert len(stretches) + len(out) == blocks
        assert bool(stretches) == (len(out) < blocks)
    stretches.join(["last"])
    for worker in WORKERS:
        stretches.leave(worker)
    while (found := stretches.take("last", idle=True)) is not None:
        assert found.block not in out
        out.add(found.block)
    assert out == set(range(blocks))


def test_neighbours_stay_together_and_who_is_done_takes_half() -> None:
    stretches = Stretches(range(8))
    stretches.join(["a", "b"])
    taken = [stretches.take(worker, idle=False) for worker in "aaaaa"]
    assert [found.block for found in taken if found] == [0, 1, 2, 3, 6]
    assert [found.block for _ in range(3) if (found := stretches.take("b", idle=False))] == [4, 5]
    assert [found.block for _ in range(3) if (found := stretches.take("a", idle=False))] == [7]


def test_suspects_come_last_and_alone() -> None:
    stretches = Stretches(range(3))
    stretches.join(["a"])
    first = stretches.take("a", idle=True)
    assert first is not None
    stretches.put_back(first.block, suspect=True)
    order = [stretches.take("a", idle=idle) for idle in (True, False, False, True)]
    assert [(found.block, found.alone) if found else None for found in order] == [
        (1, False),
        (2, False),
        None,
        (0, True),
    ]
