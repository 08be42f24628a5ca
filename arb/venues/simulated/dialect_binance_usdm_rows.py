"""Binance USD-M futures' private rows, server side: order objects, fills, positions, account, stream events.

Owns: field names. Answers to POST and DELETE order carry no `avgPrice` and no `cumQuote`; GET order does.
Never: knows connections.
Units: times UTC milliseconds; amounts as decimal texts.
"""

from __future__ import annotations

from decimal import Decimal

from arb.domain.instrument import Instrument, InstrumentStatus
from arb.domain.order import Balance, Liquidity, OrderState, Side
from arb.venues.simulated.dialect_binance import Row, bare, text
from arb.venues.simulated.dialect_binance_orders import STP_NAMES, status_of, tif_of, type_of
from arb.venues.simulated.facts import (
    ZERO,
    BalanceChanged,
    EndCause,
    Executed,
    FundingSettled,
    OrderChanged,
    OrderView,
    PositionChanged,
    PositionView,
    Transferred,
)

EXPIRY = {EndCause.SELF_TRADE: "1", EndCause.IOC_REMAINDER: "4", EndCause.FOK_KILLED: "5", EndCause.WOULD_TAKE: "6"}
LIQUIDATED = (EndCause.LIQUIDATION,)


def side_of(view: OrderView) -> str:
    """`BUY` or `SELL`."""
    return "BUY" if view.order.side is Side.BUY else "SELL"


def client_id(view: OrderView) -> str:
    """The client's name, or the one the venue made."""
    return view.order.client_order_id or f"sim{view.order_id:019d}"


def symbol_of_view(view: OrderView) -> str:
    """The venue's own symbol."""
    return view.order.instrument.partition(":")[2]


def order_row(view: OrderView, *, is_query: bool) -> Row:
    """An order object; `is_query`: with what only GET order still prints."""
    row: Row = {
        "orderId": view.order_id, "symbol": symbol_of_view(view), "status": status_of(view),
        "clientOrderId": client_id(view),
        "price": bare(view.order.price or ZERO), "origQty": bare(view.order.qty or ZERO),
        "executedQty": bare(view.filled_qty),
        "cumQty": bare(view.filled_qty), "timeInForce": tif_of(view, is_future=True),
        "type": type_of(view, is_future=True),
        "reduceOnly": view.order.reduce_only, "closePosition": False, "side": side_of(view), "positionSide": "BOTH",
        "stopPrice": "0", "workingType": "CONTRACT_PRICE", "priceProtect": False,
        "origType": type_of(view, is_future=True),
        "priceMatch": "NONE", "selfTradePreventionMode": STP_NAMES[view.order.self_trade], "goodTillDate": 0,
        "updateTime": view.updated_ns // 1_000_000,
    }  # fmt: skip
    if is_query:
        del row["cumQty"]
        row |= {
            "avgPrice": text(view.avg_price),
            "cumQuote": text(view.filled_quote),
            "time": view.created_ns // 1_000_000,
        }
    return row


def fill_row(one: Executed) -> Row:
    """One row of GET userTrades."""
    return {
        "symbol": symbol_of_view(one.view), "id": one.trade_id, "orderId": one.view.order_id, "side": side_of(one.view),
        "price": bare(one.price), "qty": bare(one.qty), "realizedPnl": text(one.realised_pnl),
        "quoteQty": text(one.price * one.qty), "commission": text(one.fee.amount),
        "commissionAsset": str(one.fee.asset),
        "time": one.at_ns // 1_000_000, "buyer": one.view.order.side is Side.BUY,
        "maker": one.liquidity is Liquidity.MAKER, "positionSide": "BOTH",
    }  # fmt: skip


def income_row(one: FundingSettled) -> Row:
    """One row of GET income."""
    return {
        "symbol": one.instrument.partition(":")[2], "incomeType": "FUNDING_FEE", "income": text(one.amount),
        "asset": str(one.asset),
        "info": "FUNDING_FEE", "time": one.at_ns // 1_000_000, "tranId": one.income_id, "tradeId": "",
    }  # fmt: skip


