"""Rows and topics: what the engine tells stores and observers.

Owns: the row of each table, keyed by `domain/tables.py`.
Never: decides.
"""

from __future__ import annotations

from decimal import Decimal

from arb.domain.costs import close_bps, open_bps
from arb.domain.effects import Cell, Table
from arb.domain.events import FxSeen
from arb.domain.fees import Fee
from arb.domain.ids import PairId, symbol_of
from arb.domain.intent import IntentKind
from arb.domain.money import EXACT, booked
from arb.domain.order import Fill
from arb.domain.pair import Direction, Pair
from arb.domain.tables import PARTS_KRW, PARTS_USDT
from arb.engine.marking import Marked, marked, premium_cells
from arb.engine.memory import Lane, Turn
from arb.engine.view import rates_of
from arb.execution.legs import LegPair
from arb.state.attribution import Attribution
from arb.state.ledger import ClosedPosition
from arb.state.orders import OrderLine
from arb.state.positions import PairPosition

KST_NS = 9 * 3_600_000_000_000


def order_row(turn: Turn, line: OrderLine, position: str) -> None:
    """One revision of an order."""
    request, effective = line.request, line.average_price
    slippage: Cell = None
    if effective is not None and request.expected_price:
        slippage = float((effective / request.expected_price - 1) * request.side.sign * 10_000)
    row: dict[str, Cell] = {
        "position": position, "symbol": symbol_of(request.instrument), "venue": request.venue,
        "side": request.side.value, "qty": request.qty, "theoretical_price": request.expected_price,
        "effective_price": booked(effective) if effective is not None else None, "slippage_bps": slippage,
        "leg": request.leg, "purpose": request.purpose.value,
        "venue_order_id": line.venue_order_id, "client_order_id": request.client_order_id, "outcome": line.state.value,
        "filled_qty": line.filled_qty, "reason": line.reason, "time_ns": turn.memory.market.wall_ns(line.submitted_ns),
    }  # fmt: skip
    turn.record(Table.ORDERS, request.client_order_id, line.revision, request.pair, row)


def fill_row(
    turn: Turn, fill: Fill, pair: PairId, leg: str, fee: Fee, position: str, fee_usdt_mid: Decimal | None = None
) -> None:
    """One execution, written once; `fee_usdt_mid` prices a fee that is neither currency nor the base."""
    memory, fx = turn.memory, turn.memory.fx
    mark = fx.mark()
    instrument = memory.market.instruments[fill.instrument]
    mid = mark.mid if mark is not None else None
    rate = Decimal(1) if fee.asset == "KRW" else mid if fee.asset == "USDT" else None
    if fee.asset == instrument.base:
        rate = fill.price * (mid or Decimal(0)) if instrument.quote == "USDT" else fill.price
    elif rate is None and fee_usdt_mid is not None and mid is not None:
        rate = EXACT.multiply(fee_usdt_mid, mid)
    received_ns = memory.market.wall_ns(fill.received_ns)
    row: dict[str, Cell] = {
        "position": position, "leg": leg, "order_id": fill.venue_order_id, "venue": fill.venue,
        "trade_id": fill.trade_id, "kind": instrument.kind.value, "symbol": instrument.symbol, "side": fill.side.value,
        "qty": fill.qty, "price": fill.price, "quote_currency": instrument.quote, "fee": fee.amount,
        "fee_currency": fee.asset, "fee_krw": booked(EXACT.multiply(fee.amount, rate)) if rate is not None else None,
        "fx_bid": mark.bid if mark is not None else None, "fx_ask": mark.ask if mark is not None else None,
        "fx_mid": mid,
        "fx_time_ns": memory.market.wall_ns(fx.received_ns) if not fx.is_static and mark is not None else None,
        "bank_rate": fx.bank_rate, "liquidity": fill.liquidity.value if fill.liquidity is not None else None,
        "client_order_id": fill.client_order_id, "venue_time_ns": fill.venue_ns,
        "received_time_ns": received_ns,
        "time_kst": (fill.venue_ns if fill.venue_ns is not None else received_ns) + KST_NS,
    }  # fmt: skip
    turn.record(Table.FILLS, f"{fill.instrument}|{fill.trade_id}", 0, pair, row)


