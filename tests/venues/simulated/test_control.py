"""The way behind the counter of a simulated venue, over the memory network."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import trio

from arb.domain.errors import VenueUnavailable
from arb.venues.simulated.models import FaultKind
from arb.venues.spec import HttpRequest, HttpResponse
from arb.venues.wire.simulation import ACCOUNT
from tests.venues.town import Town, fault, open_town


async def behind(town: Town, method: str, path: str, body: object = None, venue: str = "upbit") -> tuple[int, Any]:
    """Asked over a connection without a rate budget in front of it."""
    sent = b"" if body is None else json.dumps(body).encode()
    bucket = town.spec(venue).rate.buckets[0].name
    answer = await town.http[venue].request(HttpRequest(method=method, path=path, body=sent, bucket=bucket))
    return answer.status, json.loads(answer.body)


async def book_of(town: Town) -> HttpResponse:
    market = town.spec("upbit").market
    assert market is not None
    return await town.http["upbit"].request(market.depth_request("KRW-BTC", 1))


async def test_a_fault_begins_when_it_is_asked_for_and_ends_after_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        assert (await book_of(town)).status == 200
        told, row = await behind(town, "POST", "/sim/faults", {"kind": "http_5xx", "for": 3})
        await trio.sleep(0.1)
        assert (await book_of(town)).status == 503
        await trio.sleep(4)

        assert (told, row["kind"], row["for"]) == (200, "http_5xx", 3.0)
        assert (await book_of(town)).status == 200


async def test_what_happens_once_happens_once(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        await trio.sleep(1)
        exchange = town.simulation.world.exchange("binance_usdm")
        rules = town.instruments("binance_usdm")[0]
        exchange.position(ACCOUNT, rules.id)
        exchange.accounts[ACCOUNT].contracts[rules.id].qty = Decimal("0.2")
        assert (await behind(town, "POST", "/sim/faults", {"kind": "adl"}, "binance_usdm"))[0] == 200
        await trio.sleep(5)

        assert exchange.position(ACCOUNT, rules.id).qty == Decimal("0.1")


async def test_the_counter_answers_whatever_the_weather(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town(fault("upbit", FaultKind.HALF_OPEN)) as town:
        assert (await behind(town, "GET", "/sim/ledger"))[0] == 200
        with pytest.raises(VenueUnavailable):
            await book_of(town)


async def test_money_that_comes_and_goes_stands_in_the_ledger(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        before = (await behind(town, "GET", "/sim/ledger"))[1]["accounts"][ACCOUNT]
        came = await behind(town, "POST", "/sim/deposit", {"asset": "KRW", "amount": "1000.5"})
        left = await behind(town, "POST", "/sim/deposit", {"asset": "KRW", "amount": "-400.25", "fee": "0.25"})
        after = (await behind(town, "GET", "/sim/ledger"))[1]["accounts"][ACCOUNT]

        assert (came[0], left[0]) == (200, 200)
        assert came[1]["transfer_id"] != left[1]["transfer_id"]
        moved = Decimal(after["balances"]["KRW"]["free"]) - Decimal(before["balances"]["KRW"]["free"])
        assert moved == Decimal("600.25")
        assert Decimal(after["deposits"]["KRW"]) - Decimal(before["deposits"]["KRW"]) == moved


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sim/faults", {"kind": "earthquake", "for": 1}, 400),
        ("/sim/faults", {"kind": "silence", "for": -1}, 400),
        ("/sim/faults", {"kind": "silence", "when": 1}, 400),
        ("/sim/deposit", {"asset": "KRW", "amount": "NaN"}, 400),
        ("/sim/nothing", {}, 404),
    ],
)
async def test_what_is_not_understood_is_said(
    path: str, body: object, status: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_town() as town:
        told, row = await behind(town, "POST", path, body)

        assert told == status
        assert row["error"]