def transfer_row(one: Transferred) -> Row:
    """One row of GET income: money that came to the wallet or left it."""
    return {
        "symbol": "", "incomeType": "TRANSFER", "income": text(one.amount), "asset": str(one.asset), "info": "TRANSFER",
        "time": one.at_ns // 1_000_000, "tranId": one.transfer_id, "tradeId": "",
    }  # fmt: skip


def risk_row(view: PositionView, now_ns: int) -> Row:
    """One row of GET /fapi/v3/positionRisk."""
    notional = view.qty * view.mark_price
    initial = abs(notional) / view.leverage
    return {
        "symbol": view.instrument.partition(":")[2], "positionSide": "BOTH", "positionAmt": bare(view.qty),
        "entryPrice": text(view.entry_price), "breakEvenPrice": text(view.entry_price),
        "markPrice": text(view.mark_price),
        "unRealizedProfit": text(view.unrealised_pnl), "liquidationPrice": bare(view.liquidation_price),
        "isolatedMargin": text(view.margin + view.unrealised_pnl) if view.is_isolated else "0",
        "notional": text(notional),
        "marginAsset": "USDT", "isolatedWallet": text(view.margin) if view.is_isolated else "0",
        "initialMargin": text(initial),
        "maintMargin": text(abs(notional) * Decimal("0.004")), "positionInitialMargin": text(initial),
        "openOrderInitialMargin": "0", "adl": 1, "bidNotional": "0", "askNotional": "0",
        "updateTime": now_ns // 1_000_000,
    }  # fmt: skip


def old_risk_row(view: PositionView, now_ns: int) -> Row:
    """One row of GET /fapi/v2/positionRisk."""
    return {
        **risk_row(view, now_ns), "leverage": str(view.leverage),
        "marginType": "isolated" if view.is_isolated else "cross",
        "isAutoAddMargin": "false", "maxNotionalValue": "230000000", "isolated": view.is_isolated,
    }  # fmt: skip


def config_row(view: PositionView) -> Row:
    """One row of GET symbolConfig."""
    return {
        "symbol": view.instrument.partition(":")[2], "marginType": "ISOLATED" if view.is_isolated else "CROSSED",
        "isAutoAddMargin": False, "leverage": view.leverage, "maxNotionalValue": "230000000",
    }  # fmt: skip


def asset_row(held: Balance, wallet: Decimal, unrealised: Decimal, now_ns: int) -> Row:
    """One asset of GET account."""
    return {
        "asset": str(held.asset), "walletBalance": text(wallet), "unrealizedProfit": text(unrealised),
        "marginBalance": text(wallet + unrealised), "maintMargin": "0.00000000",
        "initialMargin": text(wallet - held.free),
        "positionInitialMargin": text(wallet - held.total), "openOrderInitialMargin": text(held.locked),
        "crossWalletBalance": text(held.total), "crossUnPnl": "0.00000000", "availableBalance": text(held.free),
        "maxWithdrawAmount": text(held.free), "marginAvailable": True, "updateTime": now_ns // 1_000_000,
    }  # fmt: skip


def balance_row(held: Balance, wallet: Decimal, now_ns: int) -> Row:
    """One row of GET balance."""
    return {
        "accountAlias": "sim", "asset": str(held.asset), "balance": text(wallet),
        "crossWalletBalance": text(held.total),
        "crossUnPnl": "0.00000000", "availableBalance": text(held.free), "maxWithdrawAmount": text(held.free),
        "marginAvailable": True, "updateTime": now_ns // 1_000_000,
    }  # fmt: skip


def execution_type(fact: OrderChanged | Executed) -> str:
    """`x` of an ORDER_TRADE_UPDATE."""
    if isinstance(fact, Executed):
        return "CALCULATED" if fact.view.cause in LIQUIDATED else "TRADE"
    if fact.view.state is OrderState.OPEN:
        return "NEW"
    return "CANCELED" if fact.view.cause is EndCause.OWNER else "EXPIRED"


