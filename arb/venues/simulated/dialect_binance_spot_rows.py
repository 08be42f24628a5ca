"""Binance spot's private rows, server side: order objects, fills, execution reports, balances.

Owns: field names. One sample: `{"e":"executionReport","s":"BTCUSDT","c":"…","x":"TRADE","X":"FILLED",…}`.
Never: knows connections.
Units: times UTC milliseconds; amounts as decimal texts.
"""

from __future__ import annotations

from datetime import UTC, datetime

from arb.domain.instrument import Instrument, InstrumentStatus
from arb.domain.order import Balance, Liquidity, OrderState, Side
from arb.venues.simulated.dialect_binance import Row, text
from arb.venues.simulated.dialect_binance_orders import REASONS, STP_NAMES, status_of, tif_of, type_of
from arb.venues.simulated.facts import ZERO, BalanceChanged, EndCause, Executed, OrderChanged, OrderView, Transferred

NETWORKS = {"BTC": "BTC", "ETH": "ETH", "XRP": "XRP", "SOL": "SOL", "USDT": "TRX", "BNB": "BSC"}


def side_of(view: OrderView) -> str:
    """`BUY` or `SELL`."""
    return "BUY" if view.order.side is Side.BUY else "SELL"


def client_id(view: OrderView) -> str:
    """The client's name, or the one the venue made."""
    return view.order.client_order_id or f"sim{view.order_id:019d}"


def symbol_of_view(view: OrderView) -> str:
    """The venue's own symbol."""
    return view.order.instrument.partition(":")[2]


def amounts(view: OrderView) -> Row:
    """What every order object carries."""
    return {
        "price": text(view.order.price or ZERO),
        "origQty": text(view.order.qty if view.order.qty is not None else view.filled_qty),
        "executedQty": text(view.filled_qty),
        "origQuoteOrderQty": text(view.order.quote_qty or ZERO),
        "cummulativeQuoteQty": text(view.filled_quote),
        "status": status_of(view),
        "timeInForce": tif_of(view, is_future=False),
        "type": type_of(view, is_future=False),
        "side": side_of(view),
        "selfTradePreventionMode": STP_NAMES[view.order.self_trade],
    }


