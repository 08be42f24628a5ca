"""Fees as the venues take them, funding and transfers as they book them."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from arb.domain.effects import Alert, Effect, Record, Table
from arb.domain.events import DepthSeen, Event, FeesSeen, FillSeen, TransferSeen
from arb.domain.fees import Fee, FeeAsset, FeeSchedule
from arb.domain.ids import AssetId, InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import Fill, Liquidity, Side
from arb.domain.pair import PairKind
from arb.domain.tables import COLUMNS, PARTS_KRW, PARTS_USDT
from arb.engine.charges import fee_of, learn
from arb.engine.view import fees_of
from tests import strategies as make
from tests.engine.exchange import Exchange, cheap, fresh
from tests.engine.test_accounting import SPOT_B, Account, opened

D = Decimal
KRW, USDT, BTC, BNB = AssetId("KRW"), AssetId("USDT"), AssetId("BTC"), AssetId("BNB")


def spot() -> Account:
    """A pair of coins on both venues."""
    return opened(PairKind.SPOT_SPOT)


def rules_b(account: Account) -> Instrument:
    return account.rules("b")


def traded(side: Side, fee: Fee | None, liquidity: Liquidity = Liquidity.TAKER) -> Fill:
    """0.1 BTC at 100,000 on Binance spot: a notional of 10,000 USDT."""
    fill = make.fill(SPOT_B, "1", side, "0.1", "100000", fee=fee)
    return attrs.evolve(fill, liquidity=liquidity)


def schedule(account: Account, asset: FeeAsset, taker: str = "0.001", maker: str = "0.0008") -> None:
    fees = FeeSchedule(maker_rate=D(maker), taker_rate=D(taker), fee_asset=asset, source="venue")
    account.put(FeesSeen(at_ns=account.now_ns, instrument=SPOT_B, fees=fees))


def test_the_venue_s_own_word_is_the_fee() -> None:
    account = spot()
    for told in (Fee(D(10), USDT), Fee(D("0.0001"), BTC)):
        assert fee_of(account.turn, traded(Side.BUY, told), rules_b(account)) == (told, None)


@pytest.mark.parametrize(
    ("side", "asset", "liquidity", "expected"),
    [
        (Side.BUY, FeeAsset.RECEIVED, Liquidity.TAKER, Fee(D("0.0001"), BTC)),
        (Side.SELL, FeeAsset.RECEIVED, Liquidity.TAKER, Fee(D(10), USDT)),
        (Side.BUY, FeeAsset.QUOTE, Liquidity.MAKER, Fee(D(8), USDT)),
    ],
)
def test_without_a_word_the_schedule_speaks(side: Side, asset: FeeAsset, liquidity: Liquidity, expected: Fee) -> None:
    account = spot()
    schedule(account, asset)

    assert fee_of(account.turn, traded(side, None, liquidity), rules_b(account)) == (expected, None)


def test_bnb_is_worth_its_book_and_without_one_what_makes_the_fee_the_schedule_s() -> None:
    account = spot()
    schedule(account, FeeAsset.BNB, taker="0.00075")
    told = Fee(D("0.0125"), BNB)

    assert fee_of(account.turn, traded(Side.SELL, told), rules_b(account)) == (told, D(600))

    elsewhere = make.depth(InstrumentId("binance_usdm:BNBUSDT"), (610.9, 1.0), (611.1, 1.0), at_ns=account.now_ns)
    account.put(DepthSeen(at_ns=account.now_ns, depth=elsewhere))
    assert fee_of(account.turn, traded(Side.SELL, told), rules_b(account)) == (told, D("611.0"))


def learnt(account: Account, fill: Fill) -> FeeSchedule:
    turn = account.turn
    learn(turn, fill, rules_b(account))
    account.effects += turn.effects
    return fees_of(account.engine.memory, account.engine.config, SPOT_B)


def test_a_fee_as_planned_changes_nothing_and_rounding_is_no_difference() -> None:
    account = spot()
    schedule(account, FeeAsset.RECEIVED)
    before = fees_of(account.engine.memory, account.engine.config, SPOT_B)
    tiny = attrs.evolve(traded(Side.BUY, Fee(D("0.00000001"), BTC)), qty=D("0.00002"))

    for fill in (traded(Side.BUY, Fee(D("0.0001"), BTC)), traded(Side.SELL, Fee(D(10), USDT)), tiny):
        assert learnt(account, fill) == before
    assert account.alerts() == []


def test_another_fee_becomes_the_plan_and_is_told_once() -> None:
    account = spot()
    schedule(account, FeeAsset.BNB, taker="0.00075")

    found = learnt(account, traded(Side.BUY, Fee(D("0.0001"), BTC)))
    assert (found.taker_rate, found.maker_rate, found.fee_asset) == (D("0.001"), D("0.0008"), FeeAsset.RECEIVED)
    assert learnt(account, traded(Side.SELL, Fee(D(20), USDT))).taker_rate == D("0.002")
    assert learnt(account, traded(Side.SELL, Fee(D(5), USDT), Liquidity.MAKER)).maker_rate == D("0.0005")

    (alert,) = account.alerts()
    assert alert.key == f"fee/{SPOT_B}"
    assert dict(alert.fields)["seen_bps"] == 10


def test_a_sale_in_quote_says_that_bnb_no_longer_pays() -> None:
    account = spot()
    schedule(account, FeeAsset.BNB)

    assert learnt(account, traded(Side.SELL, Fee(D(10), USDT))).fee_asset is FeeAsset.RECEIVED
    assert learnt(account, traded(Side.BUY, Fee(D(10), USDT))).fee_asset is FeeAsset.QUOTE
    assert learnt(account, traded(Side.BUY, Fee(D("0.0125"), BNB))).fee_asset is FeeAsset.BNB


def test_a_transfer_is_written_with_what_the_venue_told_of_it() -> None:
    account = opened()
    account.put(
        TransferSeen(
            at_ns=account.now_ns, venue=VenueId("upbit"), transfer_id="w1", amount=D("-100.5"), asset=USDT,
            fee=D("0.5"), network="TRX", done_ms=1_790_000_100_000,
        )
    )  # fmt: skip

    (row,) = account.rows(Table.TRANSFERS)
    assert set(row) == set(COLUMNS[Table.TRANSFERS])
    assert (row["amount"], row["fee"], row["direction"], row["network"]) == (D("100.5"), D("0.5"), "out", "TRX")
    assert row["time_ns"] == 1_790_000_100_000 * 1_000_000


class Paying(Exchange):
    """An exchange whose contract venue takes its fees in BNB, of which nobody tells a price."""

    def put(self, event: Event) -> tuple[Effect, ...]:
        if isinstance(event, FillSeen) and event.fill.venue == "binance_usdm":
            event = attrs.evolve(event, fill=attrs.evolve(event.fill, fee=Fee(D("0.001"), BNB)))
        return super().put(event)


def test_every_cell_that_a_whole_trade_writes_has_its_column_and_every_column_its_cell() -> None:
    exchange = fresh()
    exchange.run(4, cheap(70))
    exchange.run(3, cheap(0))

    records = [effect for step in exchange.effects for effect in step if isinstance(effect, Record)]
    assert {Table.POSITIONS, Table.TRADES, Table.FILLS, Table.ORDERS, Table.SPREADS} <= {r.table for r in records}
    for record in records:
        assert tuple(sorted(name for name, _ in record.row)) == tuple(sorted(COLUMNS[record.table])), record.table


def test_an_open_position_says_what_it_would_be_at_mid_and_mark_and_a_closed_one_what_it_was() -> None:
    exchange = fresh()
    exchange.run(2, cheap(70))
    (row,) = exchange.rows(Table.POSITIONS)

    assert row["status"] == "open"
    for parts, total in ((PARTS_KRW, "pnl_krw"), (PARTS_USDT, "pnl_usdt")):
        assert sum(row[name] for name in parts) == row[total]
    entry_fees = D("0.0005") * (row["qty_a"] * row["entry_price_a"] + row["qty_b"] * row["entry_price_b"] * D("1450.5"))
    assert abs(row["fees_krw"] + entry_fees) < D("0.001")
    assert row["mark_price_a"] == D(str(cheap(70)))
    assert row["fx_mark"] == D("1450.5")

    exchange.run(3, cheap(0))
    (row,) = exchange.rows(Table.POSITIONS)
    (close,) = (trade for trade in exchange.rows(Table.TRADES) if trade["kind"] == "CLOSE")
    assert (row["status"], row["mark_price_a"], row["fx_mark"]) == ("closed", None, None)
    for parts, total in ((PARTS_KRW, "pnl_krw"), (PARTS_USDT, "pnl_usdt")):
        assert sum(row[name] for name in parts) == row[total]
        assert [close[name] for name in (*parts, total)] == [row[name] for name in (*parts, total)]


def test_a_fill_paid_in_bnb_without_a_book_costs_what_the_schedule_says() -> None:
    plain = fresh()
    exchange = Paying(plain.engine, now_ns=plain.now_ns)
    exchange.run(2, cheap(70))

    (fill,) = (row for row in exchange.rows(Table.FILLS) if row["fee_currency"] == "BNB")
    assert fill["fee"] == D("0.001")
    assert abs(fill["fee_krw"] - fill["qty"] * fill["price"] * D("0.0005") * D("1450.5")) < D("1e-6")
    assert exchange.engine.memory.ledger.holdings.tallies["binance_usdm/BNB"].fees == D("0.001")
    alerts = [effect for step in exchange.effects for effect in step if isinstance(effect, Alert)]
    assert [dict(alert.fields)["fee_currency"] for alert in alerts if alert.key.startswith("fee/")] == ["BNB"]


def test_the_premiums_are_shown_beside_the_spread() -> None:
    exchange = fresh()
    exchange.run(2, cheap(0))
    (row, *_) = exchange.rows(Table.SPREADS)

    assert abs(row["basis_bps"]) < 0.1
    assert row["tether_bps"] is None
    assert row["kimchi_bps"] is None
