"""The engine's door."""

from __future__ import annotations

import pytest
import trio

from arb.domain.depth import Depth
from arb.domain.errors import InvariantBroken
from arb.domain.events import DepthSeen, Event, Tick
from arb.domain.ids import FeedId, InstrumentId
from arb.supervision.inbox import TURNS_PER_CHECKPOINT, Inbox

BOOK = InstrumentId("upbit:KRW-BTC")


def tick(number: int) -> Tick:
    return Tick(at_ns=number, wall_ns=number)


def depth(number: int) -> DepthSeen:
    image = Depth(
        instrument=BOOK,
        feed=FeedId("upbit/public/0"),
        bids=(1.0, 1.0),
        asks=(2.0, 1.0),
        received_ns=number,
        venue_ns=None,
        sequence=number,
    )
    return DepthSeen(at_ns=number, depth=image)


async def test_account_events_are_served_first_and_in_order() -> None:
    inbox = Inbox()
    inbox.put_depth(BOOK, lambda: depth(1))
    inbox.put_latest("tick", tick(2))
    inbox.put_account(tick(3))
    inbox.put_account(tick(4))

    served = [await inbox.receive() for _ in range(4)]

    assert [event.at_ns for event in served] == [3, 4, 2, 1]


async def test_a_burst_of_books_is_one_event_with_the_newest_image() -> None:
    inbox = Inbox()
    frozen: list[int] = []
    for number in range(1_000):

        def take(number: int = number) -> DepthSeen:
            frozen.append(number)
            return depth(number)

        inbox.put_depth(BOOK, take)

    event = await inbox.receive()

    assert event.at_ns == 999
    assert frozen == [999]
    assert inbox.receive_nowait() is None
    assert inbox.statistics().conflated_count == 999


async def test_a_book_that_was_lost_meanwhile_is_passed_over() -> None:
    inbox = Inbox()
    inbox.put_depth(BOOK, lambda: None)
    inbox.put_latest("tick", tick(1))

    assert (await inbox.receive()).at_ns == 1
    assert inbox.receive_nowait() is None


async def test_receive_wakes_for_an_event_that_comes_later(autojump_clock: trio.testing.MockClock) -> None:
    inbox = Inbox()
    got: list[tuple[float, Event]] = []
    began = trio.current_time()

    async def consume() -> None:
        got.append((trio.current_time() - began, await inbox.receive()))
        got.append((trio.current_time() - began, await inbox.receive()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await trio.sleep(5)
        inbox.put_account(tick(1))
        await trio.sleep(5)
        inbox.put_account(tick(2))

    assert [event.at_ns for _, event in got] == [1, 2]
    assert [moment for moment, _ in got] == [0.0, 5.0]


async def test_a_cancelled_receive_loses_nothing() -> None:
    inbox = Inbox()
    with trio.move_on_after(0):
        await inbox.receive()
    inbox.put_account(tick(7))

    assert (await inbox.receive()).at_ns == 7


async def test_a_full_account_lane_is_an_invariant_broken() -> None:
    inbox = Inbox(account_capacity=2)
    inbox.put_account(tick(1))
    inbox.put_account(tick(2))

    with pytest.raises(InvariantBroken, match="2 account events"):
        inbox.put_account(tick(3))


async def test_a_busy_lane_lets_others_run() -> None:
    inbox = Inbox()
    for number in range(TURNS_PER_CHECKPOINT * 4):
        inbox.put_account(tick(number))
    turns_of_others = 0

    async def other() -> None:
        nonlocal turns_of_others
        while True:
            await trio.lowlevel.checkpoint()
            turns_of_others += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(TURNS_PER_CHECKPOINT * 4):
            await inbox.receive()
        nursery.cancel_scope.cancel()

    assert turns_of_others >= 2
