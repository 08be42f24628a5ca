"""The simulated world over in-memory streams on a virtual clock, and its lines for people and programs."""

from __future__ import annotations

import json
from functools import partial
from typing import cast

import h11
import trio
from trio_websocket import wrap_client_stream

from arb.domain.ids import InstrumentId, VenueId
from arb.ports import Endpoint
from arb.venues.simulated.listings import listing
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.simulated.world import WorldPlan
from arb.venues.wire.memory import open_memory_network
from arb.venues.wire.simulation import SimParams, credentials_of, serve_in_memory

NAMES = ("upbit:KRW-BTC", "upbit:KRW-USDT", "binance_usdm:BTCUSDT")
START_NS = 1_760_000_000_000_000_000
SUBSCRIBE = json.dumps([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC.1"]}])


class VirtualClock:
    def monotonic_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return START_NS + self.monotonic_ns()


def params(*faults: FaultScript) -> SimParams:
    instruments = tuple(listing(InstrumentId(name)) for name in NAMES)
    return SimParams(world=WorldPlan(seed=3, start_ns=START_NS, instruments=instruments, faults=faults))


async def record(seconds: float, *faults: FaultScript) -> list[tuple[float, bytes]]:
    """Frames of an Upbit book with their virtual times."""
    seen: list[tuple[float, bytes]] = []
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        await nursery.start(partial(serve_in_memory, params(*faults), VirtualClock(), network))
        stream = await network(Endpoint(host="upbit.sim", port=80, is_tls=False))
        ws = await wrap_client_stream(nursery, cast(trio.SocketStream, stream), "upbit.sim", "/websocket/v1")
        await ws.send_message(SUBSCRIBE)
        with trio.move_on_after(seconds):
            while True:
                frame = await ws.get_message()
                seen.append((round(trio.current_time(), 6), frame if isinstance(frame, bytes) else frame.encode()))
        nursery.cancel_scope.cancel()
    return seen


async def test_a_minute_of_books_passes_in_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    seen = await record(60)

    books = [json.loads(frame) for _, frame in seen]
    assert len(books) > 500
    assert all(book["orderbook_units"][0]["bid_price"] < book["orderbook_units"][0]["ask_price"] for book in books)
    stamps = [book["timestamp"] for book in books]
    assert stamps == sorted(stamps)


def test_two_runs_of_one_seed_are_the_same_to_the_byte() -> None:
    first, second = (trio.run(record, 5.0, clock=trio.testing.MockClock(autojump_threshold=0)) for _ in range(2))

    assert first == second


async def test_silence_is_a_hole_in_the_frames_and_nothing_else(autojump_clock: trio.testing.MockClock) -> None:
    seen = await record(30, FaultScript(at_s=10, venue=VenueId("upbit"), kind=FaultKind.SILENCE, duration_s=5))

    times = [at for at, _ in seen]
    assert not [at for at in times if 10.1 < at < 15.0]
    assert [at for at in times if at > 15.2]


async def test_each_venue_answers_at_its_own_address(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        _, served = await nursery.start(partial(serve_in_memory, params(), VirtualClock(), network))
        stream = await network(Endpoint(host="binance_usdm.sim", port=80, is_tls=False))
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method="GET", target="/fapi/v1/time", headers=[("Host", "x")])
        await stream.send_all((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        answer = bytes(await stream.receive_some())
        nursery.cancel_scope.cancel()

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["serverTime"] == START_NS // 1_000_000 + int(
        autojump_clock.current_time() * 1e3
    )
    assert set(served) == {"upbit", "binance_usdm", "dunamu"}
    assert served["upbit"].ws == "ws://upbit.sim:80/websocket/v1"


def test_one_company_has_one_key_per_seed() -> None:
    assert credentials_of("binance_spot", 1) == credentials_of("binance_usdm", 1)
    assert credentials_of("binance_spot", 1) != credentials_of("upbit", 1)
    assert credentials_of("upbit", 1) != credentials_of("upbit", 2)
