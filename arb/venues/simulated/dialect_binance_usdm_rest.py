"""Binance USD-M futures' signed calls, server side: orders, account, positions; settings are beside it.

Owns: which path asks for what.
Never: checks signatures or budgets (the dialect did) or waits: an answer that takes time is a `Later`.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import msgspec

from arb.domain.order import OrderState
from arb.venues.answers import UNREADABLE
from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_usdm_rows as rows
from arb.venues.simulated.auth_binance import BinanceFault
from arb.venues.simulated.desk import Desk, Pending
from arb.venues.simulated.dialect import Later
from arb.venues.simulated.dialect_binance_found import NO_ORDER, UNKNOWN_ORDER, Found, Sent, answered, listed, selected
from arb.venues.simulated.dialect_binance_orders import fault_of, parse_order
from arb.venues.simulated.dialect_binance_usdm_settings import SETTINGS
from arb.venues.simulated.facts import ZERO, EndCause, NewOrder, OrderView, PositionView, Refused

SIDE_MISMATCH = BinanceFault(400, -4061, "Order's position side does not match user's setting.")
MOST_CANCELS = 10


# --- orders ---------------------------------------------------------------------------------------


def parsed_order(desk: Desk, sent: Sent) -> NewOrder | BinanceFault:
    """Read the parameters of POST order under the account's position mode."""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    wants_both = sent.get("positionSide", "BOTH") == "BOTH"
    if desk.exchange.is_dual(desk.account) is wants_both:
        return SIDE_MISMATCH
    return parse_order(sent, instrument, is_future=True)


