"""Binance USD-M futures' signed calls, server side: orders, account, positions, settings, listen key.

Owns: which path asks for what.
Never: checks signatures or budgets (the dialect did) or waits: an answer that takes time is a `Later`.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from arb.domain.order import OrderState
from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_usdm_rows as rows
from arb.venues.simulated.auth_binance import BinanceFault, missing
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Later
from arb.venues.simulated.dialect_binance_found import NO_ORDER, UNKNOWN_ORDER, Found, Sent, answered, selected
from arb.venues.simulated.dialect_binance_orders import fault_of, parse_order
from arb.venues.simulated.facts import ZERO, EndCause, NewOrder, OrderView, PositionView, RefusalReason, Refused

SIDE_MISMATCH = BinanceFault(400, -4061, "Order's position side does not match user's setting.")
DONE = {"code": 200, "msg": "success"}


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
    return binance.answer([rows.order_row(one, is_query=True) for one in desk.orders(instrument.id)][-1_000:])


def user_trades(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """GET userTrades"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    number, since = sent.get("orderId", ""), sent.get("startTime", "")
    fills = [one for one in desk.fills(instrument.id) if not number or str(one.view.order_id) == number]
    late = [one for one in fills if not since.isdigit() or one.at_ns // 1_000_000 >= int(since)]
    return binance.answer([rows.fill_row(one) for one in late][-1_000:])


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


# --- settings -------------------------------------------------------------------------------------


def leverage(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST leverage"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    wanted = sent.get("leverage", "")
    refused = (
        desk.exchange.set_leverage(desk.account, instrument.id, int(wanted))
        if wanted.isdigit()
        else Refused(RefusalReason.BAD_LEVERAGE)
    )
    if refused is not None and refused.reason is not RefusalReason.NO_CHANGE:
        return fault_of(refused, is_future=True)
    return binance.answer({"leverage": int(wanted), "maxNotionalValue": "230000000", "symbol": instrument.symbol})


def margin_type(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST marginType"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    if sent.get("marginType") not in ("ISOLATED", "CROSSED"):
        return missing("marginType")
    refused = desk.exchange.set_isolated(desk.account, instrument.id, sent["marginType"] == "ISOLATED")
    return binance.answer(DONE) if refused is None else fault_of(refused, is_future=True)


def position_mode(desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    """GET positionSide/dual"""
    return binance.answer({"dualSidePosition": desk.exchange.is_dual(desk.account)})


DUAL_FAULTS = {
    RefusalReason.NO_CHANGE: BinanceFault(400, -4059, "No need to change position side."),
    RefusalReason.HAS_OPEN_ORDERS: BinanceFault(
        400, -4067, "Position side cannot be changed if there exists open orders."
    ),
    RefusalReason.HAS_POSITION: BinanceFault(400, -4068, "Position side cannot be changed if there exists position."),
}


def set_position_mode(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST positionSide/dual"""
    refused = desk.exchange.set_dual(desk.account, sent.get("dualSidePosition", "").lower() == "true")
    return (
        binance.answer(DONE) if refused is None else DUAL_FAULTS.get(refused.reason, fault_of(refused, is_future=True))
    )


def multi_assets(desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    """GET multiAssetsMargin"""
    return binance.answer({"multiAssetsMargin": desk.exchange.is_multi_asset(desk.account)})


MULTI_ASSET_FAULTS = {
    RefusalReason.NO_CHANGE: BinanceFault(400, -4171, "No need to change Multi-Assets mode."),
    RefusalReason.HAS_OPEN_ORDERS: BinanceFault(
        400, -4170, "Unable to adjust Multi-Assets Mode when there are open orders."
    ),
    RefusalReason.MULTI_ASSET: BinanceFault(
        400, -4167, "Unable to adjust to Multi-Assets mode with symbols under isolated-margin mode."
    ),
}


def set_multi_assets(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST multiAssetsMargin"""
    refused = desk.exchange.set_multi_asset(desk.account, sent.get("multiAssetsMargin", "").lower() == "true")
    if refused is None:
        return binance.answer(DONE)
    return MULTI_ASSET_FAULTS.get(refused.reason, fault_of(refused, is_future=True))


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
    ("POST", "/fapi/v1/order"): place,
    ("POST", "/fapi/v1/order/test"): test_order,
    ("DELETE", "/fapi/v1/order"): cancel,
    ("GET", "/fapi/v1/order"): query,
    ("GET", "/fapi/v1/openOrder"): open_order,
    ("GET", "/fapi/v1/openOrders"): open_orders,
    ("DELETE", "/fapi/v1/allOpenOrders"): cancel_all,
    ("GET", "/fapi/v1/allOrders"): all_orders,
    ("GET", "/fapi/v1/userTrades"): user_trades,
    ("POST", "/fapi/v1/leverage"): leverage,
    ("POST", "/fapi/v1/marginType"): margin_type,
    ("GET", "/fapi/v1/positionSide/dual"): position_mode,
    ("POST", "/fapi/v1/positionSide/dual"): set_position_mode,
    ("GET", "/fapi/v1/multiAssetsMargin"): multi_assets,
    ("POST", "/fapi/v1/multiAssetsMargin"): set_multi_assets,
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
