"""The simulated exchange: orders, balances and contracts, by example and by law."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.ids import AssetId, InstrumentId
from arb.domain.instrument import Instrument
from arb.domain.order import OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.chance import stream
from arb.venues.simulated.crossing import Disturbance
from arb.venues.simulated.facts import (
    BalanceChanged,
    EndCause,
    Executed,
    FundingSettled,
    NewOrder,
    OrderChanged,
    OrderView,
    PositionChanged,
    RefusalReason,
    Refused,
    SelfTrade,
)
from arb.venues.simulated.listings import listing
from arb.venues.simulated.margin import liquidation_price
from arb.venues.simulated.matching import Exchange
from arb.venues.simulated.models import BINANCE_SPOT, BINANCE_USDM, UPBIT, VenueModel

KRW_BTC = InstrumentId("upbit:KRW-BTC")
SPOT_BTC = InstrumentId("binance_spot:BTCUSDT")
PERP_BTC = InstrumentId("binance_usdm:BTCUSDT")
KRW, BTC, USDT, BNB = (AssetId(name) for name in ("KRW", "BTC", "USDT", "BNB"))
START_NS = 1_760_000_000_000_000_000
INF = D("Infinity")


def levels(*pairs: tuple[str, str]) -> tuple[tuple[D, D], ...]:
    return tuple((D(price), D(size)) for price, size in pairs)


def exchange(model: VenueModel, instrument: InstrumentId, **balances: str) -> Exchange:
    made = Exchange(model, (listing(instrument),), START_NS, stream(1, "test"))
    held = tuple((AssetId(asset), D(amount)) for asset, amount in balances.items())
    made.open_account("me", START_NS, held)
    return made


def upbit(**balances: str) -> Exchange:
    made = exchange(UPBIT, KRW_BTC, **(balances or {"KRW": "20000000"}))
    bids = levels(("148780000", "0.05"), ("148700000", "0.5"))
    made.on_depth(KRW_BTC, bids, levels(("148800000", "0.03"), ("148850000", "0.05")), START_NS)
    made.take()
    return made


def perp(usdt: str = "15000", model: VenueModel = BINANCE_USDM) -> Exchange:
    made = exchange(model, PERP_BTC, USDT=usdt)
    made.on_mark(PERP_BTC, D("103000"), D("103000"), D("0.0001"), START_NS)
    made.on_depth(PERP_BTC, levels(("103000.0", "1")), levels(("103000.1", "1")), START_NS)
    made.set_leverage("me", PERP_BTC, 2)
    made.set_isolated("me", PERP_BTC, True)
    made.take()
    return made


def wish(
    instrument: InstrumentId,
    side: Side,
    qty: str | None,
    price: str | None,
    force: TimeInForce = TimeInForce.IOC,
    kind: OrderType = OrderType.LIMIT,
    **more: Any,
) -> NewOrder:
    order = NewOrder(
        client_order_id="",
        instrument=instrument,
        side=side,
        order_type=kind,
        time_in_force=force,
        qty=None if qty is None else D(qty),
        price=None if price is None else D(price),
    )
    return attrs.evolve(order, **more)


def submit(made: Exchange, order: NewOrder, account: str = "me") -> OrderView:
    view = made.submit(account, order, START_NS)
    assert isinstance(view, OrderView), view
    return view


def refusal(made: Exchange, order: NewOrder) -> RefusalReason:
    answer = made.submit("me", order, START_NS)
    assert isinstance(answer, Refused)
    return answer.reason


def held(made: Exchange, asset: str, account: str = "me") -> tuple[D, D]:
    holding = made.accounts[account].holdings[AssetId(asset)]
    return holding.free, holding.locked


# --- spot -------------------------------------------------------------------------------------------------------------


def test_resting_bid_on_upbit_locks_principal_and_fee_and_cancel_releases_both() -> None:
    made = upbit()
    view = submit(made, wish(KRW_BTC, Side.BUY, "0.1", "148000000", TimeInForce.GTC))
    assert view.state is OrderState.OPEN
    assert (view.locked, view.locked_fee) == (D("14807400"), D("7400"))
    assert held(made, "KRW") == (D("5192600"), D("14807400"))
    made.cancel("me", view.order_id, START_NS)
    assert held(made, "KRW") == (D("20000000"), D(0))


def test_resting_bid_on_binance_spot_locks_only_the_principal_and_pays_the_fee_in_the_coin() -> None:
    made = exchange(BINANCE_SPOT, SPOT_BTC, USDT="15000")
    made.on_depth(SPOT_BTC, levels(("103000", "1")), levels(("103001", "1")), START_NS)
    view = submit(made, wish(SPOT_BTC, Side.BUY, "0.1", "103000", TimeInForce.GTC))
    assert (view.locked, view.locked_fee) == (D(10300), D(0))
    made.on_depth(SPOT_BTC, levels(("102990", "1")), levels(("102995", "0.04")), START_NS + 1)
    partly = made.find("me", order_id=view.order_id)
    assert partly is not None
    assert partly.filled_qty == D("0.04")
    assert partly.filled_quote == D("0.04") * 103000, "a resting order fills at its own price"
    assert held(made, "BTC") == (D("0.04") - D("0.00004"), D(0))
    assert held(made, "USDT") == (D(4700), D(6180))


def test_fee_is_paid_in_bnb_while_there_is_any() -> None:
    fees = FeeSchedule(maker_rate=D("0.001"), taker_rate=D("0.001"), fee_asset=FeeAsset.BNB)
    made = exchange(attrs.evolve(BINANCE_SPOT, fees=fees), SPOT_BTC, USDT="15000", BNB="0.01")
    made.on_depth(SPOT_BTC, levels(("99999", "1")), levels(("100000", "1")), START_NS)
    first = submit(made, wish(SPOT_BTC, Side.BUY, "0.06", "100000"))
    second = submit(made, wish(SPOT_BTC, Side.BUY, "0.06", "100000"))
    assert [(fee.asset, fee.amount) for fee in first.paid_fees] == [(BNB, D("0.00750000"))]
    assert [fee.asset for fee in second.paid_fees] == [BTC], "0.0025 BNB do not cover the second fee"
    assert held(made, "BTC")[0] == D("0.06") + D("0.06") * D("0.999")


def test_ioc_walks_the_book_to_its_limit_and_gives_back_the_rest() -> None:
    made = upbit()
    view = submit(made, wish(KRW_BTC, Side.BUY, "0.05", "148800000"))
    assert (view.state, view.cause, view.filled_qty) == (OrderState.CANCELED, EndCause.IOC_REMAINDER, D("0.03"))
    assert held(made, "KRW") == (D(20_000_000) - D("4464000") - D("2232"), D(0))
    kinds = [type(fact).__name__ for fact in made.take()]
    assert kinds == ["OrderChanged", "Executed", "PublicTrade", "OrderChanged", "BalanceChanged"]


def test_taken_size_is_gone_until_the_next_image() -> None:
    made = upbit()
    submit(made, wish(KRW_BTC, Side.BUY, "0.03", "148800000"))
    assert submit(made, wish(KRW_BTC, Side.BUY, "0.03", "148800000")).filled_qty == 0
    made.on_depth(KRW_BTC, levels(("148780000", "1")), levels(("148800000", "0.03")), START_NS + 1)
    assert submit(made, wish(KRW_BTC, Side.BUY, "0.03", "148800000")).filled_qty == D("0.03")


def test_only_the_depth_fraction_of_a_level_can_be_taken() -> None:
    made = exchange(attrs.evolve(UPBIT, depth_fraction=D("0.4")), KRW_BTC, KRW="20000000")
    made.on_depth(KRW_BTC, levels(("148780000", "1")), levels(("148800000", "0.1")), START_NS)
    assert submit(made, wish(KRW_BTC, Side.BUY, "0.1", "148800000")).filled_qty == D("0.04")


def test_fok_fills_whole_or_not_at_all() -> None:
    made = upbit()
    killed = submit(made, wish(KRW_BTC, Side.BUY, "0.09", "148850000", TimeInForce.FOK))
    assert (killed.state, killed.cause, killed.filled_qty) == (OrderState.CANCELED, EndCause.FOK_KILLED, D(0))
    whole = submit(made, wish(KRW_BTC, Side.BUY, "0.08", "148850000", TimeInForce.FOK))
    assert (whole.state, whole.filled_qty) == (OrderState.FILLED, D("0.08"))


def test_upbit_market_buy_spends_a_total_and_ends_cancelled_with_a_remainder() -> None:
    made = upbit()
    total = D(1_000_000)
    order = wish(KRW_BTC, Side.BUY, None, None, kind=OrderType.MARKET_BY_QUOTE, quote_qty=total)
    view = submit(made, order)
    assert view.filled_qty == D("0.00672043"), "floor(1,000,000 / 148,800,000) to 8 places"
    assert (view.state, view.cause) == (OrderState.CANCELED, EndCause.QUOTE_REMAINDER)
    assert held(made, "KRW") == (D(20_000_000) - view.filled_quote * D("1.0005"), D(0))


def test_upbit_market_buy_that_divides_exactly_is_done() -> None:
    made = upbit()
    order = wish(KRW_BTC, Side.BUY, None, None, kind=OrderType.MARKET_BY_QUOTE, quote_qty=D(1_488_000))
    assert submit(made, order).state is OrderState.FILLED


def test_upbit_refuses_a_market_order_beyond_the_visible_book_and_binance_fills_what_there_is() -> None:
    made = upbit(BTC="2")
    assert refusal(made, wish(KRW_BTC, Side.SELL, "1", None, kind=OrderType.MARKET)) is RefusalReason.NO_LIQUIDITY
    other = exchange(BINANCE_SPOT, SPOT_BTC, BTC="2")
    other.on_depth(SPOT_BTC, levels(("103000", "0.5")), levels(("103001", "1")), START_NS)
    view = submit(other, wish(SPOT_BTC, Side.SELL, "1", None, kind=OrderType.MARKET))
    assert (view.filled_qty, view.cause) == (D("0.5"), EndCause.NO_LIQUIDITY)


def test_best_buy_spends_its_total_at_the_best_price_only() -> None:
    made = upbit()
    view = submit(made, wish(KRW_BTC, Side.BUY, None, None, kind=OrderType.BEST, quote_qty=D(6_000_000)))
    assert (view.filled_qty, view.cause) == (D("0.03"), EndCause.IOC_REMAINDER)
    fok = wish(KRW_BTC, Side.SELL, "0.06", None, TimeInForce.FOK, OrderType.BEST)
    made.transfer("me", BTC, D(1), START_NS)
    assert submit(made, fok).cause is EndCause.FOK_KILLED


def test_post_only_that_would_take_is_refused_on_binance_spot_and_ends_on_the_others() -> None:
    made = upbit()
    view = submit(made, wish(KRW_BTC, Side.BUY, "0.01", "148800000", TimeInForce.POST_ONLY))
    assert (view.state, view.cause, view.filled_qty) == (OrderState.CANCELED, EndCause.WOULD_TAKE, D(0))
    rests = submit(made, wish(KRW_BTC, Side.BUY, "0.01", "148790000", TimeInForce.POST_ONLY))
    assert rests.state is OrderState.OPEN
    spot = exchange(BINANCE_SPOT, SPOT_BTC, USDT="15000")
    spot.on_depth(SPOT_BTC, levels(("103000", "1")), levels(("103001", "1")), START_NS)
    order = wish(SPOT_BTC, Side.BUY, "0.01", "103001", TimeInForce.POST_ONLY)
    assert refusal(spot, order) is RefusalReason.WOULD_TAKE


@pytest.mark.parametrize(
    ("mode", "taker_cause", "maker_state", "filled"),
    [
        (SelfTrade.CANCEL_TAKER, EndCause.SELF_TRADE, OrderState.OPEN, "0"),
        (SelfTrade.CANCEL_MAKER, EndCause.NONE, OrderState.CANCELED, "0.01"),
        (SelfTrade.CANCEL_BOTH, EndCause.SELF_TRADE, OrderState.CANCELED, "0"),
        (SelfTrade.NONE, EndCause.NONE, OrderState.FILLED, "0.01"),
    ],
)
def test_the_takers_mode_decides_when_an_account_meets_itself(
    mode: SelfTrade, taker_cause: EndCause, maker_state: OrderState, filled: str
) -> None:
    made = upbit(KRW="20000000", BTC="1")
    maker = submit(made, wish(KRW_BTC, Side.SELL, "0.01", "148790000", TimeInForce.GTC))
    taker = submit(made, wish(KRW_BTC, Side.BUY, "0.01", "148800000", self_trade=mode))
    after = made.find("me", order_id=maker.order_id)
    assert after is not None
    assert (taker.cause, after.state, taker.filled_qty) == (taker_cause, maker_state, D(filled))


def test_accounts_trade_with_each_other_before_the_ambient_book_at_the_same_price() -> None:
    made = upbit()
    made.open_account("other", START_NS, ((BTC, D(1)),))
    maker = submit(made, wish(KRW_BTC, Side.SELL, "0.01", "148800000", TimeInForce.GTC), "other")
    taker = submit(made, wish(KRW_BTC, Side.BUY, "0.02", "148800000"))
    assert taker.filled_qty == D("0.02")
    assert taker.trade_ids[0] == made.find("other", order_id=maker.order_id).trade_ids[0]  # type: ignore[union-attr]
    assert held(made, "KRW", "other") == (D("1488000") - D("744"), D(0))


def test_client_ids_are_unique_for_ever_on_upbit_and_among_open_orders_on_binance() -> None:
    made = upbit()
    named = wish(KRW_BTC, Side.BUY, "0.01", "148800000", client_order_id="a")
    submit(made, named)
    assert refusal(made, named) is RefusalReason.DUPLICATE_CLIENT_ID
    poor = wish(KRW_BTC, Side.BUY, "0.5", "148800000", client_order_id="b")
    assert refusal(made, poor) is RefusalReason.INSUFFICIENT_BALANCE
    assert refusal(made, poor) is RefusalReason.DUPLICATE_CLIENT_ID, "a refused order uses its name up"
    assert made.accounts["me"].refusals == {
        RefusalReason.DUPLICATE_CLIENT_ID: 2,
        RefusalReason.INSUFFICIENT_BALANCE: 1,
    }
    other = perp()
    open_order = wish(PERP_BTC, Side.BUY, "0.01", "102000", TimeInForce.GTC, client_order_id="a")
    resting = submit(other, open_order)
    assert refusal(other, open_order) is RefusalReason.DUPLICATE_CLIENT_ID
    other.cancel("me", resting.order_id, START_NS)
    again = submit(other, open_order)
    found = other.find("me", client_order_id="a")
    assert found is not None
    assert found.order_id == again.order_id


@pytest.mark.parametrize(
    ("qty", "price", "reason"),
    [
        ("0.01", "148800500", RefusalReason.OFF_TICK),
        ("0.000000011", "148800000", RefusalReason.OFF_LOT),
        ("0.00001", "148800000", RefusalReason.NOTIONAL_TOO_SMALL),
        ("8", "148800000", RefusalReason.NOTIONAL_TOO_LARGE),
        ("0.2", "148800000", RefusalReason.INSUFFICIENT_BALANCE),
        ("0", "148800000", RefusalReason.BAD_FORM),
        ("0.01", None, RefusalReason.BAD_FORM),
        ("NaN", "148800000", RefusalReason.BAD_FORM),
    ],
)
def test_filters_refuse_by_name(qty: str, price: str | None, reason: RefusalReason) -> None:
    assert refusal(upbit(), wish(KRW_BTC, Side.BUY, qty, price)) is reason


def test_perpetual_filters_and_open_order_limit() -> None:
    made = perp(model=attrs.evolve(BINANCE_USDM, max_open_orders=1))
    assert refusal(made, wish(PERP_BTC, Side.BUY, "0.01", "109000")) is RefusalReason.PRICE_BAND
    assert refusal(made, wish(PERP_BTC, Side.SELL, "0.01", "97000")) is RefusalReason.PRICE_BAND
    assert refusal(made, wish(PERP_BTC, Side.BUY, "2000", "103000")) is RefusalReason.QTY_TOO_LARGE
    submit(made, wish(PERP_BTC, Side.BUY, "0.01", "102000", TimeInForce.GTC))
    order = wish(PERP_BTC, Side.BUY, "0.01", "102000", TimeInForce.GTC)
    assert refusal(made, order) is RefusalReason.TOO_MANY_OPEN_ORDERS
    assert refusal(made, attrs.evolve(order, instrument=KRW_BTC)) is RefusalReason.UNKNOWN_INSTRUMENT


def test_scripted_disturbances_close_refuse_and_halve() -> None:
    made = upbit()
    order = wish(KRW_BTC, Side.BUY, "0.02", "148800000")
    made.disturb(Disturbance(is_closed=True))
    assert refusal(made, order) is RefusalReason.NOT_TRADING
    made.disturb(Disturbance(refuses_orders=True))
    assert refusal(made, order) is RefusalReason.SCRIPTED
    made.disturb(Disturbance(fills_half=True))
    assert submit(made, order).filled_qty == D("0.01")
    made.disturb(Disturbance(shows_crossed=True))
    made.on_depth(KRW_BTC, levels(("148780000", "1")), levels(("148800000", "1")), START_NS)
    image = made.book(KRW_BTC)
    assert image is not None
    assert image.bids[0][0] > image.asks[0][0]


def test_a_miss_finds_the_best_level_gone() -> None:
    made = exchange(attrs.evolve(UPBIT, miss_probability=1.0), KRW_BTC, KRW="20000000")
    made.on_depth(KRW_BTC, levels(("1000000", "1")), levels(("148800000", "1"), ("148850000", "1")), START_NS)
    view = submit(made, wish(KRW_BTC, Side.BUY, "0.01", "148850000"))
    assert view.avg_price == D(148_850_000)


# --- contracts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leverage", "price"),
    [(1, "205179.3"), (2, "153884.5"), (3, "136786.2"), (5, "123107.6"), (10, "112848.6")],
)
def test_liquidation_price_of_a_short_as_worked_by_hand(leverage: int, price: str) -> None:
    wallet = D(10_300) / leverage
    found = liquidation_price(D("-0.1"), D(103_000), wallet, D("0.004"))
    assert found.quantize(D("0.1")) == D(price)


def test_short_locks_margin_and_closing_books_realised_pnl() -> None:
    made = perp()
    submit(made, wish(PERP_BTC, Side.SELL, "0.1", "103000.0"))
    position = made.position("me", PERP_BTC)
    assert (position.qty, position.entry_price, position.margin) == (D("-0.1"), D(103_000), D(5_150))
    assert position.liquidation_price.quantize(D("0.1")) == D("153884.5")
    assert made.wallet("me") == D(15_000) - D("5.15")
    made.on_depth(PERP_BTC, levels(("101999.9", "1")), levels(("102000", "1")), START_NS)
    submit(made, wish(PERP_BTC, Side.BUY, "0.1", "102000", reduce_only=True))
    assert made.position("me", PERP_BTC).qty == 0
    assert made.wallet("me") == D(15_000) - D("5.15") - D("5.1") + D(100)
    assert held(made, "USDT")[1] == 0


def test_reduce_only_never_opens() -> None:
    made = perp()
    assert refusal(made, wish(PERP_BTC, Side.BUY, "0.1", "103000.1", reduce_only=True)) is RefusalReason.REDUCE_ONLY
    submit(made, wish(PERP_BTC, Side.SELL, "0.05", "103000.0"))
    view = submit(made, wish(PERP_BTC, Side.BUY, "0.08", "103000.1", reduce_only=True))
    assert (view.filled_qty, view.cause) == (D("0.05"), EndCause.REDUCE_ONLY)
    assert made.position("me", PERP_BTC).qty == 0


def test_an_order_that_only_reduces_and_wants_all_or_nothing_gets_nothing_beyond_the_position() -> None:
    made = perp()
    submit(made, wish(PERP_BTC, Side.SELL, "0.05", "103000.0"))
    beyond = wish(PERP_BTC, Side.BUY, "0.08", "103000.1", TimeInForce.FOK, reduce_only=True)
    assert (submit(made, beyond).cause, made.position("me", PERP_BTC).qty) == (EndCause.FOK_KILLED, D("-0.05"))
    whole = submit(made, wish(PERP_BTC, Side.BUY, "0.05", "103000.1", TimeInForce.FOK, reduce_only=True))
    assert (whole.state, made.position("me", PERP_BTC).qty) == (OrderState.FILLED, D(0))


def test_an_order_beyond_the_margin_is_refused() -> None:
    made = perp("1000")
    assert refusal(made, wish(PERP_BTC, Side.SELL, "0.02", "103000.0")) is RefusalReason.INSUFFICIENT_MARGIN
    assert submit(made, wish(PERP_BTC, Side.SELL, "0.019", "103000.0")).state is OrderState.FILLED


def test_funding_is_settled_at_its_time_and_a_short_receives_a_positive_rate() -> None:
    made = perp()
    submit(made, wish(PERP_BTC, Side.SELL, "0.1", "103000.0"))
    made.on_mark(PERP_BTC, D(103_400), D(103_400), D("0.0001"), START_NS)
    due_ns = made.desk.next_funding_ns
    made.take()
    made.advance_to(due_ns - 1)
    assert made.incomes("me") == ()
    made.advance_to(due_ns + 5)
    facts = made.take()
    assert [type(fact) for fact in facts] == [FundingSettled, BalanceChanged, PositionChanged]
    income = made.incomes("me")[0]
    assert (income.amount, income.at_ns) == (D("1.034"), due_ns)
    assert made.position("me", PERP_BTC).margin == D(5_150) + D("1.034")


def test_a_mark_beyond_the_liquidation_price_takes_position_and_margin() -> None:
    made = perp()
    submit(made, wish(PERP_BTC, Side.SELL, "0.1", "103000.0"))
    resting = submit(made, wish(PERP_BTC, Side.BUY, "0.01", "102000", TimeInForce.GTC))
    made.take()
    made.on_mark(PERP_BTC, D(153_880), D(153_880), D(0), START_NS)
    assert made.position("me", PERP_BTC).qty == D("-0.1")
    made.on_mark(PERP_BTC, D(153_885), D(153_885), D(0), START_NS)
    assert made.position("me", PERP_BTC).qty == 0
    assert made.wallet("me") == D(15_000) - D("5.15") - D(5_150)
    ended = made.find("me", order_id=resting.order_id)
    assert ended is not None
    assert ended.cause is EndCause.LIQUIDATION
    forced = [fact.view.order.client_order_id for fact in made.take() if isinstance(fact, Executed)]
    assert len(forced) == 1
    assert forced[0].startswith("autoclose-")


def test_deleveraging_takes_half_of_a_position_at_the_mark() -> None:
    made = perp()
    submit(made, wish(PERP_BTC, Side.SELL, "0.1", "103000.0"))
    made.deleverage(START_NS)
    assert made.position("me", PERP_BTC).qty == D("-0.05")
    assert made.executions("me")[-1].price == D(103_000)


def test_account_settings_change_only_when_nothing_is_open() -> None:
    made = perp()
    assert made.set_isolated("me", PERP_BTC, True) == Refused(RefusalReason.NO_CHANGE)
    assert made.set_dual("me", True) is None
    assert made.is_dual("me")
    assert made.set_leverage("me", PERP_BTC, 500) == Refused(RefusalReason.BAD_LEVERAGE, "500")
    submit(made, wish(PERP_BTC, Side.SELL, "0.1", "103000.0"))
    assert made.set_isolated("me", PERP_BTC, False) == Refused(RefusalReason.HAS_POSITION)
    assert made.set_dual("me", False) == Refused(RefusalReason.HAS_POSITION)


# --- laws -------------------------------------------------------------------------------------------------------------

TICK = D("0.10")
PRICES = st.integers(1_029_950, 1_030_050).map(lambda ticks: ticks * TICK)
QTYS = st.integers(1, 60).map(lambda lots: lots * D("0.001"))


class TradingLaws(RuleBasedStateMachine):
    """Two accounts do anything legal or illegal on one venue; money is conserved at every step."""

    @initialize(
        model=st.sampled_from((UPBIT, BINANCE_SPOT, BINANCE_USDM)),
        fee_asset=st.sampled_from((FeeAsset.RECEIVED, FeeAsset.BNB)),
        fraction=st.sampled_from((D(1), D("0.4"))),
    )
    def open(self, model: VenueModel, fee_asset: FeeAsset, fraction: D) -> None:
        if model is BINANCE_SPOT:
            model = attrs.evolve(model, fees=attrs.evolve(model.fees, fee_asset=fee_asset))
        template = listing(PERP_BTC if model.is_margined else SPOT_BTC)
        self.instrument: Instrument = attrs.evolve(
            template, id=InstrumentId(f"{model.venue}:X"), lot=D("0.001"), min_qty=D("0.001"), min_notional=D(50)
        )
        self.instrument = attrs.evolve(self.instrument, ticks=listing(PERP_BTC).ticks)
        self.made = Exchange(
            attrs.evolve(model, depth_fraction=fraction), (self.instrument,), START_NS, stream(1, "laws")
        )
        self.now_ns = START_NS
        for name in ("one", "two"):
            held_now = ((USDT, D(4_000)), *(() if model.is_margined else ((BTC, D("0.05")), (BNB, D("0.001")))))
            self.made.open_account(name, START_NS, held_now)
        self.facts: list[object] = []

    @rule(mid=st.integers(1_029_980, 1_030_020), spread=st.integers(1, 5), sizes=st.lists(QTYS, min_size=2, max_size=6))
    def image(self, mid: int, spread: int, sizes: list[D]) -> None:
        bids = tuple(((mid - i) * TICK, size) for i, size in enumerate(sizes))
        asks = tuple(((mid + spread + i) * TICK, size) for i, size in enumerate(sizes))
        self.made.on_depth(self.instrument.id, bids, asks, self.now_ns)

    @rule(
        account=st.sampled_from(("one", "two")),
        side=st.sampled_from(Side),
        kind=st.sampled_from(OrderType),
        force=st.sampled_from(TimeInForce),
        mode=st.sampled_from(SelfTrade),
        qty=QTYS,
        price=PRICES,
        reduce_only=st.booleans(),
    )
    def order(
        self,
        account: str,
        side: Side,
        kind: OrderType,
        force: TimeInForce,
        mode: SelfTrade,
        qty: D,
        price: D,
        reduce_only: bool,
    ) -> None:
        by_quote = kind is OrderType.MARKET_BY_QUOTE or (kind is OrderType.BEST and side is Side.BUY)
        is_margined = self.made.model.is_margined
        view = self.made.submit(
            account,
            NewOrder(
                client_order_id="",
                instrument=self.instrument.id,
                side=side,
                order_type=kind,
                time_in_force=force,
                qty=None if by_quote else qty,
                quote_qty=qty * 103_000 if by_quote else None,
                price=price if kind is OrderType.LIMIT else None,
                reduce_only=reduce_only and is_margined,
                self_trade=mode,
            ),
            self.now_ns,
        )
        if isinstance(view, OrderView) and force is TimeInForce.FOK and kind is OrderType.LIMIT:
            assert view.filled_qty == 0 or view.state is OrderState.FILLED

    @precondition(lambda self: any(owner.open_orders() for owner in self.made.accounts.values()))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        every = [order for owner in self.made.accounts.values() for order in owner.open_orders()]
        chosen = data.draw(st.sampled_from(every))
        self.made.cancel(chosen.account, chosen.order_id, self.now_ns)

    @precondition(lambda self: self.made.model.is_margined)
    @rule(ticks=st.integers(900_000, 1_170_000), rate=st.integers(-30, 30))
    def mark(self, ticks: int, rate: int) -> None:
        self.made.on_mark(self.instrument.id, ticks * TICK, ticks * TICK, D(rate) / 10_000, self.now_ns)

    @rule(hours=st.integers(0, 12))
    def wait(self, hours: int) -> None:
        self.now_ns += hours * 3_600_000_000_000
        self.made.advance_to(self.now_ns)

    @rule(half=st.booleans())
    def disturb(self, half: bool) -> None:
        self.made.disturb(Disturbance(fills_half=half))

    @invariant()
    def money_is_conserved(self) -> None:
        if not hasattr(self, "made"):
            return
        for owner in self.made.accounts.values():
            for holding in owner.holdings.values():
                assert holding.free >= 0
                assert holding.locked >= 0
        if self.made.model.is_margined:
            self._contracts_conserve()
        else:
            self._spot_conserves()

    def _spot_conserves(self) -> None:
        for owner in self.made.accounts.values():
            expected = dict(owner.deposits)
            locked: dict[AssetId, D] = {}
            for fill in owner.executions:
                sign = fill.view.order.side.sign
                expected[BTC] = expected.get(BTC, D(0)) + sign * fill.qty
                expected[USDT] -= sign * fill.qty * fill.price
                expected[fill.fee.asset] = expected.get(fill.fee.asset, D(0)) - fill.fee.amount
            for order in owner.open_orders():
                asset = USDT if order.side is Side.BUY else BTC
                locked[asset] = locked.get(asset, D(0)) + order.locked
            for asset, holding in owner.holdings.items():
                assert holding.free + holding.locked == expected.get(asset, D(0))
                assert holding.locked == locked.get(asset, D(0))

    def _contracts_conserve(self) -> None:
        for owner in self.made.accounts.values():
            fills = owner.executions
            realised = sum((fill.realised_pnl for fill in fills), D(0))
            fees = sum((fill.fee.amount for fill in fills), D(0))
            funding = sum((income.amount for income in owner.incomes), D(0))
            assert owner.wallet_usdt == owner.deposits[USDT] + realised - fees + funding + owner.insured_usdt
            assert owner.holdings[USDT].locked == sum((order.locked for order in owner.open_orders()), D(0))
            for contract in owner.contracts.values():
                assert contract.margin >= 0
                assert contract.qty == sum((fill.view.order.side.sign * fill.qty for fill in fills), D(0))

    @invariant()
    def orders_stay_inside_themselves(self) -> None:
        if not hasattr(self, "made"):
            return
        for owner in self.made.accounts.values():
            for order in owner.orders.values():
                assert order.filled_qty <= (order.order.qty if order.order.qty is not None else INF)
                assert order.filled_quote <= (order.order.quote_qty if order.order.quote_qty is not None else INF)
                assert order.state is OrderState.OPEN or order.locked == 0
                if order.limit is not None and order.filled_qty:
                    assert (order.filled_quote - order.limit * order.filled_qty) * order.side.sign <= 0
        book = self.made.books[self.instrument.id]
        resting = {order.order_id for side in Side for order in book.resting(side)}
        assert resting == {order.order_id for owner in self.made.accounts.values() for order in owner.open_orders()}

    @invariant()
    def facts_are_numbered_without_a_gap_and_agree_with_the_records(self) -> None:
        if not hasattr(self, "made"):
            return
        self.facts.extend(self.made.take())
        assert [fact.id for fact in self.facts] == list(range(1, len(self.facts) + 1))  # type: ignore[attr-defined]
        told = {fact.view.order_id: fact.view.state for fact in self.facts if isinstance(fact, OrderChanged | Executed)}
        known = {each.order_id: each.state for owner in self.made.accounts.values() for each in owner.orders.values()}
        assert told == known


TestTradingLaws = TradingLaws.TestCase
TestTradingLaws.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
