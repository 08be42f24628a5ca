"""A tiny scripted exchange around an engine: books are set by the test, orders answered by a rule of the test."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from arb.domain.depth import Depth
from arb.domain.effects import Cancel, Effect, Query, QueryAccount, Record, Submit, Table
from arb.domain.events import (
    ArmingSeen,
    BalanceSeen,
    DepthSeen,
    Event,
    FeedSeen,
    FillSeen,
    FundingRateSeen,
    InstrumentSeen,
    OrderUpdated,
    PositionSeen,
    RunStarted,
    Tick,
)
from arb.domain.fees import Fee, FeeSchedule
from arb.domain.fx import FxHedge, FxParams
from arb.domain.ids import AssetId, FeedId, InstrumentId, PairId, RunId, TradeId, VenueId, VenueOrderId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind, single_tick
from arb.domain.order import Balance, Fill, Liquidity, OrderRequest, OrderState, OrderUpdate, Position, Side
from arb.domain.pair import Direction, Pair, PairKind
from arb.engine import Engine, EngineConfig, PairConfig
from arb.execution.params import ExecutionParams, LegOrder
from arb.risk.limits import RiskLimits
from arb.risk.trading_state import TradingState
from tests.strategies import convergence_params

D = Decimal
A = InstrumentId("upbit:KRW-BTC")
B = InstrumentId("binance_usdm:BTCUSDT")
FX = InstrumentId("upbit:KRW-USDT")
START_NS = 1_000_000_000_000
WALL_NS = 1_790_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000
ZERO = D(0)

RISK: dict[str, Any] = {
    "max_book_age_ms": 1500, "max_quiet_s": 10, "max_conn_silence_ms": 1500, "max_feed_lag_ms": 700, "max_skew_ms": 400,
    "max_plausible_bps": 250, "plausible_confirm_s": 20, "dislocation_size_fraction": 0.25,
    "max_position_krw": D(2_000_000), "max_pair_krw": D(4_000_000), "max_total_krw": D(8_000_000),
    "exit_price_shock": 0.3,
    "min_position_krw": D(200_000), "max_tick_bps": 5, "max_net_delta_krw": D(50_000), "residual_max_krw": D(50_000),
    "max_fx_exposure_usdt": D(6000), "leverage": 2, "min_liq_distance_entry": 0.4, "liq_distance_reduce": 0.25,
    "liq_distance_close": 0.15, "liq_distance_emergency": 0.08, "transfer_eta_h": 36, "max_open_positions": 4,
    "max_orders_per_min": 30, "max_incidents_per_hour": 3, "daily_loss_krw": D(100_000), "max_drawdown_krw": D(300_000),
    "max_consecutive_losses": 5, "max_funding_bps_day": 6, "max_perp_index_bps": 20, "min_krw_reserve": D(1_000_000),
    "min_usdt_reserve": D(2000), "wallet_poll_s": 60, "wallet_unknown_s": 600, "wallet_reopen_cooldown_s": 3600,
    "wallet_closed_stop_bps": 40, "min_listing_days": 14, "day_timezone": "Asia/Seoul", "day_start": "00:00",
    "maint_lead_s": 600, "maint_settle_s": 120, "delist_exit_h": 48,
}  # fmt: skip
EXECUTION: dict[str, Any] = {
    "leg_order": LegOrder.UNCERTAIN_FIRST, "first_leg_timeout_ms": 1500, "collar_bps": 3, "depth_fraction": 0.4,
    "incident_caps_bps": (5, 15, 50), "hedge_collar_bps": 30, "max_naked_s": 5, "risk_premium_bps": 3,
    "incident_loss_budget_bps": 60, "unknown_grace_s": 2, "unknown_not_found_n": 5, "unknown_not_found_s": 10,
    "unknown_stop_bps": 100, "escalated_retry_s": 10, "escalated_cap_bps": 100, "naked_hard_stop_bps": 200,
    "naked_panic_cap_bps": 400, "escalate_repeat_s": 120, "position_check_s": 10, "bnb_cover_trades": 3, "drain_s": 10,
    "sweep_s": 2,
}  # fmt: skip


def limits(**changes: Any) -> RiskLimits:
    """The values of a first week."""
    return RiskLimits(**(RISK | changes))


def execution(**changes: Any) -> ExecutionParams:
    """The values of a first week."""
    return ExecutionParams(**(EXECUTION | changes))


def config(leg_order: LegOrder = LegOrder.UNCERTAIN_FIRST, **params: Any) -> EngineConfig:
    """One spot–perp pair on BTC with a fixed fair level of 0."""
    own = {"fair_bps": 0.0, "min_hold_s": 0.0, "cooldown_s": 5.0, "confirm_ms": 100} | params
    btc = Pair(
        id=PairId("BTC"), a=A, b=B, kind=PairKind.SPOT_PERP, multiplier=D(1), directions=frozenset({Direction.LONG_A}),
        identity_max_dev=0.1, strategy="convergence",
    )  # fmt: skip
    fx = FxParams(
        executable=FX, executable_rate=None, second=None, hedge=FxHedge.TREASURY, home_usdt=D(15000), max_age_ms=3000,
        fx_jump_bps=30, fx_jump_s=10, fx_band_pct=5, fx_band_weekend_pct=8, fx_second_max_bps=50, fx_max_spread_ticks=3,
        bank_max_age_s=3600, conversion_fee_bps=5,
    )  # fmt: skip
    flat = FeeSchedule(maker_rate=D("0.0005"), taker_rate=D("0.0005"))
    return EngineConfig(
        pairs=(PairConfig(btc, convergence_params(**own)),), fx=fx, execution=execution(leg_order=leg_order),
        risk=limits(),
        fees={VenueId("upbit"): flat, VenueId("binance_usdm"): flat}, day_offset_ns=9 * 3600 * SECOND,
        spreads_every_s=1.0,
    )  # fmt: skip


def rules(name: InstrumentId, kind: InstrumentKind, quote: str, tick: str, lot: str, least: str) -> Instrument:
    """A venue's rules."""
    base = "USDT" if name == FX else "BTC"
    return Instrument(
        id=name, kind=kind, base=AssetId(base), quote=AssetId(quote), ticks=single_tick(D(tick)), lot=D(lot),
        min_qty=D(lot),
        max_qty=None, min_notional=D(least), max_notional=None,
    )  # fmt: skip