def _result(krw: Attribution | None, usdt: Attribution | None) -> dict[str, Cell]:
    """The parts of a result in both numeraires, and its total in each."""
    found: dict[str, Cell] = {}
    for names, parts, total in ((PARTS_KRW, krw, "pnl_krw"), (PARTS_USDT, usdt, "pnl_usdt")):
        if parts is None:
            found |= dict.fromkeys((*names, total))
            continue
        values = (parts.spread_at_decision, parts.slippage, parts.fees, parts.funding, parts.fx, parts.rounding)
        found |= dict(zip(names, values, strict=True)) | {total: parts.total}
    return found


def _prices(position: PairPosition) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Average entry and exit price of A, entry and exit price of B, to the step that amounts are booked in."""
    a, b = position.a, position.b
    found = (a.bought_price, a.sold_price, b.sold_price, b.bought_price)
    if position.direction is Direction.SHORT_A:
        found = (a.sold_price, a.bought_price, b.bought_price, b.sold_price)
    entry_a, exit_a, entry_b, exit_b = (booked(price) for price in found)
    return entry_a, exit_a, entry_b, exit_b


def _edge(buy: Decimal, sell: Decimal, fx: Decimal | None, *, is_buy_a: bool) -> Cell:
    if not buy or not sell or not fx:
        return None
    return (open_bps if is_buy_a else close_bps)(float(sell), float(buy), float(fx))


def position_row(turn: Turn, pair: Pair, position: PairPosition, closed: ClosedPosition | None) -> None:
    """One revision of a position; an open one carries what it would be at mid and mark, free of exit fees."""
    lane = turn.memory.lanes[pair.id]
    lane.position_revision += 1
    shown = marked(turn.memory, pair) if closed is None else None
    turn.record(
        Table.POSITIONS,
        position.id,
        lane.position_revision,
        pair.id,
        _position_cells(turn, pair, position, closed, shown),
    )


def _position_cells(
    turn: Turn, pair: Pair, position: PairPosition, closed: ClosedPosition | None, shown: Marked | None
) -> dict[str, Cell]:
    entry_a, exit_a, entry_b, exit_b = _prices(position)
    is_long = position.direction is Direction.LONG_A
    fx_open = next((flow.fx_mid for flow in position.flows), None)
    fx_close = closed.fx_mid if closed is not None else None
    entry_edge = (
        _edge(entry_a, entry_b, fx_open, is_buy_a=True) if is_long else _edge(entry_b, entry_a, fx_open, is_buy_a=False)
    )
    exit_edge = (
        _edge(exit_b, exit_a, fx_close, is_buy_a=False) if is_long else _edge(exit_a, exit_b, fx_close, is_buy_a=True)
    )
    ended = closed if closed is not None else shown
    total = ended.krw.total if ended is not None else None
    return {
        "symbol": symbol_of(pair.a), "direction": position.direction.value,
        "qty_a": position.a.bought_qty if is_long else position.a.sold_qty,
        "qty_b": position.b.sold_qty if is_long else position.b.bought_qty,
        "entry_price_a": entry_a, "entry_currency_a": "KRW", "entry_price_b": entry_b, "entry_currency_b": "USDT",
        "exit_price_a": exit_a or None, "exit_currency_a": "KRW", "exit_price_b": exit_b or None,
        "exit_currency_b": "USDT",
        "entry_spread_bps": entry_edge, "exit_spread_bps": exit_edge, "fx_open": fx_open, "fx_close": fx_close,
        "d_bps": position.d_bps, "fair_bps": position.fair_bps, "expected_bps": position.expected_bps,
        "entry_krw": position.entry_a_krw,
        **_result(ended.krw if ended is not None else None, ended.usdt if ended is not None else None),
        **_residual_cells(closed),
        "pnl_pct": float(total / position.entry_a_krw) * 100 if total is not None and position.entry_a_krw else None,
        "mark_price_a": shown.price_a if shown is not None else None,
        "mark_price_b": shown.price_b if shown is not None else None,
        "fx_mark": shown.fx_mid if shown is not None else None,
        "exit_reason": closed.reason if closed is not None else None,
        "status": "closed" if closed is not None else "open",
        "opened_ns": position.opened_wall_ns, "closed_ns": closed.closed_wall_ns if closed is not None else None,
        "time_ns": turn.wall_ns(),
    }  # fmt: skip


def _residual_cells(closed: ClosedPosition | None) -> dict[str, Cell]:
    """What left the position at fill price into the residual ledger, in both numeraires."""
    if closed is None:
        return {"residual_krw": None, "residual_usdt": None}
    krw = sum((item.cost for item in closed.residuals if item.leg == "a"), Decimal(0))
    usdt = sum((item.cost for item in closed.residuals if item.leg == "b"), Decimal(0))
    return {
        "residual_krw": booked(krw + EXACT.multiply(usdt, closed.fx_mid)),
        "residual_usdt": booked(EXACT.divide(krw, closed.fx_mid) + usdt),
    }


def trade_row(turn: Turn, pair: Pair, legs: LegPair, position: PairPosition, closed: ClosedPosition | None) -> None:
    """What one finished entry or exit did."""
    kind = "OPEN" if legs.kind is IntentKind.ENTER and closed is None else "CLOSE"
    row = _trade_cells(pair, position, closed, kind, legs.qty, legs.reason, turn.wall_ns())
    row["captured_krw"] = legs.captured_krw
    turn.record(Table.TRADES, legs.id, 0, pair.id, row)
    results = ("captured_krw", "pnl_krw", "pnl_usdt")
    seen = ("position", "kind", "direction", "qty", "price_a", "price_b", *results, "reason")
    turn.publish("trade", {"pair": pair.id} | {name: row[name] for name in seen})
    if closed is not None:
        revision = turn.memory.lanes[pair.id].position_revision
        turn.memory.ledger.name_trade(position.id, trade_id=legs.id, qty=legs.qty, revision=revision)


def _trade_cells(
    pair: Pair, position: PairPosition, closed: ClosedPosition | None, kind: str, qty: Decimal, reason: str, at_ns: int
) -> dict[str, Cell]:
    entry_a, exit_a, entry_b, exit_b = _prices(position)
    return {
        "position": position.id, "symbol": symbol_of(pair.a), "direction": position.direction.value, "qty": qty,
        "kind": kind, "price_a": entry_a if kind == "OPEN" else exit_a,
        "price_b": entry_b if kind == "OPEN" else exit_b, "captured_krw": None,
        **_result(closed.krw if closed is not None else None, closed.usdt if closed is not None else None),
        "reason": reason, "time_ns": at_ns,
    }  # fmt: skip


def revised_rows(turn: Turn, pair: Pair, closed: ClosedPosition) -> None:
    """A position that had ended has got what came late: its row and that of its last trade, anew."""
    row = _position_cells(turn, pair, closed.position, closed, None)
    turn.record(Table.POSITIONS, closed.position.id, closed.revision, pair.id, row)
    if closed.trade_id:
        trade = _trade_cells(
            pair, closed.position, closed, "CLOSE", closed.trade_qty, closed.reason, closed.closed_wall_ns
        )
        legs = turn.memory.legs.get(closed.trade_id)
        trade["captured_krw"] = legs.captured_krw if legs is not None else None
        turn.record(Table.TRADES, closed.trade_id, closed.trade_revision, pair.id, trade)


def incident_row(turn: Turn, legs: LegPair, revision: int, resolution: str, cost_krw: Decimal | None = None) -> None:
    """An incident opens (revision 0) or ends."""
    wall = turn.memory.market.wall_ns
    row: dict[str, Cell] = {
        "position": legs.position, "kind": legs.kind.value if legs.intent is not None else "watch",
        "opened_ns": wall(legs.incident_ns) if legs.incident_ns is not None else turn.wall_ns(),
        "resolution": resolution or None, "cost_krw": cost_krw, "closed_ns": turn.wall_ns() if resolution else None,
    }  # fmt: skip
    turn.record(Table.INCIDENTS, legs.id, revision, legs.pair, row)
    turn.publish("incident", {"outcome": resolution or "opened", "pair": legs.pair})


def spread_row(turn: Turn, pair: Pair, lane: Lane) -> None:
    """The pair as it stands, from the newest books."""
    memory = turn.memory
    book_a, book_b = memory.market.book(pair.a), memory.market.book(pair.b)
    look = lane.look
    if book_a is None or book_b is None or not book_a.is_usable or not book_b.is_usable or memory.fx.mid <= 0:
        return
    rates, scale = rates_of(memory, turn.config, pair.kind), float(pair.multiplier)
    a, b = book_a.depth, book_b.depth
    row: dict[str, Cell] = {
        "symbol": symbol_of(pair.a), "bid_a": a.best_bid, "ask_a": a.best_ask, "bid_b": b.best_bid, "ask_b": b.best_ask,
        "fx_mid": rates.mid, "gross_bps": open_bps(b.best_bid / scale, a.best_ask, rates.sell_b),
        "net_bps": look.best_bps if look is not None else None,
        "unwind_bps": close_bps(a.best_bid, b.best_ask / scale, rates.buy_b),
        "is_opportunity": look is not None and not look.refusal, **premium_cells(memory, pair),
        "bank_rate": memory.fx.bank_rate, "time_ns": turn.wall_ns(),
    }  # fmt: skip
    turn.record(Table.SPREADS, f"{pair.id}-{row['time_ns']}", 0, pair.id, row)


def fx_row(turn: Turn) -> None:
    """The executable mark as it stands."""
    mark = turn.memory.fx.mark()
    if mark is not None:
        now = turn.wall_ns()
        row: dict[str, Cell] = {
            "fx_pair": "USDT/KRW",
            "bid": mark.bid,
            "ask": mark.ask,
            "source": mark.source,
            "time_ns": now,
        }
        turn.record(Table.FX_RATES, f"fx-{now}", 0, None, row)


def bank_row(turn: Turn, event: FxSeen) -> None:
    """A bank rate that was published since the last one."""
    if event.published_ms != turn.memory.fx.bank_published_ms:
        row: dict[str, Cell] = {
            "fx_pair": "USD/KRW", "bid": event.rate, "ask": event.rate, "source": event.source,
            "time_ns": event.published_ms * 1_000_000,
        }  # fmt: skip
        turn.record(Table.FX_RATES, f"bank-{event.published_ms}", 0, None, row)


def portfolio(turn: Turn) -> None:
    """The whole, for gauges and the status line."""
    memory, totals = turn.memory, turn.memory.ledger.totals
    turn.publish(
        "portfolio",
        {
            "total_pnl_krw": totals.realised_krw, "daily_pnl_krw": totals.day_krw, "win_rate": totals.win_rate,
            "num_trades": totals.trade_count, "num_open_positions": len(memory.ledger.positions),
            "avg_trade_duration_s": totals.avg_duration_s,
            "fx_exposure_usdt": memory.ledger.fx_exposure_usdt(turn.config.fx.home_usdt),
        },
    )  # fmt: skip


def trading_state_topic(turn: Turn) -> None:
    """State and causes, when they change."""
    causes = turn.memory.causes
    names = ",".join(f"{i.cause.value}:{i.detail}" if i.detail else i.cause.value for i in causes.in_force)
    turn.publish("state", {"trading_state": causes.state.name, "causes": names})
