"""Money that comes and goes: the venues' documented lists, and simulated deposits seen by the account over the wire."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from arb.domain.events import BalanceSeen, Reconciled, TransferSeen
from arb.domain.ids import AssetId, VenueId
from arb.venues import load_venue
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.spec import AccountProtocol
from arb.venues.wire.simulation import ACCOUNT
from tests.venues.private import INSTRUMENTS, KEYS, NOW_NS, STAMP, answer
from tests.venues.town import open_account, open_town
from tests.venues.wire.wire_fakes import Inbox

SINCE_MS = 1_795_000_000_000
VENUES = ("upbit", "binance_spot", "binance_usdm")


def protocol(venue: str) -> AccountProtocol:
    half = load_venue(venue).account
    assert half is not None
    return half.account(KEYS, (INSTRUMENTS[venue],))


def brief(seen: tuple[TransferSeen, ...]) -> list[tuple[str, str, Decimal, Decimal | None]]:
    return [(one.transfer_id, str(one.asset), one.amount, one.fee) for one in seen]


def test_upbit_lists_both_ways_and_counts_what_is_done() -> None:
    reader = protocol("upbit")
    requests = reader.transfers_requests(SINCE_MS, (STAMP,) * reader.transfers_count)
    row = {"type": "x", "net_type": "TRX", "txid": "t", "transaction_type": "default", "created_at": "2026-11-18"}
    came = [
        {**row, "uuid": "d1", "currency": "USDT", "state": "ACCEPTED", "amount": "50.5", "fee": "0.0",
         "done_at": "2026-11-18T22:30:00+09:00"},
        {**row, "uuid": "d2", "currency": "USDT", "state": "PROCESSING", "amount": "9", "fee": "0", "done_at": None},
        {**row, "uuid": "d3", "currency": "USDT", "state": "ACCEPTED", "amount": "7", "fee": "0",
         "done_at": "2026-11-18T12:00:00+09:00"},
    ]  # fmt: skip
    left = [
        {**row, "uuid": "w1", "currency": "XRP", "state": "DONE", "amount": "20", "fee": "0.4",
         "done_at": "2026-11-18T22:40:00+09:00"},
        {**row, "uuid": "w2", "currency": "XRP", "state": "CANCELLED", "amount": "20", "fee": "0.4",
         "done_at": "2026-11-18T22:41:00+09:00"},
    ]  # fmt: skip

    seen = reader.parse_transfers((answer(came), answer(left)), SINCE_MS, NOW_NS)

    assert [request.target for request in requests] == [
        "/v1/deposits?limit=100&order_by=desc",
        "/v1/withdraws?limit=100&order_by=desc",
    ]
    assert brief(seen) == [
        ("d1", "USDT", Decimal("50.5"), Decimal("0.0")),
        ("w1", "XRP", Decimal("-20.4"), Decimal("0.4")),
    ]
    assert (seen[0].network, seen[0].done_ms) == ("TRX", 1_795_008_600_000)


def test_binance_spot_counts_credited_deposits_sent_withdrawals_and_both_ways_to_futures() -> None:
    reader = protocol("binance_spot")
    requests = reader.transfers_requests(SINCE_MS, (STAMP,) * reader.transfers_count)
    deposit = {"coin": "BTC", "network": "BTC", "insertTime": SINCE_MS - 3_600_000, "amount": "0.5"}
    deposits = [
        {**deposit, "id": "1", "status": 1, "completeTime": SINCE_MS + 2},
        {**deposit, "id": "2", "status": 0},
        {**deposit, "id": "3", "status": 1, "completeTime": SINCE_MS - 1},
    ]
    withdrawal = {"coin": "USDT", "network": "TRX", "amount": "8.91", "transactionFee": "1"}
    withdrawals = [
        {**withdrawal, "id": "w", "status": 6, "applyTime": "2026-11-18 11:00:00"},
        {**withdrawal, "id": "x", "status": 3, "applyTime": "2026-11-18 12:00:00"},
    ]
    out = {"total": 1, "rows": [{"asset": "USDT", "amount": "10", "type": "MAIN_UMFUTURE", "status": "CONFIRMED",
                                 "tranId": 11415955596, "timestamp": SINCE_MS + 3}]}  # fmt: skip
    back = {"total": 1, "rows": [{"asset": "USDT", "amount": "4", "type": "UMFUTURE_MAIN", "status": "CONFIRMED",
                                  "tranId": 11415955597, "timestamp": SINCE_MS + 4}]}  # fmt: skip

    seen = reader.parse_transfers((answer(deposits), answer(withdrawals), answer(out), answer(back)), SINCE_MS, NOW_NS)

    assert [request.path for request in requests] == [
        "/sapi/v1/capital/deposit/hisrec",
        "/sapi/v1/capital/withdraw/history",
        "/sapi/v1/asset/transfer",
        "/sapi/v1/asset/transfer",
    ]
    assert brief(seen) == [
        ("withdrawal/w", "USDT", Decimal("-9.91"), Decimal(1)),
        ("deposit/1", "BTC", Decimal("0.5"), None),
        ("transfer/11415955596", "USDT", Decimal(-10), None),
        ("transfer/11415955597", "USDT", Decimal(4), None),
    ]


def test_binance_futures_reads_transfers_from_the_income_ledger() -> None:
    reader = protocol("binance_usdm")
    (request,) = reader.transfers_requests(SINCE_MS, (STAMP,))
    rows = [
        {"symbol": "", "incomeType": "TRANSFER", "income": "-3", "asset": "USDT", "time": SINCE_MS + 2, "tranId": "8"},
        {"symbol": "", "incomeType": "TRANSFER", "income": "5", "asset": "USDT", "time": SINCE_MS + 1, "tranId": 7},
        {"symbol": "X", "incomeType": "COMMISSION", "income": "1", "asset": "USDT", "time": SINCE_MS + 1, "tranId": 9},
    ]

    assert request.query.startswith(f"incomeType=TRANSFER&startTime={SINCE_MS}&limit=1000&")
    assert brief(reader.parse_transfers((answer(rows),), SINCE_MS, NOW_NS)) == [
        ("7", "USDT", Decimal(5), None),
        ("8", "USDT", Decimal(-3), None),
    ]


# --- simulated venues ---


def transfers(inbox: Inbox) -> list[tuple[str, Decimal]]:
    return [(str(one.asset), one.amount) for one in inbox.events() if isinstance(one, TransferSeen)]


@pytest.mark.parametrize("venue", VENUES)
async def test_what_moves_while_we_watch_is_explained(venue: str, autojump_clock: trio.testing.MockClock) -> None:
    asset = AssetId("KRW" if venue == "upbit" else "USDT")
    async with open_town() as town, open_account(town, venue) as (account, inbox):
        exchange = town.simulation.world.exchange(venue)
        before = inbox.events()
        exchange.transfer(ACCOUNT, asset, Decimal(1000), town.clock.wall_ns())
        exchange.transfer(ACCOUNT, asset, Decimal(-101), town.clock.wall_ns(), fee=Decimal(1))
        town.simulation.stir()
        await trio.sleep(5)
        if venue == "upbit":  # its stream tells a balance and no reason: the next reading explains it
            await account.read("periodic")

        assert not [one for one in before if isinstance(one, TransferSeen)]
        assert [one for one in before if isinstance(one, Reconciled)]
        assert set(transfers(inbox)) == {(str(asset), Decimal(1000)), (str(asset), Decimal(-101))}
        ids = {one.transfer_id for one in inbox.events() if isinstance(one, TransferSeen)}
        assert len(ids) == 2
        told = [one for one in inbox.events() if isinstance(one, BalanceSeen)][-1]
        held = {balance.asset: balance.total for balance in told.balances}
        assert held[asset] == {one.asset: one.total for one in exchange.balances(ACCOUNT)}[asset]


async def test_a_reading_tells_all_of_them_again_under_their_own_names(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town, open_account(town, "upbit") as (account, inbox):
        exchange = town.simulation.world.exchange("upbit")
        for _ in range(3):
            exchange.transfer(ACCOUNT, AssetId("KRW"), Decimal(7), town.clock.wall_ns())
        await account.read("connected")
        await account.read("again")

        assert transfers(inbox) == [("KRW", Decimal(7))] * 6
        assert len({one.transfer_id for one in inbox.events() if isinstance(one, TransferSeen)}) == 3


async def test_an_account_is_read_without_the_transfers_that_a_venue_does_not_tell(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    unread = FaultScript(
        at_s=0.0,
        venue=VenueId("binance_spot"),
        kind=FaultKind.HTTP_5XX,
        duration_s=1e6,
        target="/sapi/v1/asset/transfer",
    )
    async with open_town(unread) as town, open_account(town, "binance_spot") as (account, inbox):
        await account.read("start")

        assert [one for one in inbox.events() if isinstance(one, BalanceSeen)]
        assert [one for one in inbox.events() if isinstance(one, Reconciled)]
        assert "transfers_unread" in [record.message for record in caplog.records]