def contract(qty: Decimal) -> Position:
    """The venue's word on the perpetual, far from liquidation."""
    return Position(
        instrument=B,
        qty=qty,
        entry_price=D(103_000),
        mark_price=D(103_000),
        liquidation_price=D(150_000) if qty else None,
    )


@attrs.frozen
class Reply:
    """How the exchange answers one order: shares that fill one after the other, then a final state."""

    shares: tuple[str, ...] = ("1",)
    state: OrderState | None = None
    delay_ms: int = 20


FULL = Reply()
Rule = Callable[[OrderRequest, int], Reply]


def always_full(_request: OrderRequest, _number: int) -> Reply:
    """Everything fills."""
    return FULL


@attrs.define
class Exchange:
    """Drives an engine; keeps what it submitted and every event, for replays."""

    engine: Engine
    rule: Rule = always_full
    now_ns: int = START_NS
    events: list[Event] = attrs.field(factory=list)
    effects: list[tuple[Effect, ...]] = attrs.field(factory=list)
    submitted: list[OrderRequest] = attrs.field(factory=list)
    cancels: list[Cancel] = attrs.field(factory=list)
    queries: list[Query] = attrs.field(factory=list)
    due: list[tuple[int, int, Event]] = attrs.field(factory=list)
    number: int = 0
    coins: Decimal = ZERO
    contracts: Decimal = ZERO
    truth: dict[str, OrderUpdate] = attrs.field(factory=dict)
    account_delay_ms: int = 0
    """How late balances and positions arrive after an execution."""
    observer: Callable[[Exchange, tuple[Effect, ...], TradingState], None] | None = None
    """Called after every step with its effects and the trading state before it."""
    readings: list[QueryAccount] = attrs.field(factory=list)

    def put(self, event: Event) -> tuple[Effect, ...]:
        """One step; what it asks for is performed."""
        self.events.append(event)
        before = self.engine.memory.causes.state
        found = self.engine.step(event)
        self.effects.append(found)
        if self.observer is not None:
            self.observer(self, found, before)
        for effect in found:
            self._perform(effect)
        return found

    def start(self) -> None:
        """Rules, balances, arming."""
        now = self.now_ns
        self.put(RunStarted(at_ns=now, wall_ns=WALL_NS, run_id=RunId("run"), build="b", parameters="{}"))
        self.put(ArmingSeen(at_ns=now, is_armed=True))
        for item in (
            rules(A, InstrumentKind.SPOT, "KRW", "1000", "0.00000001", "5000"),
            rules(B, InstrumentKind.PERPETUAL, "USDT", "0.1", "0.001", "100"),
            rules(FX, InstrumentKind.SPOT, "KRW", "1", "0.00000001", "5000"),
        ):
            self.put(InstrumentSeen(at_ns=now, instrument=item))
        for venue, asset, amount in (("upbit", "KRW", 20_000_000), ("binance_usdm", "USDT", 15_000)):
            balance = Balance(AssetId(asset), D(amount), D(0))
            self.put(BalanceSeen(at_ns=now, venue=VenueId(venue), balances=(balance,), is_full=True))
        self.funding()

    def funding(self) -> None:
        """A rate far from its settlement."""
        self.put(
            FundingRateSeen(
                at_ns=self.now_ns, instrument=B, rate=D("0.0001"), interval_s=28800,
                next_settlement_ms=(WALL_NS + self.now_ns - START_NS) // MS + 14_400_000, mark_price=D(103000),
                index_price=None,
            )
        )  # fmt: skip

    def books(
        self,
        mid_a: float,
        mid_b: float = 103_000.0,
        fx: float = 1450.5,
        size: float = 1.0,
        only: frozenset[InstrumentId] = frozenset({A, B, FX}),
    ) -> None:
        """New images of all three (or `only` some), at the same moment."""
        for name, bid, ask in (
            (FX, fx - 0.5, fx + 0.5), (A, mid_a - 1000, mid_a + 1000), (B, mid_b - 0.1, mid_b + 0.1),
        ):  # fmt: skip
            if name not in only:
                continue
            deep = 1e6 if name == FX else size
            depth = Depth(
                instrument=name, feed=FeedId(f"{venue_of(name)}/public/0"), bids=(bid, deep), asks=(ask, deep),
                received_ns=self.now_ns, venue_ns=None, sequence=len(self.events),
            )  # fmt: skip
            self.put(DepthSeen(at_ns=self.now_ns, depth=depth))

    def run(self, seconds: float, mid_a: float, mid_b: float = 103_000.0, step_ms: int = 100) -> None:
        """Time passes with these books; answers that are due arrive, ticks tick."""
        end = self.now_ns + int(seconds * SECOND)
        while self.now_ns < end:
            self.now_ns += step_ms * MS
            self.deliver()
            self.books(mid_a, mid_b)
            self.put(Tick(at_ns=self.now_ns, wall_ns=WALL_NS + self.now_ns - START_NS, is_loop=True))

    def deliver(self) -> None:
        """Answers whose time has come, in order; what they cause may be due at once."""
        while self.due and self.due[0][0] <= self.now_ns:
            _, _, event = self.due.pop(0)
            self.put(event)
            if isinstance(event, FillSeen):
                self._account(event.fill)

    def _account(self, fill: Fill) -> None:
        """What the venue holds for us after an execution."""
        at_ns = self.now_ns + self.account_delay_ms * MS
        if fill.instrument == A:
            self.coins += fill.side.sign * fill.qty
            held = Balance(AssetId("BTC"), self.coins, D(0))
            event: Event = BalanceSeen(at_ns=at_ns, venue=VenueId("upbit"), balances=(held,), is_full=False)
        else:
            self.contracts += fill.side.sign * fill.qty
            event = PositionSeen(at_ns=at_ns, position=contract(self.contracts))
        if self.account_delay_ms:
            self._later(at_ns, event)
        else:
            self.put(event)

    def _read_account(self, query: QueryAccount) -> None:
        """The venue's answer to a reading: all it holds for us, now."""
        self.readings.append(query)
        at_ns = self.now_ns + 30 * MS
        if query.venue == "upbit":
            coins = Balance(AssetId("BTC"), self.coins, D(0))
            held = (Balance(AssetId("KRW"), D(20_000_000), D(0)), coins)
            self._later(at_ns, BalanceSeen(at_ns=at_ns, venue=query.venue, balances=held, is_full=True))
        else:
            self._later(at_ns, PositionSeen(at_ns=at_ns, position=contract(self.contracts)))

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """Newest revision of each row of a table."""
        found: dict[str, Record] = {}
        for step in self.effects:
            for effect in step:
                if not isinstance(effect, Record) or effect.table is not table:
                    continue
                if effect.id not in found or effect.rev >= found[effect.id].rev:
                    found[effect.id] = effect
        return [dict(record.row) for record in found.values()]

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Submit):
            for order in effect.orders:
                self.submitted.append(order.request)
                self._answer(order.request)
        elif isinstance(effect, QueryAccount):
            self._read_account(effect)
        elif isinstance(effect, Cancel):
            self.cancels.append(effect)
        elif isinstance(effect, Query):
            self.queries.append(effect)
            known = self.truth.get(effect.client_order_id)
            missing = OrderUpdate(
                client_order_id=effect.client_order_id, instrument=effect.instrument, state=OrderState.NOT_FOUND,
                filled_qty=None, received_ns=effect.not_before_ns,
            )  # fmt: skip
            at_ns = max(effect.not_before_ns, self.now_ns) + 5 * MS
            self._later(at_ns, OrderUpdated(at_ns=at_ns, update=known or missing))

    def _answer(self, request: OrderRequest) -> None:
        self.number += 1
        reply = self.rule(request, self.number)
        at_ns = self.now_ns + reply.delay_ms * MS
        assert request.qty is not None
        assert request.price is not None
        done = D(0)
        venue_id = VenueOrderId(f"v{self.number}")
        fills: list[Event] = []
        for index, share in enumerate(reply.shares):
            qty = (request.qty * D(share)).quantize(D("0.00000001"))
            if request.instrument == B:
                qty = qty.quantize(D("0.001"))
            if qty:
                done += qty
                fills.append(FillSeen(at_ns=at_ns, fill=self._fill(request, qty, index, at_ns, venue_id)))
        state = reply.state or (OrderState.FILLED if done == request.qty else OrderState.CANCELED)
        update = OrderUpdate(
            client_order_id=request.client_order_id, instrument=request.instrument, state=state, filled_qty=done,
            venue_order_id=venue_id if done or state.is_final else None, received_ns=at_ns,
        )  # fmt: skip
        if done:
            ended = OrderState.FILLED if done == request.qty else OrderState.CANCELED
            self.truth[request.client_order_id] = attrs.evolve(update, state=ended)
        for event in fills:
            self._later(at_ns, event)
        self._later(at_ns, OrderUpdated(at_ns=at_ns, update=update))

    def _fill(self, request: OrderRequest, qty: Decimal, index: int, at_ns: int, venue_id: VenueOrderId) -> Fill:
        price = request.expected_price
        quote = AssetId("KRW" if request.instrument == A else "USDT")
        return Fill(
            instrument=request.instrument, trade_id=TradeId(f"t{self.number}-{index}"),
            client_order_id=request.client_order_id, venue_order_id=venue_id, side=request.side, qty=qty, price=price,
            fee=Fee(qty * price * D("0.0005"), quote), liquidity=Liquidity.TAKER, received_ns=at_ns, venue_ns=None,
        )  # fmt: skip

    def _later(self, at_ns: int, event: Event) -> None:
        self.due.append((at_ns, len(self.events) * 100 + len(self.due), event))
        self.due.sort(key=lambda item: item[:2])


def fresh(rule: Rule = always_full, leg_order: LegOrder = LegOrder.UNCERTAIN_FIRST, **params: Any) -> Exchange:
    """A started engine with its exchange and a feed that lives."""
    exchange = Exchange(Engine(config(leg_order, **params)), rule)
    exchange.start()
    exchange.put(
        FeedSeen(at_ns=exchange.now_ns, feed=FeedId("upbit/public/0"), last_frame_ns=exchange.now_ns, latency_ns=0)
    )
    return exchange


FAIR_A = 103_000.0 * 1450.5
"""A's mid at which d is 0."""


def cheap(bps: float) -> float:
    """A's mid at which d is `bps`, on A's tick."""
    return round(FAIR_A / (1 + bps / 1e4) / 1000) * 1000.0


def is_buy(request: OrderRequest) -> bool:
    """Whether an order buys."""
    return request.side is Side.BUY
