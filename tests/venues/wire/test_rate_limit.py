from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from arb.domain.errors import RateLimited
from arb.venues.spec import Bucket, HttpResponse, Priority
from arb.venues.wire.rate_limit import RateLimiter
from tests.venues.wire.wire_fakes import VENUE, Rules, TrioClock, ok

SMALL = Bucket(name="order", capacity=5, window_s=1.0, reserve=2)


def limiter(*buckets: Bucket) -> RateLimiter:
    return RateLimiter(Rules(*(buckets or (SMALL,))), TrioClock(), venue=VENUE)


async def test_tokens_come_back_one_window_after_they_were_taken(autojump_clock):
    rate = limiter()
    times = []
    for _ in range(7):
        await rate.take("order", 1, Priority.CANCEL)
        times.append(trio.current_time())
    assert times == [0, 0, 0, 0, 0, 1, 1]


async def test_entries_leave_the_reserve_to_cancels_hedges_and_queries(autojump_clock):
    rate = limiter()
    assert [rate.take_nowait("order", 1, Priority.ENTRY) for _ in range(5)] == [True, True, True, False, False]
    assert not rate.take_nowait("order", 1, Priority.EXIT)
    assert rate.take_nowait("order", 1, Priority.HEDGE)
    assert rate.take_nowait("order", 1, Priority.CANCEL)
    assert not rate.take_nowait("order", 1, Priority.QUERY)


async def test_the_most_urgent_goes_first_and_equals_in_order_of_arrival(autojump_clock):
    rate = limiter()
    for _ in range(5):
        await rate.take("order", 1, Priority.CANCEL)
    order = []

    async def want(priority, name):
        await rate.take("order", 1, priority)
        order.append((trio.current_time(), name))

    async with trio.open_nursery() as nursery:
        for priority, name in [
            (Priority.ENTRY, "entry"),
            (Priority.QUERY, "query one"),
            (Priority.EXIT, "exit"),
            (Priority.QUERY, "query two"),
            (Priority.CANCEL, "cancel"),
            (Priority.HEDGE, "hedge"),
        ]:
            nursery.start_soon(want, priority, name)
            await wait_all_tasks_blocked()
        assert not rate.take_nowait("order", 1, Priority.CANCEL)
        assert rate.statistics().buckets[0].waiting == 6
    names = [name for _, name in order]
    assert names == ["cancel", "hedge", "query one", "query two", "exit", "entry"]
    # Four use the whole bucket; the exit may use only what is not reserved, so it waits for the next window.
    assert [at for at, _ in order] == [1, 1, 1, 1, 2, 2]


async def test_a_wait_given_up_takes_nothing_and_blocks_nobody(autojump_clock):
    rate = limiter()
    for _ in range(5):
        await rate.take("order", 1, Priority.CANCEL)
    with trio.move_on_after(0.5):
        await rate.take("order", 5, Priority.CANCEL)
    await rate.take("order", 5, Priority.HEDGE)
    assert trio.current_time() == 1
    assert rate.statistics().buckets[0].waiting == 0


async def test_a_heavier_request_than_the_bucket_waits_for_an_empty_one(autojump_clock):
    rate = limiter()
    await rate.take("order", 1, Priority.CANCEL)
    await rate.take("order", 50, Priority.CANCEL)
    assert trio.current_time() == 1


async def test_the_venues_own_count_is_believed_when_it_is_higher(autojump_clock):
    rate = limiter()
    await rate.take("order", 1, Priority.CANCEL)
    rate.learn(ok(used="4"))
    assert rate.statistics().buckets[0].used == 4
    rate.learn(ok(used="2"))
    assert rate.statistics().buckets[0].used == 4
    await trio.sleep(1)
    assert rate.statistics().buckets[0].used == 0


async def test_a_back_off_silences_everything_until_its_end(autojump_clock):
    rate = limiter()
    rate.learn(HttpResponse(status=418, headers={"retry-after": "30"}, body=b""))
    with pytest.raises(RateLimited) as caught:
        rate.check_back_off()
    assert caught.value.retry_after_s == 30
    assert rate.statistics().is_banned
    assert not rate.take_nowait("order", 1, Priority.CANCEL)
    await rate.take("order", 1, Priority.CANCEL)
    assert trio.current_time() == 30
    rate.check_back_off()
    assert not rate.statistics().is_banned
    assert rate.statistics().back_offs == 1


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.integers(1, 3), st.sampled_from(Priority)),
        min_size=1,
        max_size=25,
    )
)
def test_no_window_whichever_way_it_is_aligned_holds_more_than_the_capacity(wishes):
    taken: list[tuple[float, int]] = []

    async def main() -> None:
        rate = limiter()

        async def want(at: float, weight: int, priority: Priority) -> None:
            await trio.sleep(at)
            await rate.take("order", weight, priority)
            taken.append((trio.current_time(), weight))

        async with trio.open_nursery() as nursery:
            for wish in wishes:
                nursery.start_soon(want, *wish)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert len(taken) == len(wishes)
    for start, _ in taken:
        assert sum(weight for at, weight in taken if start <= at < start + 1.0 - 1e-6) <= SMALL.capacity


async def test_the_operators_ceiling_holds_over_every_bucket(autojump_clock):
    wide = Bucket(name="wide", capacity=100, window_s=1.0, reserve=0)
    rate = RateLimiter(Rules(SMALL, wide), TrioClock(), venue=VENUE, ceiling_per_s=2.0)
    times = []
    for bucket in ("wide", "order", "wide", "wide"):
        await rate.take(bucket, 1, Priority.CANCEL)
        times.append(trio.current_time())
    assert times == [0, 0, 1, 1]
    assert not rate.take_nowait("wide", 1, Priority.CANCEL)
    await trio.sleep(1)
    assert rate.take_nowait("wide", 1, Priority.CANCEL)


async def test_a_ceiling_below_one_a_second_is_one_in_a_longer_window(autojump_clock):
    rate = RateLimiter(Rules(SMALL), TrioClock(), venue=VENUE, ceiling_per_s=0.5)
    await rate.take("order", 1, Priority.CANCEL)
    await rate.take("order", 1, Priority.CANCEL)
    assert trio.current_time() == 2
