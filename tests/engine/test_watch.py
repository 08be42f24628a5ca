"""The watch over balanced positions: late messages repair nothing, confirmed differences do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.effects import Alert, Table
from arb.domain.events import BalanceSeen, FillSeen, InstrumentSeen, PositionSeen
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, PairId, TradeId, VenueId
from arb.domain.instrument import InstrumentKind
from arb.domain.order import Balance, Fill, Liquidity, OrderState, Purpose, Side
from arb.engine.view import net_delta_krw
from tests.engine.exchange import FULL, A, B, Exchange, Reply, cheap, contract, fresh, rules
from tests.engine.test_incidents import entered, net, scripted

D = Decimal


@pytest.mark.parametrize("delay_ms", [3_000, 12_000])
def test_late_balances_and_positions_never_repair_a_good_position(delay_ms: int) -> None:
    exchange = fresh()
    exchange.account_delay_ms = delay_ms
    exchange.run(20, cheap(70))
    exchange.run(delay_ms / 1000 + 10, cheap(0))
    exchange.run(20, cheap(70))
    assert {r.purpose for r in exchange.submitted} == {Purpose.ENTRY, Purpose.EXIT, Purpose.HEDGE}
    assert len(exchange.submitted) == 6
    assert not exchange.engine.memory.incident_times


def old_words(exchange: Exchange) -> None:
    """Messages of before the entry arrive after it."""
    nothing = Balance(AssetId("BTC"), D(0), D(0))
    at_ns = exchange.now_ns
    exchange.put(BalanceSeen(at_ns=at_ns, venue=VenueId("upbit"), balances=(nothing,), is_full=False))
    exchange.put(PositionSeen(at_ns=at_ns, position=contract(D(0))))


def test_an_old_word_is_asked_about_before_anything_is_done() -> None:
    exchange = entered(scripted())
    before = len(exchange.submitted)
    old_words(exchange)
    exchange.run(15, cheap(70))
    assert exchange.readings
    assert len(exchange.submitted) == before
    assert net(exchange) == 0


def test_coins_that_left_without_us_are_missed_after_a_reading_and_the_contract_follows() -> None:
    exchange = entered(scripted())
    exchange.coins -= D("0.005")
    exchange.now_ns += 1
    coins = Balance(AssetId("BTC"), exchange.coins, D(0))
    exchange.put(BalanceSeen(at_ns=exchange.now_ns, venue=VenueId("upbit"), balances=(coins,), is_full=False))
    exchange.run(5, cheap(70))
    assert [query.venue for query in exchange.readings] == ["upbit"]
    assert exchange.submitted[-1].purpose is Purpose.REVERSE
    assert net(exchange) == 0


def raise_minimum(exchange: Exchange) -> Exchange:
    """A's venue takes no order below 250,000 KRW from now on."""
    strict = rules(A, InstrumentKind.SPOT, "KRW", "1000", "0.00000001", "250000")
    exchange.put(InstrumentSeen(at_ns=exchange.now_ns, instrument=strict))
    return exchange


def test_a_rest_that_no_order_can_take_is_left_over_and_the_other_leg_closed() -> None:
    exchange = raise_minimum(entered(scripted(FULL, FULL, Reply(shares=("0.9",)))))
    exchange.run(10, cheap(0))
    ledger = exchange.engine.memory.ledger
    assert not exchange.engine.open_positions()
    assert exchange.contracts == 0
    assert exchange.coins * 103_000 * D("1450.5") < 250_000
    assert ledger.residual_qty(PairId("BTC")) == exchange.coins > 0
    assert exchange.engine.unbalanced() == ()
    assert exchange.engine.is_settled()
    assert not [alert for step in exchange.effects for alert in step if isinstance(alert, Alert)]


def test_legs_that_differ_by_dust_are_balanced_and_the_dust_counts_in_delta() -> None:
    exchange = raise_minimum(fresh(scripted(Reply(shares=("0.65",)))))
    exchange.run(3, cheap(70))
    memory = exchange.engine.memory
    position = memory.ledger.position(PairId("BTC"))
    assert position is not None
    assert 0 < abs(position.net_qty) < D("0.001")
    assert len(exchange.submitted) == 2
    assert exchange.engine.is_settled()
    assert exchange.engine.unbalanced() == ()
    assert net_delta_krw(memory, exchange.engine.config) == position.net_qty * D(str(cheap(70)))


def taken_away(exchange: Exchange) -> Decimal:
    """The venue closes a part of the contract by an order of its own; the rest of the pair learns it by messages."""
    qty = D("0.006")
    exchange.contracts += qty
    exchange.now_ns += 1
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=adl_fill(exchange.now_ns, qty)))
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    return qty


def adl_fill(at_ns: int, qty: Decimal) -> Fill:
    """An execution under a name that is not ours."""
    return Fill(
        instrument=B, trade_id=TradeId("adl-1"), client_order_id=ClientOrderId("adl_autoclose"), venue_order_id=None,
        side=Side.BUY, qty=qty, price=D(103_000), fee=Fee(D(0), AssetId("USDT")), liquidity=Liquidity.TAKER,
        received_ns=at_ns, venue_ns=None,
    )  # fmt: skip