def ack_row(view: OrderView) -> Row:
    """newOrderRespType=ACK"""
    names: Row = {"symbol": symbol_of_view(view), "orderId": view.order_id, "orderListId": -1}
    return {**names, "clientOrderId": client_id(view), "transactTime": view.updated_ns // 1_000_000}


def result_row(view: OrderView) -> Row:
    """newOrderRespType=RESULT"""
    return {**ack_row(view), **amounts(view), "workingTime": view.created_ns // 1_000_000}


def full_row(view: OrderView, fills: tuple[Executed, ...]) -> Row:
    """newOrderRespType=FULL"""
    rows = [
        {
            "price": text(one.price),
            "qty": text(one.qty),
            "commission": text(one.fee.amount),
            "commissionAsset": str(one.fee.asset),
            "tradeId": one.trade_id,
        }
        for one in fills
    ]
    return {**result_row(view), "fills": rows}


def query_row(view: OrderView) -> Row:
    """GET order and the order lists."""
    names: Row = {
        "symbol": symbol_of_view(view),
        "orderId": view.order_id,
        "orderListId": -1,
        "clientOrderId": client_id(view),
    }
    row = {
        **names, **amounts(view), "stopPrice": text(ZERO), "icebergQty": text(ZERO),
        "time": view.created_ns // 1_000_000,
        "updateTime": view.updated_ns // 1_000_000, "isWorking": True, "workingTime": view.created_ns // 1_000_000,
    }  # fmt: skip
    return {**row, "expiryReason": REASONS[view.cause]} if view.cause in REASONS else row


def cancel_row(view: OrderView) -> Row:
    """DELETE order: `clientOrderId` names the cancel, `origClientOrderId` the order."""
    row = {**result_row(view), "origClientOrderId": client_id(view), "clientOrderId": f"cancel{view.order_id:016d}"}
    del row["workingTime"]
    return row


def fill_row(one: Executed) -> Row:
    """One row of GET myTrades."""
    return {
        "symbol": symbol_of_view(one.view), "id": one.trade_id, "orderId": one.view.order_id, "orderListId": -1,
        "price": text(one.price), "qty": text(one.qty), "quoteQty": text(one.price * one.qty),
        "commission": text(one.fee.amount), "commissionAsset": str(one.fee.asset), "time": one.at_ns // 1_000_000,
        "isBuyer": one.view.order.side is Side.BUY, "isMaker": one.liquidity is Liquidity.MAKER, "isBestMatch": True,
    }  # fmt: skip


def balance_row(held: Balance) -> Row:
    """One row of an account's balances."""
    return {"asset": str(held.asset), "free": text(held.free), "locked": text(held.locked)}


def execution_type(fact: OrderChanged | Executed) -> str:
    """`x` of an execution report."""
    if isinstance(fact, Executed):
        return "TRADE"
    if fact.view.state is OrderState.OPEN:
        return "NEW"
    return {EndCause.OWNER: "CANCELED", EndCause.SELF_TRADE: "TRADE_PREVENTION"}.get(fact.view.cause, "EXPIRED")


def report(fact: OrderChanged | Executed) -> Row:
    """An executionReport."""
    view = fact.view
    fill = fact if isinstance(fact, Executed) else None
    kind = execution_type(fact)
    is_cancel = kind == "CANCELED"
    row: Row = {
        "e": "executionReport", "E": fact.at_ns // 1_000_000, "s": symbol_of_view(view),
        "c": f"cancel{view.order_id:016d}" if is_cancel else client_id(view), "S": side_of(view),
        "o": type_of(view, is_future=False), "f": tif_of(view, is_future=False),
        "q": text(view.order.qty or ZERO), "p": text(view.order.price or ZERO), "P": text(ZERO), "F": text(ZERO),
        "g": -1,
        "C": client_id(view) if is_cancel else "", "x": kind, "X": status_of(view), "r": "NONE", "i": view.order_id,
        "l": text(fill.qty if fill else ZERO), "z": text(view.filled_qty), "L": text(fill.price if fill else ZERO),
        "n": text(fill.fee.amount) if fill else "0", "N": str(fill.fee.asset) if fill else None,
        "T": fact.at_ns // 1_000_000,
        "t": fill.trade_id if fill else -1, "I": fact.id, "w": view.state is OrderState.OPEN,
        "m": fill is not None and fill.liquidity is Liquidity.MAKER, "M": fill is not None,
        "O": view.created_ns // 1_000_000, "Z": text(view.filled_quote),
        "Y": text(fill.price * fill.qty if fill else ZERO),
        "Q": text(view.order.quote_qty or ZERO), "W": view.created_ns // 1_000_000,
        "V": STP_NAMES[view.order.self_trade],
    }  # fmt: skip
    return {**row, "eR": REASONS[view.cause]} if kind == "EXPIRED" and view.cause in REASONS else row


def account_position(fact: BalanceChanged) -> Row:
    """An outboundAccountPosition."""
    rows = [{"a": str(one.asset), "f": text(one.free), "l": text(one.locked)} for one in fact.balances]
    return {"e": "outboundAccountPosition", "E": fact.at_ns // 1_000_000, "u": fact.at_ns // 1_000_000, "B": rows}


def balance_update(fact: Transferred) -> Row:
    """A balanceUpdate."""
    at_ms = fact.at_ns // 1_000_000
    return {"e": "balanceUpdate", "E": at_ms, "a": str(fact.asset), "d": text(fact.amount), "T": at_ms}


def deposit_row(one: Transferred) -> Row:
    """One row of GET capital/deposit/hisrec."""
    coin, at_ms = str(one.asset), one.at_ns // 1_000_000
    return {
        "id": str(one.transfer_id), "amount": text(one.amount), "coin": coin, "network": NETWORKS.get(coin, coin),
        "status": 1, "address": "0x0", "addressTag": "", "txId": f"{one.transfer_id:064x}", "insertTime": at_ms,
        "completeTime": at_ms, "transferType": 0, "confirmTimes": "1/1", "unlockConfirm": 0, "walletType": 0,
    }  # fmt: skip


def withdrawal_row(one: Transferred) -> Row:
    """One row of GET capital/withdraw/history; the amount is told without its fee."""
    coin = str(one.asset)
    at = datetime.fromtimestamp(one.at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "id": str(one.transfer_id), "amount": text(-one.amount - one.fee), "transactionFee": text(one.fee),
        "coin": coin, "status": 6, "address": "0x0", "txId": f"{one.transfer_id:064x}", "applyTime": at,
        "network": NETWORKS.get(coin, coin), "transferType": 0, "info": "", "confirmNo": 1, "walletType": 0,
        "completeTime": at,
    }  # fmt: skip


def coin_row(held: Balance, *, is_open: bool) -> Row:
    """One coin of GET capital/config/getall."""
    coin = str(held.asset)
    network = NETWORKS.get(coin, coin)
    return {
        "coin": coin, "depositAllEnable": is_open, "withdrawAllEnable": is_open, "name": coin, "free": text(held.free),
        "locked": text(held.locked), "freeze": "0", "withdrawing": "0", "ipoing": "0", "ipoable": "0", "storage": "0",
        "isLegalMoney": False, "trading": True,
        "networkList": [{
            "network": network, "coin": coin, "withdrawIntegerMultiple": "0.00000001", "isDefault": True,
            "depositEnable": is_open, "withdrawEnable": is_open, "depositDesc": "", "withdrawDesc": "",
            "specialTips": "",
            "name": network, "resetAddressStatus": False, "addressRegex": "", "memoRegex": "", "withdrawFee": "0.0001",
            "withdrawMin": "0.001", "withdrawMax": "9999999", "minConfirm": 1, "unLockConfirm": 2, "sameAddress": False,
            "estimatedArrivalTime": 5, "busy": False,
        }],
    }  # fmt: skip


def symbol_row(instrument: Instrument) -> Row:
    """One symbol of GET exchangeInfo."""
    base, quote = str(instrument.base), str(instrument.quote)
    tick = text(instrument.ticks.tick_at(instrument.ticks.bands[-1].from_price))
    top = text(instrument.max_qty) if instrument.max_qty is not None else "9000.00000000"
    up, down = (
        (text(instrument.band_up, 4) if instrument.band_up else "5"),
        (text(instrument.band_down, 4) if instrument.band_down else "0.2"),
    )
    filters: list[Row] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": text(instrument.min_qty), "maxQty": top, "stepSize": text(instrument.lot)},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": text(ZERO), "maxQty": top, "stepSize": text(ZERO)},
        {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10, "maxTrailingAboveDelta": 2000,
         "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000},
        {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": up, "bidMultiplierDown": down, "askMultiplierUp": up,
         "askMultiplierDown": down, "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": text(instrument.min_notional), "applyMinToMarket": True,
         "maxNotional": text(instrument.max_notional) if instrument.max_notional else "9000000.00000000",
         "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]  # fmt: skip
    status = {InstrumentStatus.TRADING: "TRADING", InstrumentStatus.CANCEL_ONLY: "CANCEL_ONLY"}.get(
        instrument.status, "BREAK"
    )
    return {
        "symbol": instrument.symbol, "status": status, "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"], "icebergAllowed": False, "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": False, "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "filters": filters, "permissions": [],
        "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }  # fmt: skip
