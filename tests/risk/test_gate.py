"""Both halves of the gate: each check refuses by its own name, and nothing else does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from arb.domain.events import FundingRateSeen, VenueCondition, VenueStatus, WalletState
from arb.domain.ids import AssetId, ClientOrderId, VenueId
from arb.domain.instrument import Caution, InstrumentStatus
from arb.domain.intent import EdgeView, Intent, IntentKind, LegPlan
from arb.domain.order import ApprovedOrder, OrderRequest, OrderType, Purpose, Side, TimeInForce
from arb.domain.pair import Direction
from arb.risk.checks import Refusal, RiskView
from arb.risk.gate import ApprovalView, admit, approve
from arb.risk.trading_state import TradingState
from tests.engine.exchange import limits
from tests.strategies import A_BTC, B_BTC, instrument, pair, perpetual

D = Decimal
S = 1_000_000_000
NOW_NS = 10**15
WALL_NS = 1_790_000_000 * S
EDGE = EdgeView(
    d_bps=60, fair_bps=0, gross_bps=60, expected_bps=30, cost_bps=25, funding_bps=1, fx_mid=D(1450), fx_bid=D(1450),
    fx_ask=D(1451),
)  # fmt: skip
ENTRY = Intent(
    pair=pair().id, kind=IntentKind.ENTER, direction=Direction.LONG_A, qty=D("0.01"),
    a=LegPlan(
        instrument=A_BTC, side=Side.BUY, qty=D("0.01"), limit_price=D(149_000_000), expected_price=D(149_000_000)
    ),
    b=LegPlan(instrument=B_BTC, side=Side.SELL, qty=D("0.01"), limit_price=D(103_000), expected_price=D(103_000)),
    edge=EDGE, reason="edge",
)  # fmt: skip
EXIT = attrs.evolve(ENTRY, kind=IntentKind.EXIT, reason="take_profit")
RISK_EXIT = attrs.evolve(EXIT, reason="risk")
OPEN = WalletState(asset=AssetId("BTC"), deposit=True, withdraw=True)
UNTOLD = WalletState(asset=AssetId("BTC"), deposit=None, withdraw=None)


def status(**values: Any) -> VenueStatus:
    """A venue that is up."""
    told: dict[str, Any] = {"condition": VenueCondition.UP, "wallets": (OPEN,)} | values
    return VenueStatus(at_ns=NOW_NS, venue=VenueId("upbit"), **told)


def funding(index: str | None) -> FundingRateSeen:
    """A rate with an index price."""
    return FundingRateSeen(
        at_ns=NOW_NS, instrument=B_BTC, rate=D(0), interval_s=28800, next_settlement_ms=0, mark_price=D(103_000),
        index_price=None if index is None else D(index),
    )  # fmt: skip


def view(**changes: Any) -> RiskView:
    """A moment at which everything is allowed."""
    values: dict[str, Any] = {
        "now_ns": NOW_NS, "wall_ns": WALL_NS, "state": TradingState.ACTIVE, "is_armed": True, "is_draining": False,
        "limits": limits(), "pair": pair(), "instrument_a": instrument(), "instrument_b": perpetual(),
        "mid_a": 149_000_000.0, "mid_b": 103_000.0, "fx_mid": 1450.5, "data_refusal": "", "fx_refusal": "",
        "statuses": (status(), status()), "wallets": (OPEN, OPEN), "wallet_reopened_ns": None, "reopened_ns": None,
        "is_tradable": True, "blocked": "", "is_other_asset": False, "is_busy": False,
        "has_position": False, "funding": funding("103000"),
        "is_dislocation_confirmed": False, "notional_krw": D(1_490_000), "pair_krw": D(0), "coin_krw": D(0),
        "total_krw": D(0),
        "fx_exposure_usdt": D(0), "fx_added_usdt": D(1_030), "net_delta_krw": D(0), "residual_krw": D(0),
        "free_krw": D(20_000_000), "free_usdt": D(15_000), "needs_krw": D(1_500_000), "needs_usdt": D(520),
        "liq_distance": 0.49, "open_positions": 0, "orders_last_minute": 0, "incidents_last_hour": 0,
        "day_loss_krw": D(0), "drawdown_krw": D(0), "losing_streak": 0, "funding_day_bps": 0.0,
    }  # fmt: skip
    return RiskView(**(values | changes))


ENTRY_REFUSALS: list[tuple[str, dict[str, Any]]] = [
    ("draining", {"is_draining": True}),
    ("trading_state", {"state": TradingState.REDUCING}),
    ("not_armed", {"is_armed": False}),
    ("pair_blocked", {"blocked": "fill x"}),
    ("pair_busy", {"is_busy": True}),
    ("has_position", {"has_position": True}),
    ("stale_a", {"data_refusal": "stale_a"}),
    ("fx_jump", {"fx_refusal": "fx_jump"}),
    ("venue_untradable", {"is_tradable": False}),
    ("maintenance_ahead", {"statuses": (status(until_ns=NOW_NS + 599 * S), status())}),
    ("rate_budget", {"statuses": (status(), status(free_order_slots=1))}),
    ("maintenance_settle", {"reopened_ns": NOW_NS - 119 * S}),
    ("wallet_closed", {"wallets": (attrs.evolve(OPEN, withdraw=False), OPEN)}),
    ("wallet_closed", {"wallets": (OPEN, attrs.evolve(OPEN, deposit=False))}),
    ("wallet_unknown", {"wallets": (UNTOLD, OPEN)}),
    ("wallet_reopened", {"wallet_reopened_ns": NOW_NS - 3599 * S}),
    ("caution", {"instrument_a": attrs.evolve(instrument(), cautions=frozenset({Caution.WARNING}))}),
    ("young_listing", {"instrument_b": attrs.evolve(perpetual(), listed_ms=WALL_NS // 10**6 - 13 * 86_400_000)}),
    ("delisting", {"instrument_a": attrs.evolve(instrument(), status=InstrumentStatus.DELISTING)}),
    ("delisting", {"instrument_a": attrs.evolve(instrument(), delisting_ms=WALL_NS // 10**6 + 47 * 3_600_000)}),
    ("coarse_tick", {"instrument_a": instrument(tick="100000")}),
    ("identity", {"mid_a": 149_000_000.0 * 1.2}),
    ("identity", {"is_other_asset": True}),
    ("perp_index", {"funding": funding("102700")}),
    ("max_position", {"notional_krw": D(2_000_001)}),
    ("max_position", {"notional_krw": D(500_001), "is_dislocation_confirmed": True}),
    ("max_pair", {"pair_krw": D(2_600_000)}),
    ("max_coin", {"coin_krw": D(2_600_000)}),
    ("max_total", {"total_krw": D(6_600_000)}),
    ("max_fx_exposure", {"fx_exposure_usdt": D(5_000)}),
    ("max_net_delta", {"net_delta_krw": D(-50_001)}),
    ("max_residual", {"residual_krw": D(50_001)}),
    ("liq_distance", {"liq_distance": 0.39}),
    ("krw_reserve", {"free_krw": D(2_499_999)}),
    ("usdt_reserve", {"free_usdt": D(2_519)}),
    ("max_open_positions", {"open_positions": 4}),
    ("max_incidents", {"incidents_last_hour": 3}),
    ("order_rate", {"orders_last_minute": 29}),
    ("daily_loss", {"day_loss_krw": D(100_000)}),
    ("drawdown", {"drawdown_krw": D(300_000)}),
    ("losing_streak", {"losing_streak": 5}),
    ("funding_day", {"funding_day_bps": 6.1}),
]


def test_a_good_entry_is_admitted() -> None:
    assert admit(ENTRY, view()) is None


@pytest.mark.parametrize(("name", "changes"), ENTRY_REFUSALS)
def test_each_check_refuses_an_entry_by_its_name(name: str, changes: dict[str, Any]) -> None:
    refusal = admit(ENTRY, view(**changes))
    assert refusal is not None
    assert refusal.reason == name


def test_an_implausible_distance_is_refused_until_it_is_confirmed() -> None:
    far = attrs.evolve(ENTRY, edge=attrs.evolve(EDGE, d_bps=251.0))
    assert admit(far, view()) == Refusal("implausible", True)
    assert admit(far, view(is_dislocation_confirmed=True, notional_krw=D(400_000))) is None
    assert admit(attrs.evolve(far, kind=IntentKind.EXIT, reason="stop_loss"), view()) == Refusal("implausible", True)
    assert admit(attrs.evolve(far, kind=IntentKind.EXIT, reason="risk"), view()) is None


def test_fx_exposure_may_shrink_from_beyond_its_limit() -> None:
    assert admit(ENTRY, view(fx_exposure_usdt=D(-8_000))) is None


@pytest.mark.parametrize(("name", "changes"), ENTRY_REFUSALS)
def test_what_forbids_entries_forbids_no_exit_but_for_data_and_busy_pairs(name: str, changes: dict[str, Any]) -> None:
    also_exits = name in ("pair_busy", "stale_a", "fx_jump", "venue_untradable")
    refusal = admit(EXIT, view(**changes))
    assert (refusal.reason if refusal is not None else "") == (name if also_exits else "")
    if name in ("stale_a", "fx_jump"):
        assert admit(RISK_EXIT, view(**changes)) is None


@pytest.mark.parametrize(
    ("intent", "worst"),
    [(ENTRY, TradingState.ACTIVE), (EXIT, TradingState.REDUCING), (RISK_EXIT, TradingState.HALTED)],
)
def test_states_let_through_what_the_table_says(intent: Intent, worst: TradingState) -> None:
    for state in TradingState:
        assert (admit(intent, view(state=state)) is None) is (state.value <= worst.value)


def order(**changes: Any) -> OrderRequest:
    """A buy of 0.01 at the reference."""
    values: dict[str, Any] = {
        "client_order_id": ClientOrderId("x"), "instrument": A_BTC, "side": Side.BUY, "order_type": OrderType.LIMIT,
        "qty": D("0.01"), "price": D(149_000_000), "time_in_force": TimeInForce.IOC, "reduce_only": False,
        "purpose": Purpose.ENTRY, "pair": pair().id, "leg": "a", "expected_price": D(149_000_000),
    }  # fmt: skip
    return OrderRequest(**(values | changes))


def approval(**changes: Any) -> ApprovalView:
    """A moment at which the order is approved."""
    values: dict[str, Any] = {
        "now_ns": NOW_NS, "state": TradingState.ACTIVE, "limits": limits(), "instrument": instrument(min_qty="0.0001"),
        "reference": D(149_000_000), "collar_bps": D(10), "orders_last_minute": 0, "max_notional_krw": D(2_000_000),
        "quote_krw": D(1),
    }  # fmt: skip
    return ApprovalView(**(values | changes))


def test_a_good_order_is_approved() -> None:
    assert approve(order(), approval()) == ApprovedOrder(order(), NOW_NS)


@pytest.mark.parametrize(
    ("name", "request_changes", "view_changes"),
    [
        ("trading_state", {}, {"state": TradingState.REDUCING}),
        ("trading_state", {"purpose": Purpose.EXIT}, {"state": TradingState.HALTED}),
        ("trading_state", {"purpose": Purpose.EMERGENCY}, {"state": TradingState.FROZEN}),
        ("order_qty", {"qty": D(0)}, {}),
        ("order_qty", {"qty": D("0.010000001")}, {}),
        ("order_qty", {"qty": D("0.00009")}, {}),
        ("order_qty", {"qty": None}, {}),
        ("order_qty", {}, {"instrument": instrument(max_qty="0.009")}),
        ("order_price", {"price": D(149_000_500)}, {}),
        ("order_price", {"price": D(-1000)}, {}),
        ("order_price", {"price": None, "order_type": OrderType.MARKET}, {}),
        ("order_notional", {}, {"instrument": instrument(min_notional="1500000")}),
        ("price_collar", {"price": D(149_151_000)}, {}),
        ("price_collar", {"side": Side.SELL, "price": D(148_849_000)}, {}),
        ("price_collar", {}, {"reference": D(0)}),
        ("order_notional_max", {}, {"max_notional_krw": D(1_489_999)}),
        ("order_rate", {}, {"orders_last_minute": 30}),
    ],
)
def test_each_rule_refuses_an_order_by_its_name(
    name: str, request_changes: dict[str, Any], view_changes: dict[str, Any]
) -> None:
    verdict = approve(order(**request_changes), approval(**view_changes))
    assert isinstance(verdict, Refusal)
    assert verdict.reason == name


@pytest.mark.parametrize("purpose", [Purpose.HEDGE, Purpose.REVERSE, Purpose.EMERGENCY, Purpose.FLATTEN])
def test_hedges_have_their_own_rate_and_keep_the_collar(purpose: Purpose) -> None:
    assert isinstance(approve(order(purpose=purpose), approval(orders_last_minute=1_000)), ApprovedOrder)
    assert isinstance(approve(order(purpose=purpose, price=D(150_000_000)), approval()), Refusal)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_only_flatten_and_emergencies_go_at_any_price_and_never_beyond_what_an_order_may_be_worth(
    purpose: Purpose,
) -> None:
    request = order(purpose=purpose, price=None, order_type=OrderType.MARKET)
    verdict = approve(request, approval())
    if purpose in (Purpose.EMERGENCY, Purpose.FLATTEN):
        assert isinstance(verdict, ApprovedOrder)
        assert approve(request, approval(max_notional_krw=D(1_489_999))) == Refusal("order_notional_max", True)
    else:
        assert verdict == Refusal("order_price", True)
