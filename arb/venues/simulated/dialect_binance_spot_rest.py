"""Binance spot's signed calls, server side: orders, account, wallet reads.

Owns: which path asks for what.
Never: checks signatures or budgets (the dialect did) or waits: an answer that takes time is a `Later`.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_spot_rows as rows
from arb.venues.simulated.auth_binance import BinanceFault
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import HttpAnswer, Later
from arb.venues.simulated.dialect_binance_found import NO_ORDER, UNKNOWN_ORDER, Found, Sent, answered, listed, selected
from arb.venues.simulated.dialect_binance_orders import fault_of, parse_order
from arb.venues.simulated.facts import OrderView, Refused, Transferred
from arb.venues.simulated.models import FaultKind


def _place(desk: Desk, sent: Sent, now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    parsed = parse_order(sent, instrument, is_future=False)
    if isinstance(parsed, BinanceFault):
        return parsed
    kind = sent.get("newOrderRespType", "FULL")
    pending = desk.submit(parsed, now_ns)

    def row(view: OrderView) -> binance.Row:
        if kind == "ACK":
            return rows.ack_row(view)
        return rows.result_row(view) if kind == "RESULT" else rows.full_row(view, desk.executions(view.order_id))

    return answered(pending, row, is_future=False)


def _test_order(desk: Desk, sent: Sent, now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent)
    parsed = instrument if isinstance(instrument, BinanceFault) else parse_order(sent, instrument, is_future=False)
    if isinstance(parsed, BinanceFault):
        return parsed
    verdict = desk.trial(parsed, now_ns)
    return fault_of(verdict, is_future=False) if isinstance(verdict, Refused) else binance.answer({})


def _cancel(desk: Desk, sent: Sent, now_ns: int) -> Found:
    view = selected(desk, sent)
    if isinstance(view, BinanceFault):
        return view
    if view is None:
        return UNKNOWN_ORDER
    return answered(desk.cancel(view.order_id, now_ns), rows.cancel_row, is_future=False)


def _cancel_all(desk: Desk, sent: Sent, now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    pendings = [desk.cancel(view.order_id, now_ns) for view in desk.open_orders(instrument.id)]
    if not pendings:
        return UNKNOWN_ORDER

    def resolve() -> HttpAnswer:
        outcomes = [pending.outcome() for pending in pendings]
        return binance.answer([rows.cancel_row(one) for one in outcomes if isinstance(one, OrderView)])

    return Later(max(one.ready_ns for one in pendings), resolve)


def _query(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    view = selected(desk, sent)
    if isinstance(view, BinanceFault):
        return view
    return NO_ORDER if view is None else binance.answer(rows.query_row(view))


def _open_orders(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent) if "symbol" in sent else None
    if isinstance(instrument, BinanceFault):
        return instrument
    return binance.answer([rows.query_row(view) for view in desk.open_orders(instrument.id if instrument else None)])


def _all_orders(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    return listed(sent, (rows.query_row(view) for view in desk.orders(instrument.id)))


def _my_trades(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    number = sent.get("orderId", "")
    fills = (one for one in desk.fills(instrument.id) if not number or str(one.view.order_id) == number)
    return listed(sent, (rows.fill_row(one) for one in fills))


def _account(desk: Desk, sent: Sent, now_ns: int) -> Found:
    fees = desk.model.fees
    maker, taker = binance.text(fees.maker_rate), binance.text(fees.taker_rate)
    hides_zero = sent.get("omitZeroBalances", "").lower() == "true"
    held = [one for one in desk.balances() if one.total or not hides_zero]
    return binance.answer({
        "makerCommission": int(fees.maker_rate * 10_000), "takerCommission": int(fees.taker_rate * 10_000),
        "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": {"maker": maker, "taker": taker, "buyer": "0.00000000", "seller": "0.00000000"},
        "canTrade": True, "canWithdraw": False, "canDeposit": True, "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False, "updateTime": now_ns // 1_000_000, "accountType": "SPOT",
        "balances": [rows.balance_row(one) for one in held], "permissions": ["SPOT"], "uid": 1,
    })  # fmt: skip


def _commission(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    fees, nothing = (
        desk.model.fees,
        {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"},
    )
    standard = {**nothing, "maker": binance.text(fees.maker_rate), "taker": binance.text(fees.taker_rate)}
    discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.75000000"}
    return binance.answer(
        {
            "symbol": instrument.symbol,
            "standardCommission": standard,
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": discount,
        }
    )


def _restrictions(desk: Desk, _sent: Sent, now_ns: int) -> Found:
    may_withdraw = desk.is_faulty(FaultKind.KEY_WITHDRAWS, now_ns)
    return binance.answer({
        "ipRestrict": True, "createTime": now_ns // 1_000_000, "enableReading": True,
        "enableSpotAndMarginTrading": True,
        "enableWithdrawals": may_withdraw,
        "enableInternalTransfer": False, "enableMargin": False, "enableFutures": True,
        "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enableFixApiTrade": False,
        "enableFixReadOnly": False, "enablePortfolioMarginTrading": False,
    })  # fmt: skip


def _coins(desk: Desk, _sent: Sent, now_ns: int) -> Found:
    is_open = not any(desk.is_faulty(kind, now_ns) for kind in (FaultKind.MAINTENANCE, FaultKind.WALLET_CLOSED))
    names = sorted(
        {str(one) for each in desk.instruments.values() for one in (each.base, each.quote)}
        | {str(one.asset) for one in desk.balances()}
    )
    return binance.answer([rows.coin_row(desk.balance(name), is_open=is_open) for name in names])


def _deposits(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    return binance.answer([rows.deposit_row(one) for one in _moved(desk, sent) if one.amount > 0])


def _withdrawals(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    return binance.answer([rows.withdrawal_row(one) for one in _moved(desk, sent) if one.amount < 0])


def _moved(desk: Desk, sent: Sent) -> tuple[Transferred, ...]:
    since = sent.get("startTime", "")
    return desk.transfers(int(since) if since.isdigit() else 0)[::-1]


def _no_page(_desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    return binance.answer({"total": 0})


def _nothing(_desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    return binance.answer([])


PRIVATE: dict[tuple[str, str], Callable[[Desk, Sent, int], Found]] = {
    ("POST", "/api/v3/order"): _place,
    ("POST", "/api/v3/order/test"): _test_order,
    ("DELETE", "/api/v3/order"): _cancel,
    ("GET", "/api/v3/order"): _query,
    ("GET", "/api/v3/openOrders"): _open_orders,
    ("DELETE", "/api/v3/openOrders"): _cancel_all,
    ("GET", "/api/v3/allOrders"): _all_orders,
    ("GET", "/api/v3/myTrades"): _my_trades,
    ("GET", "/api/v3/account"): _account,
    ("GET", "/api/v3/account/commission"): _commission,
    ("GET", "/sapi/v1/account/apiRestrictions"): _restrictions,
    ("GET", "/sapi/v1/capital/config/getall"): _coins,
    ("GET", "/sapi/v1/capital/deposit/hisrec"): _deposits,
    ("GET", "/sapi/v1/capital/withdraw/history"): _withdrawals,
    ("GET", "/sapi/v1/asset/transfer"): _no_page,
    ("GET", "/sapi/v1/margin/allPairs"): _nothing,
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _nothing,
}
