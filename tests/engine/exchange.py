"""A tiny scripted exchange around an engine: books are set by the test, orders answered by a rule of the test."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
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
CASH_KRW = D(20_000_000)

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


def config(
    leg_order: LegOrder = LegOrder.UNCERTAIN_FIRST, direction: Direction = Direction.LONG_A, **params: Any
) -> EngineConfig:
    """One spot–perp pair on BTC with a fixed fair level of 0."""
    own = {"fair_bps": 0.0, "min_hold_s": 0.0, "cooldown_s": 5.0, "confirm_ms": 100} | params
    btc = Pair(
        id=PairId("BTC"), a=A, b=B, kind=PairKind.SPOT_PERP, multiplier=D(1), directions=frozenset({direction}),
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
        liquidation_price=None if not qty else D(150_000) if qty < 0 else D(60_000),
    )


@attrs.frozen
class Reply:
    """How the exchange answers one order: shares that fill one after the other, then a final state."""

    shares: tuple[str, ...] = ("1",)
    state: OrderState | None = None
    """What the venue answers; None: what the shares come to."""
    delay_ms: int = 20
    """Until the order trades, or ends without."""
    told_ms: int = 0
    """How much later its messages arrive."""
    repeats: int = 1
    """How often each message arrives."""
    is_update_first: bool = False
    """The final word overtakes the executions."""
    is_told_apart: bool = False
    """Each execution is followed by an update that tells the quantity so far."""
    is_lost: bool = False
    """No message ever arrives: only a query tells."""


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
    due: list[tuple[int, int, Event | Callable[[], None]]] = attrs.field(factory=list)
    """Messages on their way, and executions that have not happened yet."""
    order: int = 0
    """Of what is due at the same moment, the earlier asked for comes first."""
    number: int = 0
    coins: Decimal = ZERO
    contracts: Decimal = ZERO
    krw: Decimal = CASH_KRW
    pending: dict[str, OrderRequest] = attrs.field(factory=dict)
    """Orders on their way, which the venue has not worked yet."""
    executions: list[Fill] = attrs.field(factory=list)
    """Everything that traded for us, as the venues know it."""
    truth: dict[str, OrderUpdate] = attrs.field(factory=dict)
    """What the venues know of each order that they have; a query is answered with it."""
    account_delay_ms: int = 0
    """How late balances and positions arrive after an execution."""
    observer: Callable[[Exchange, tuple[Effect, ...], TradingState], None] | None = None
    """Called after every step with its effects and the trading state before it."""
    readings: list[QueryAccount] = attrs.field(factory=list)
    is_silent: bool = False
    """Readings of accounts are never answered."""

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
        self.put(self._balances())
        wallet = Balance(AssetId("USDT"), D(15_000), D(0))
        self.put(BalanceSeen(at_ns=now, venue=VenueId("binance_usdm"), balances=(wallet,), is_full=True))
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
        """What is due happens, in order; what that causes may be due at once."""
        while self.due and self.due[0][0] <= self.now_ns:
            _, _, item = self.due.pop(0)
            if callable(item):
                item()
            else:
                self.put(item)

    def _balances(self) -> BalanceSeen:
        """All that the spot venue holds for us."""
        held = (Balance(AssetId("KRW"), self.krw, D(0)), Balance(AssetId("BTC"), self.coins, D(0)))
        return BalanceSeen(at_ns=self.now_ns, venue=VenueId("upbit"), balances=held, is_full=True)

    def trade(self, fill: Fill) -> None:
        """An execution happens at the venue: its own ledger moves, whoever is told of it."""
        self.executions.append(fill)
        fee = fill.fee.amount if fill.fee is not None else D(0)
        if fill.instrument == A:
            self.coins += fill.side.sign * fill.qty
            self.krw -= fill.side.sign * fill.qty * fill.price + fee
        else:
            self.contracts += fill.side.sign * fill.qty

    def account(self, instrument: InstrumentId) -> None:
        """What the venue holds for us, told after an execution."""
        at_ns = self.now_ns + self.account_delay_ms * MS
        if instrument == A:
            event: Event = attrs.evolve(self._balances(), at_ns=at_ns, is_full=False)
        else:
            event = PositionSeen(at_ns=at_ns, position=contract(self.contracts))
        if self.account_delay_ms:
            self._later(at_ns, event)
        else:
            self.put(event)

    def _read_account(self, query: QueryAccount) -> None:
        """The venue's answer to a reading: all it holds for us, now."""
        self.readings.append(query)
        at_ns = self.now_ns + 30 * MS
        if self.is_silent:
            return
        if query.venue == "upbit":
            self._later(at_ns, attrs.evolve(self._balances(), at_ns=at_ns))
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
            at_ns = max(effect.not_before_ns, self.now_ns) + 5 * MS
            self._later(at_ns, lambda: self._tell(effect))

    def _tell(self, query: Query) -> None:
        """The answer to a query: the order as it stands and its executions again, or that there is none."""
        known = self.truth.get(query.client_order_id)
        if known is not None:
            for fill in self.executions:
                if fill.client_order_id == query.client_order_id:
                    told = attrs.evolve(fill, received_ns=self.now_ns)
                    self.put(FillSeen(at_ns=self.now_ns, fill=told))
        missing = OrderUpdate(
            client_order_id=query.client_order_id, instrument=query.instrument, state=OrderState.NOT_FOUND,
            filled_qty=None, received_ns=self.now_ns,
        )  # fmt: skip
        self.put(OrderUpdated(at_ns=self.now_ns, update=known or missing))

    def _answer(self, request: OrderRequest) -> None:
        self.number += 1
        number, reply = self.number, self.rule(request, self.number)
        self.pending[request.client_order_id] = request
        at_ns = self.now_ns + reply.delay_ms * MS
        self._later(at_ns, lambda: self._happen(request, reply, number))

    def _happen(self, request: OrderRequest, reply: Reply, number: int) -> None:
        """The venue works the order; from here on it answers for it."""
        fills = self._fills(request, reply, number)
        self.pending.pop(request.client_order_id, None)
        for fill in fills:
            self.trade(fill)
        done = sum((fill.qty for fill in fills), D(0))
        ended = OrderState.FILLED if done == request.qty else OrderState.CANCELED
        state = reply.state or ended
        update = OrderUpdate(
            client_order_id=request.client_order_id, instrument=request.instrument, state=state, filled_qty=done,
            venue_order_id=VenueOrderId(f"v{number}") if done or state.is_final else None, received_ns=self.now_ns,
        )  # fmt: skip
        if done or state.is_final:
            is_refused = state is OrderState.REJECTED and not done
            self.truth[request.client_order_id] = update if is_refused else attrs.evolve(update, state=ended)
        if not reply.is_lost:
            self._announce(reply, update, fills, self.now_ns + reply.told_ms * MS)

    def _fills(self, request: OrderRequest, reply: Reply, number: int) -> tuple[Fill, ...]:
        """What an order trades: never coins that are not there, never more of a contract than it may reduce."""
        most = request.qty or D(0)
        if request.instrument == A and request.side is Side.SELL:
            most = min(most, max(self.coins, D(0)))
        elif request.reduce_only:
            most = min(most, max(-request.side.sign * self.contracts, D(0)))
        found, step = [], D("0.001") if request.instrument == B else D("0.00000001")
        for index, share in enumerate(reply.shares):
            qty = min((request.qty or D(0)) * D(share), most).quantize(step, ROUND_DOWN)
            if qty:
                most -= qty
                found.append(self._fill(request, qty, f"t{number}-{index}", self.now_ns, VenueOrderId(f"v{number}")))
        return tuple(found)

    def _announce(self, reply: Reply, update: OrderUpdate, fills: tuple[Fill, ...], at_ns: int) -> None:
        """The messages about one order, as its reply words and orders them."""
        told: list[Event | Callable[[], None]] = []
        sofar = D(0)
        for fill in fills:
            told.append(FillSeen(at_ns=at_ns, fill=attrs.evolve(fill, received_ns=at_ns)))
            told.append(lambda name=fill.instrument: self.account(name))  # type: ignore[misc]
            sofar += fill.qty
            if reply.is_told_apart:
                part = attrs.evolve(update, state=OrderState.OPEN, filled_qty=sofar)
                told.append(OrderUpdated(at_ns=at_ns, update=part))
        final = OrderUpdated(at_ns=at_ns, update=update)
        told = [final, *told] if reply.is_update_first else [*told, final]
        for _ in range(reply.repeats):
            for item in told:
                self._later(at_ns, item)

    def _fill(self, request: OrderRequest, qty: Decimal, trade: str, at_ns: int, venue_id: VenueOrderId) -> Fill:
        price = request.expected_price
        quote = AssetId("KRW" if request.instrument == A else "USDT")
        return Fill(
            instrument=request.instrument, trade_id=TradeId(trade),
            client_order_id=request.client_order_id, venue_order_id=venue_id, side=request.side, qty=qty, price=price,
            fee=Fee(qty * price * D("0.0005"), quote), liquidity=Liquidity.TAKER, received_ns=at_ns, venue_ns=None,
        )  # fmt: skip

    def _later(self, at_ns: int, item: Event | Callable[[], None]) -> None:
        self.order += 1
        self.due.append((at_ns, self.order, item))
        self.due.sort(key=lambda item: item[:2])


def fresh(
    rule: Rule = always_full,
    leg_order: LegOrder = LegOrder.UNCERTAIN_FIRST,
    direction: Direction = Direction.LONG_A,
    **params: Any,
) -> Exchange:
    """A started engine with its exchange and a feed that lives; shorting A needs coins that are there already."""
    exchange = Exchange(Engine(config(leg_order, direction, **params)), rule)
    exchange.coins = D("0.05") if direction is Direction.SHORT_A else D(0)
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