def test_what_a_venue_takes_away_is_booked_once_and_the_other_leg_follows_before_any_exit() -> None:
    exchange = entered(scripted())
    position = exchange.engine.memory.ledger.positions[PairId("BTC")]
    qty = taken_away(exchange)
    assert [query.venue for query in exchange.readings] == ["binance_usdm"]
    exchange.run(1, cheap(0))
    assert len(exchange.submitted) == 2
    while len(exchange.submitted) < 3:
        exchange.run(0.1, cheap(0))
    reverse = exchange.submitted[2]
    assert (reverse.purpose, reverse.instrument, reverse.qty) == (Purpose.REVERSE, A, qty)
    after = exchange.engine.memory.ledger.positions[PairId("BTC")]
    assert after.b.net_qty == position.b.net_qty + qty == exchange.contracts
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=adl_fill(exchange.now_ns, qty)))
    exchange.run(15, cheap(0))
    assert [r.purpose for r in exchange.submitted[3:]] == [Purpose.EXIT, Purpose.HEDGE]
    assert (exchange.coins, exchange.contracts) == (D(0), D(0))
    assert exchange.engine.is_settled()
    assert exchange.engine.unbalanced() == ()
    told = [row for row in exchange.rows(Table.FILLS) if row["client_order_id"] == "adl_autoclose"]
    assert [(row["qty"], row["price"]) for row in told] == [(qty, D(103_000))]


def test_what_a_venue_takes_away_without_telling_an_execution_is_booked_at_mid() -> None:
    exchange = entered(scripted())
    exchange.contracts += D("0.006")
    exchange.now_ns += 1
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(20, cheap(0))
    assert (exchange.coins, exchange.contracts) == (D(0), D(0))
    assert [r.purpose for r in exchange.submitted[2:]] == [Purpose.REVERSE, Purpose.EXIT, Purpose.HEDGE]
    assert exchange.engine.is_settled()


def told_apart(exchange: Exchange, qty: str, price: str, name: str = "adl") -> Fill:
    """An execution of the venue's own order, with its own price and fee."""
    fill = Fill(
        instrument=B, trade_id=TradeId(name), client_order_id=ClientOrderId("adl_autoclose"), venue_order_id=None,
        side=Side.BUY, qty=D(qty), price=D(price), fee=Fee(D("1.5"), AssetId("USDT")), liquidity=Liquidity.TAKER,
        received_ns=exchange.now_ns, venue_ns=None,
    )  # fmt: skip
    exchange.trade(fill)
    return fill


def test_what_was_told_in_part_is_booked_at_its_own_price_and_the_rest_at_the_mark() -> None:
    exchange = entered(scripted())
    exchange.now_ns += 1
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=told_apart(exchange, "0.002", "104000")))
    told_apart(exchange, "0.003", "105000", "never told")
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(4, cheap(70))
    position = exchange.engine.memory.ledger.positions[PairId("BTC")]
    assert position.b.bought_qty == D("0.005")
    assert position.b.bought_value == D("0.002") * 104_000 + D("0.003") * 103_000
    assert exchange.submitted[-1].qty == D("0.005")
    assert net(exchange) == 0


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("shares", [(), ("0.3",)])
def test_what_a_venue_takes_away_while_an_exit_is_unbalanced_is_booked_and_the_exit_ends(
    shares: tuple[str, ...], *, is_told: bool
) -> None:
    failing = Reply(shares=shares, state=OrderState.CANCELED)
    exchange = entered(scripted(FULL, FULL, FULL, failing, then=Reply(shares=(), state=OrderState.CANCELED)))
    while len(exchange.submitted) < 4:
        exchange.run(0.1, cheap(0))
    exchange.run(0.3, cheap(0))
    taken = told_apart(exchange, str(-exchange.contracts), "103500")
    exchange.now_ns += 1
    if is_told:
        exchange.put(FillSeen(at_ns=exchange.now_ns, fill=taken))
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(15, cheap(0))
    assert exchange.contracts == exchange.coins == 0
    assert not exchange.engine.open_positions()
    assert exchange.engine.is_settled()
    assert exchange.engine.unbalanced() == ()


def test_a_venue_that_takes_away_during_an_entry_leaves_the_pair_balanced() -> None:
    exchange = entered(scripted(FULL, FULL), 0.2)
    taken = told_apart(exchange, "0.004", "103500")
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=taken))
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(16, cheap(70))
    position = exchange.engine.memory.ledger.positions[PairId("BTC")]
    assert position.b.net_qty == exchange.contracts
    assert position.a.net_qty == exchange.coins
    assert abs(net(exchange)) < D("0.0001")


def test_coins_that_nobody_bought_make_the_venue_be_read_and_are_never_traded() -> None:
    exchange = entered(scripted())
    exchange.run(11, cheap(70))
    before, asked = len(exchange.submitted), len(exchange.readings)
    exchange.coins += D("0.01")
    exchange.now_ns += 1
    exchange.account(A)
    exchange.run(3, cheap(70))
    assert len(exchange.readings) > asked
    assert exchange.readings[-1].venue == "upbit"
    assert len(exchange.submitted) == before
    assert exchange.engine.memory.ledger.positions[PairId("BTC")].a.net_qty == exchange.coins - D("0.01")