def place(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """POST order"""
    parsed = parsed_order(desk, sent)
    if isinstance(parsed, BinanceFault):
        return parsed
    wants_result = sent.get("newOrderRespType", "ACK") == "RESULT"
    pending = desk.submit(parsed, now_ns)
    return answered(
        pending,
        lambda view: rows.order_row(view if wants_result else _as_acknowledged(view), is_query=False),
        is_future=True,
    )


def _as_acknowledged(view: OrderView) -> OrderView:
    """An ACK shows the order as it was taken, before any execution."""
    return attrs.evolve(view, state=OrderState.OPEN, cause=EndCause.NONE, filled_qty=ZERO, filled_quote=ZERO)


def test_order(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """POST order/test"""
    parsed = parsed_order(desk, sent)
    if isinstance(parsed, BinanceFault):
        return parsed
    verdict = desk.trial(parsed, now_ns)
    return (
        fault_of(verdict, is_future=True)
        if isinstance(verdict, Refused)
        else binance.answer(rows.order_row(verdict, is_query=False))
    )


def cancel(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """DELETE order"""
    view = selected(desk, sent)
    if isinstance(view, BinanceFault):
        return view
    if view is None:
        return UNKNOWN_ORDER
    return answered(desk.cancel(view.order_id, now_ns), lambda one: rows.order_row(one, is_query=False), is_future=True)


def cancel_many(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """DELETE batchOrders: a list of orders and refusals, in the order asked"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    names = _listed(sent.get("origClientOrderIdList", ""))
    if not 1 <= len(names) <= MOST_CANCELS:
        return BinanceFault(400, -4082, "Invalid number of batch place orders.")
    views = [desk.order_named(name) for name in names]
    pendings = [
        desk.cancel(view.order_id, now_ns) if view is not None and view.order.instrument == instrument.id else None
        for view in views
    ]

    def row(pending: Pending | None) -> binance.Row:
        outcome = None if pending is None else pending.outcome()
        if isinstance(outcome, OrderView):
            return rows.order_row(outcome, is_query=False)
        return {"code": UNKNOWN_ORDER.code, "msg": UNKNOWN_ORDER.message}

    ready_ns = max((one.ready_ns for one in pendings if one is not None), default=now_ns)
    return Later(ready_ns, lambda: binance.answer([row(one) for one in pendings]))


def _listed(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text.encode(), type=list[str])
    except UNREADABLE:
        return []


def query(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET order"""
    view = selected(desk, sent)
    if isinstance(view, BinanceFault):
        return view
    return NO_ORDER if view is None else binance.answer(rows.order_row(view, is_query=True))


def open_order(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET openOrder: an error once the order has ended"""
    view = selected(desk, sent)
    if isinstance(view, BinanceFault):
        return view
    is_open = view is not None and view.state is OrderState.OPEN
    return binance.answer(rows.order_row(view, is_query=True)) if view is not None and is_open else NO_ORDER


def open_orders(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET openOrders"""
    instrument = binance.find(desk.instruments, sent) if "symbol" in sent else None
    if isinstance(instrument, BinanceFault):
        return instrument
    return binance.answer(
        [rows.order_row(one, is_query=True) for one in desk.open_orders(instrument.id if instrument else None)]
    )


def cancel_all(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """DELETE allOpenOrders"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    ready = [desk.cancel(view.order_id, now_ns).ready_ns for view in desk.open_orders(instrument.id)]
    done = binance.answer({"code": 200, "msg": "The operation of cancel all open order is done."})
    return Later(max(ready), lambda: done) if ready else done


def all_orders(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET allOrders"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    return listed(sent, (rows.order_row(one, is_query=True) for one in desk.orders(instrument.id)))


def user_trades(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET userTrades"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    number = sent.get("orderId", "")
    fills = (one for one in desk.fills(instrument.id) if not number or str(one.view.order_id) == number)
    return listed(sent, (rows.fill_row(one) for one in fills))


# --- account --------------------------------------------------------------------------------------


def all_positions(desk: Desk) -> list[PositionView]:
    """One view per listed contract."""
    return [desk.position(one.id) for one in desk.instruments.values()]


def account(desk: Desk, _sent: Sent, now_ns: int) -> Found:
    """GET v2 and v3 account"""
    held, wallet = desk.balance("USDT"), desk.wallet()
    positions = [one for one in all_positions(desk) if one.qty]
    unrealised = sum((one.unrealised_pnl for one in positions), ZERO)
    asset = rows.asset_row(held, wallet, unrealised, now_ns)
    return binance.answer({
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False, "updateTime": 0,
        "multiAssetsMargin": False,
        "totalInitialMargin": asset["initialMargin"], "totalMaintMargin": asset["maintMargin"],
        "totalWalletBalance": asset["walletBalance"], "totalUnrealizedProfit": asset["unrealizedProfit"],
        "totalMarginBalance": asset["marginBalance"], "totalPositionInitialMargin": asset["positionInitialMargin"],
        "totalOpenOrderInitialMargin": asset["openOrderInitialMargin"],
        "totalCrossWalletBalance": asset["crossWalletBalance"], "totalCrossUnPnl": "0.00000000",
        "availableBalance": asset["availableBalance"], "maxWithdrawAmount": asset["maxWithdrawAmount"],
        "assets": [asset],
        "positions": [{**rows.old_risk_row(one, now_ns),
        "unrealizedProfit": binance.text(one.unrealised_pnl)} for one in positions],
    })  # fmt: skip


def balance(desk: Desk, _sent: Sent, now_ns: int) -> Found:
    """GET v2 and v3 balance"""
    return binance.answer([rows.balance_row(desk.balance("USDT"), desk.wallet(), now_ns)])


def _chosen(desk: Desk, sent: Sent) -> list[PositionView] | BinanceFault:
    if "symbol" not in sent:
        return all_positions(desk)
    instrument = binance.find(desk.instruments, sent)
    return instrument if isinstance(instrument, BinanceFault) else [desk.position(instrument.id)]


def risk(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """GET v3 positionRisk: only symbols with a position or an open order"""
    chosen = _chosen(desk, sent)
    if isinstance(chosen, BinanceFault):
        return chosen
    return binance.answer([rows.risk_row(one, now_ns) for one in chosen if one.qty or desk.open_orders(one.instrument)])


def old_risk(desk: Desk, sent: Sent, now_ns: int) -> Found:
    """GET v2 positionRisk: all symbols"""
    chosen = _chosen(desk, sent)
    return (
        chosen
        if isinstance(chosen, BinanceFault)
        else binance.answer([rows.old_risk_row(one, now_ns) for one in chosen])
    )


def symbol_config(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET symbolConfig"""
    chosen = _chosen(desk, sent)
    return chosen if isinstance(chosen, BinanceFault) else binance.answer([rows.config_row(one) for one in chosen])


def income(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET income: funding and transfers, oldest first"""
    symbol, since, kind = sent.get("symbol", ""), sent.get("startTime", ""), sent.get("incomeType", "")
    since_ms = int(since) if since.isdigit() else 0
    booked: list[binance.Row] = []
    if kind in ("", "FUNDING_FEE"):
        booked += [
            rows.income_row(one)
            for one in desk.incomes()
            if symbol in ("", one.instrument.partition(":")[2]) and one.at_ns // 1_000_000 >= since_ms
        ]
    if kind in ("", "TRANSFER") and not symbol:
        booked += [rows.transfer_row(one) for one in desk.transfers(since_ms)]
    return binance.answer(booked[-1_000:])


def commission(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET commissionRate"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    fees = desk.model.fees
    return binance.answer(
        {
            "symbol": instrument.symbol,
            "makerCommissionRate": f"{fees.maker_rate:f}",
            "takerCommissionRate": f"{fees.taker_rate:f}",
        }
    )


def brackets(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET leverageBracket"""
    rate = f"{desk.model.maintenance_rate:f}"
    bracket = {
        "bracket": 1,
        "initialLeverage": desk.model.max_leverage,
        "notionalCap": 230_000_000,
        "notionalFloor": 0,
        "maintMarginRatio": float(rate),
        "cum": 0.0,
    }
    names = [sent["symbol"]] if "symbol" in sent else list(desk.instruments)
    return binance.answer([{"symbol": name, "notionalCoef": 1.0, "brackets": [bracket]} for name in names])


def account_config(desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    """GET accountConfig"""
    return binance.answer({
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False,
        "multiAssetsMargin": desk.exchange.is_multi_asset(desk.account), "tradeGroupId": -1,
        "dualSidePosition": desk.exchange.is_dual(desk.account), "updateTime": 0,
    })  # fmt: skip


def trading_status(_desk: Desk, _sent: Sent, now_ns: int) -> Found:
    """GET apiTradingStatus"""
    return binance.answer({"indicators": {}, "updateTime": now_ns // 1_000_000})


ROUTES: dict[tuple[str, str], Callable[[Desk, Sent, int], Found]] = {
    **SETTINGS,
    ("POST", "/fapi/v1/order"): place,
    ("POST", "/fapi/v1/order/test"): test_order,
    ("DELETE", "/fapi/v1/order"): cancel,
    ("DELETE", "/fapi/v1/batchOrders"): cancel_many,
    ("GET", "/fapi/v1/order"): query,
    ("GET", "/fapi/v1/openOrder"): open_order,
    ("GET", "/fapi/v1/openOrders"): open_orders,
    ("DELETE", "/fapi/v1/allOpenOrders"): cancel_all,
    ("GET", "/fapi/v1/allOrders"): all_orders,
    ("GET", "/fapi/v1/userTrades"): user_trades,
    ("GET", "/fapi/v1/symbolConfig"): symbol_config,
    ("GET", "/fapi/v1/accountConfig"): account_config,
    ("GET", "/fapi/v1/apiTradingStatus"): trading_status,
    ("GET", "/fapi/v1/commissionRate"): commission,
    ("GET", "/fapi/v1/leverageBracket"): brackets,
    ("GET", "/fapi/v1/income"): income,
    ("GET", "/fapi/v2/account"): account,
    ("GET", "/fapi/v3/account"): account,
    ("GET", "/fapi/v2/balance"): balance,
    ("GET", "/fapi/v3/balance"): balance,
    ("GET", "/fapi/v2/positionRisk"): old_risk,
    ("GET", "/fapi/v3/positionRisk"): risk,
}