def order_event(fact: OrderChanged | Executed) -> Row:
    """An ORDER_TRADE_UPDATE."""
    view = fact.view
    fill = fact if isinstance(fact, Executed) else None
    order: Row = {
        "s": symbol_of_view(view), "c": client_id(view), "S": side_of(view), "o": type_of(view, is_future=True),
        "f": tif_of(view, is_future=True), "q": bare(view.order.qty or ZERO), "p": bare(view.order.price or ZERO),
        "ap": bare(view.avg_price), "sp": "0", "x": execution_type(fact), "X": status_of(view), "i": view.order_id,
        "l": bare(fill.qty if fill else ZERO), "z": bare(view.filled_qty), "L": bare(fill.price if fill else ZERO),
        "T": fact.at_ns // 1_000_000, "t": fill.trade_id if fill else 0, "b": "0", "a": "0",
        "m": fill is not None and fill.liquidity is Liquidity.MAKER, "R": view.order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": type_of(view, is_future=True), "ps": "BOTH", "cp": False, "rp": text(fill.realised_pnl if fill else ZERO),
        "pP": False, "si": 0, "ss": 0, "V": STP_NAMES[view.order.self_trade], "pm": "NONE", "gtd": 0,
        "er": EXPIRY.get(view.cause, "0"),
    }  # fmt: skip
    if fill is not None:
        order |= {"n": text(fill.fee.amount), "N": str(fill.fee.asset)}
    return {"e": "ORDER_TRADE_UPDATE", "E": fact.at_ns // 1_000_000, "T": fact.at_ns // 1_000_000, "o": order}


def account_event(at_ns: int, reason: str, balances: list[Row], positions: list[Row]) -> Row:
    """An ACCOUNT_UPDATE."""
    return {
        "e": "ACCOUNT_UPDATE",
        "E": at_ns // 1_000_000,
        "T": at_ns // 1_000_000,
        "a": {"m": reason, "B": balances, "P": positions},
    }


def changed_balance(fact: BalanceChanged, wallet: Decimal) -> list[Row]:
    """`B` of an ACCOUNT_UPDATE."""
    return [{"a": str(one.asset), "wb": text(wallet), "cw": text(one.total), "bc": "0"} for one in fact.balances]


def changed_position(fact: PositionChanged) -> Row:
    """One of `P` of an ACCOUNT_UPDATE."""
    one = fact.position
    return {
        "s": one.instrument.partition(":")[2], "pa": bare(one.qty), "ep": text(one.entry_price),
        "bep": text(one.entry_price),
        "cr": text(one.realised_pnl), "up": text(one.unrealised_pnl), "mt": "isolated" if one.is_isolated else "cross",
        "iw": text(one.margin) if one.is_isolated else "0", "ps": "BOTH",
    }  # fmt: skip


def symbol_row(instrument: Instrument) -> Row:
    """One symbol of GET exchangeInfo."""
    tick = instrument.ticks.tick_at(instrument.ticks.bands[-1].from_price)
    top = bare(instrument.max_qty) if instrument.max_qty is not None else "1000"
    up, down = instrument.band_up or Decimal("1.05"), instrument.band_down or Decimal("0.95")
    filters: list[Row] = [
        {"filterType": "PRICE_FILTER", "minPrice": bare(tick), "maxPrice": "4529764", "tickSize": bare(tick)},
        {"filterType": "LOT_SIZE", "stepSize": bare(instrument.lot), "maxQty": top, "minQty": bare(instrument.min_qty)},
        {
            "filterType": "MARKET_LOT_SIZE",
            "stepSize": bare(instrument.lot),
            "maxQty": top,
            "minQty": bare(instrument.min_qty),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": bare(instrument.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierDown": text(down, 4),
            "multiplierUp": text(up, 4),
            "multiplierDecimal": "4",
        },
    ]
    status = "TRADING" if instrument.status is InstrumentStatus.TRADING else "SETTLING"
    digits = max(0, -int(tick.normalize().as_tuple().exponent))
    lot_digits = max(0, -int(instrument.lot.normalize().as_tuple().exponent))
    return {
        "symbol": instrument.symbol, "pair": instrument.symbol, "contractType": "PERPETUAL",
        "deliveryDate": instrument.delisting_ms or 4_133_404_800_000,
        "onboardDate": instrument.listed_ms or 1_569_398_400_000,
        "status": status, "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "baseAsset": str(instrument.base),
        "quoteAsset": str(instrument.quote), "marginAsset": "USDT", "pricePrecision": digits,
        "quantityPrecision": lot_digits,
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500", "liquidationFee": "0.012500", "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": filters, "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip
