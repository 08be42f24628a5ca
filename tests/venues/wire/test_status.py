"""What a venue allows, told whole by one owner and only when it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import cast

import attrs
import pytest
import trio
from trio.testing import MockClock

from arb.domain.errors import VenueUnavailable
from arb.domain.events import InstrumentSeen, VenueCondition, VenueStatus, WalletState
from arb.domain.ids import AssetId, VenueId
from arb.domain.instrument import Caution
from arb.ports import Endpoint
from arb.venues.simulated.models import FaultKind
from arb.venues.spec import AccountProtocol, Bucket, HttpRequest, HttpResponse, Priority, Stamp, StatusSeen
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.order_http import OrderTarget, open_order_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.reads import StatusPoll, poll_status
from arb.venues.wire.status import (
    PLENTY,
    VenueStatusBoard,
    WalletPoll,
    poll_wallets,
    watch_order_lines,
    watch_rate,
)
from tests.strategies import A_BTC, instrument
from tests.venues.town import fault, open_town
from tests.venues.wire.wire_fakes import HERE, VENUE, Inbox, Rules, ScriptedDialer, TrioClock, serve_http

BTC, ETH = AssetId("BTC"), AssetId("ETH")
ORDERS = Bucket(name="orders", capacity=PLENTY + 10, window_s=10.0, reserve=4, is_for_orders=True)
OTHERS = Bucket(name="reads", capacity=5, window_s=10.0, reserve=0)
OPEN_BTC = WalletState(asset=BTC, deposit=True, withdraw=True)


def statuses(inbox: Inbox) -> list[VenueStatus]:
    return [event for event in inbox.events() if isinstance(event, VenueStatus)]


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[VenueStatusBoard, RateLimiter, Inbox]]:
    clock, inbox = TrioClock(), Inbox()
    board = VenueStatusBoard(VENUE, clock, inbox)
    limiter = RateLimiter(Rules(ORDERS, OTHERS), clock, venue=VENUE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_rate, board, limiter, 1.0)
        yield board, limiter, inbox
        nursery.cancel_scope.cancel()


async def test_a_venue_that_allows_everything_says_nothing(autojump_clock: MockClock) -> None:
    async with watched() as (board, _, inbox):
        board.see_maintenance(is_closed=False, reason="")
        await trio.sleep(100)
        assert statuses(inbox) == []


async def test_silence_is_told_with_its_end_and_its_end_is_told(autojump_clock: MockClock) -> None:
    async with watched() as (_, limiter, inbox):
        await trio.sleep(0.5)
        limiter.learn(HttpResponse(status=429, headers={"retry-after": "30"}, body=b""))
        until_ns = limiter.statistics().silent_until_ns
        await trio.sleep(40)
        limited, up = statuses(inbox)
        assert (limited.condition, limited.until_ns, limited.reason) == (
            VenueCondition.RATE_LIMITED, until_ns, "limited until 2023-11-14 22:13:51 UTC: status 429",
        )  # fmt: skip
        assert (up.condition, up.until_ns, up.reason) == (VenueCondition.UP, None, "")
        assert 0 <= up.at_ns - until_ns <= 1_000_000_000


async def test_only_buckets_of_orders_count_and_only_when_few_are_left(autojump_clock: MockClock) -> None:
    async with watched() as (_, limiter, inbox):
        limiter.take_nowait("reads", 5, Priority.QUERY)
        for left in (PLENTY, PLENTY - 1, 1, 0):
            taken = ORDERS.capacity - ORDERS.reserve - left - limiter.statistics().buckets[0].used
            limiter.take_nowait("orders", taken, Priority.ENTRY)
            await trio.sleep(1.1)
        assert [status.free_order_slots for status in statuses(inbox)] == [PLENTY - 1, 1, 0]
        await trio.sleep(20)
        assert statuses(inbox)[-1].free_order_slots is None


async def test_a_word_of_one_part_leaves_the_others_as_they_were(autojump_clock: MockClock) -> None:
    async with watched() as (board, limiter, inbox):
        board.see_wallets((OPEN_BTC,))
        board.see_maintenance(is_closed=True, reason="until 9")
        limiter.learn(HttpResponse(status=418, headers={"retry-after": "5"}, body=b""))
        await trio.sleep(2)
        board.see_maintenance(is_closed=False, reason="")
        await trio.sleep(10)
        told = [(status.condition, status.wallets) for status in statuses(inbox)]
        assert told == [
            (VenueCondition.UP, (OPEN_BTC,)),
            (VenueCondition.MAINTENANCE, (OPEN_BTC,)),
            (VenueCondition.RATE_LIMITED, (OPEN_BTC,)),
            (VenueCondition.UP, (OPEN_BTC,)),
        ]


@attrs.define
class Teller:
    """The wallets of a venue: words in, states out."""

    def wallets_request(self, stamp: Stamp) -> HttpRequest | None:
        return HttpRequest(method="GET", path="/wallets", bucket="reads")

    def parse_wallets(self, answer: HttpResponse) -> tuple[WalletState, ...]:
        if answer.status != 200:
            raise VenueUnavailable(VENUE, f"status {answer.status}")
        words = answer.body.decode().split()
        return tuple(WalletState(asset=AssetId(word), deposit=True, withdraw=True) for word in words)


class Silent(Teller):
    def wallets_request(self, stamp: Stamp) -> HttpRequest | None:
        return None


async def polled(teller: Teller, answer: Callable[[], HttpResponse], inbox: Inbox, for_s: float) -> list[float]:
    """Poll every minute, unknown after ten; the times at which somebody asked."""
    clock, asked = TrioClock(), list[float]()

    def reply(_method: str, _target: str, _body: bytes) -> HttpResponse:
        asked.append(trio.current_time())
        return answer()

    poll = WalletPoll(
        protocol=cast(AccountProtocol, teller),
        stamp=lambda: Stamp(wall_ms=1, nonce="n"),
        boards=((VenueStatusBoard(VENUE, clock, inbox), (BTC, ETH)),),
        every_s=60.0,
        unknown_s=600.0,
    )
    async with trio.open_nursery() as nursery:
        dialer = ScriptedDialer(nursery, *[partial(serve_http, answer=reply)] * 100)
        limiter = RateLimiter(Rules(OTHERS), clock, venue=VENUE)
        async with open_http(
            HttpTarget(venue=VENUE, endpoint=HERE), dialer=dialer, limiter=limiter, clock=clock
        ) as http:
            with trio.move_on_after(for_s):
                await poll_wallets(poll, http, clock)
        nursery.cancel_scope.cancel()
    return asked


async def test_wallets_are_read_every_interval_and_told_once(autojump_clock: MockClock) -> None:
    inbox = Inbox()
    asked = await polled(Teller(), lambda: HttpResponse(status=200, headers={}, body=b"BTC XRP"), inbox, 200)

    assert len(asked) == 4
    (status,) = statuses(inbox)
    assert status.wallets == (OPEN_BTC, WalletState(asset=ETH, deposit=None, withdraw=None))


async def test_states_are_believed_for_a_while_and_then_unknown(autojump_clock: MockClock) -> None:
    inbox, began_s = Inbox(), trio.current_time()
    answers = iter([HttpResponse(status=200, headers={}, body=b"BTC ETH")])
    failed = HttpResponse(status=500, headers={}, body=b"")
    await polled(Teller(), lambda: next(answers, failed), inbox, 1_000)

    known, unknown = statuses(inbox)
    assert [wallet.deposit for wallet in known.wallets] == [True, True]
    assert [wallet.deposit for wallet in unknown.wallets] == [None, None]
    assert 600 <= inbox.account[-1][0] - began_s <= 660.5


@pytest.mark.parametrize("wait_s", [10, 500])
async def test_a_venue_that_wants_silence_is_not_asked_meanwhile(wait_s: int, autojump_clock: MockClock) -> None:
    limited = HttpResponse(status=429, headers={"retry-after": str(wait_s)}, body=b"")
    asked = await polled(Teller(), lambda: limited, Inbox(), 1_000)

    assert min(later - earlier for earlier, later in pairwise(asked)) >= max(60, wait_s)


async def test_a_venue_that_does_not_tell_is_not_asked(autojump_clock: MockClock) -> None:
    assert await polled(Silent(), lambda: HttpResponse(status=200, headers={}, body=b""), Inbox(), 1_000) == []


async def test_a_venue_that_takes_no_orders_is_down_and_up_again_with_its_connections(
    autojump_clock: MockClock,
) -> None:
    gate = trio.Event()
    async with open_town() as town:
        inbox, clock = Inbox(), town.clock
        board = VenueStatusBoard(VenueId("upbit"), clock, inbox)
        endpoint, _ = split_url(town.served["upbit"].rest)
        target = OrderTarget(venue=VenueId("upbit"), endpoint=endpoint)

        async def dial(endpoint: Endpoint) -> trio.abc.Stream:
            if not gate.is_set():
                raise ConnectionRefusedError
            return await town.network(endpoint)

        async with open_order_http(target, dialer=dial) as wire, trio.open_nursery() as nursery:
            nursery.start_soon(watch_order_lines, board, wire, 0.5)
            await trio.sleep(2)
            assert statuses(inbox) == []
            await trio.sleep(10)
            gate.set()
            await trio.sleep(40)
            assert [(one.condition, one.reason) for one in statuses(inbox)] == [
                (VenueCondition.DOWN, "no connection for orders"),
                (VenueCondition.UP, ""),
            ]
            nursery.cancel_scope.cancel()


async def test_an_instrument_is_halted_as_long_as_anyone_says_so_and_keeps_its_warnings(
    autojump_clock: MockClock,
) -> None:
    inbox = Inbox()
    board, rules = VenueStatusBoard(VENUE, TrioClock(), inbox), instrument(A_BTC)

    def say(teller: str, is_tradable: bool, cautions: frozenset[Caution] | None = None) -> None:
        told = StatusSeen(instrument=A_BTC, is_tradable=is_tradable, detail="", cautions=cautions)
        board.see_instrument(rules, teller, told)

    say("list", True, frozenset())
    say("stream", False)
    say("list", True, frozenset([Caution.WARNING]))
    say("list", False)
    say("stream", True)
    say("list", True, frozenset())

    seen = [one.instrument for one in inbox.events() if isinstance(one, InstrumentSeen)]
    assert [(one.status.value, len(one.cautions)) for one in seen] == [("halted", 0), ("halted", 1), ("trading", 0)]


async def test_a_warning_of_the_venue_reaches_us_and_goes_again(autojump_clock: MockClock) -> None:
    async with open_town(fault("upbit", FaultKind.CAUTION, at_s=20, duration_s=30)) as town:
        market, inbox = town.spec("upbit").market, Inbox()
        assert market is not None
        rules = town.instruments("upbit")
        poll = StatusPoll(
            market=market,
            symbols=tuple(one.symbol for one in rules),
            instruments=rules,
            interval_s=10.0,
            latest_key="status",
            board=VenueStatusBoard(VenueId("upbit"), town.clock, inbox),
        )
        with trio.move_on_after(80):
            await poll_status(poll, town.http["upbit"], town.clock, inbox, lambda _is_ok: None)

        seen = [one.instrument for one in inbox.events() if isinstance(one, InstrumentSeen)]
        assert [one.cautions for one in seen if one.symbol == "KRW-BTC"] == [{Caution.DEPOSIT_SOARING}, frozenset()]


@pytest.mark.parametrize("venue", ["upbit", "binance_spot"])
async def test_closed_wallets_are_told_where_the_venue_trades_on(venue: str, autojump_clock: MockClock) -> None:
    async with open_town(fault(venue, FaultKind.WALLET_CLOSED)) as town:
        protocol = town.account(venue)
        request = protocol.wallets_request(town.stamp())
        assert request is not None
        states = protocol.parse_wallets(await town.http[venue].read(request))

        assert states
        assert not any(one.deposit or one.withdraw for one in states)
