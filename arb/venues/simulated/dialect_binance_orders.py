"""Orders of Binance's venues, server side: parameters in, order rows and execution reports out, refusals to codes.

Owns: what spot and USD-M share of order entry and what each prints differently.
Never: decides whether an order is legal for the account: that is the exchange's.
Units: times UTC milliseconds in payloads; amounts as decimal texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from arb.domain.instrument import Instrument
from arb.domain.order import OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.auth_binance import BinanceFault, missing
from arb.venues.simulated.facts import EndCause, NewOrder, OrderView, RefusalReason, Refused, SelfTrade

CLIENT_ID = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")
STP = {
    "NONE": SelfTrade.NONE,
    "EXPIRE_TAKER": SelfTrade.CANCEL_TAKER,
    "EXPIRE_MAKER": SelfTrade.CANCEL_MAKER,
    "EXPIRE_BOTH": SelfTrade.CANCEL_BOTH,
}
STP_NAMES = {made: name for name, made in STP.items()}
TIF = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "GTX": TimeInForce.POST_ONLY}
TIF_NAMES = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK", TimeInForce.POST_ONLY: "GTX"}
EXPIRED_CAUSES = frozenset(EndCause) - {EndCause.NONE, EndCause.OWNER}
REASONS = {
    EndCause.IOC_REMAINDER: "UNFILLED_IOC_QUANTITY_EXPIRED",
    EndCause.FOK_KILLED: "UNFILLED_FOK_ORDER_EXPIRED",
    EndCause.NO_LIQUIDITY: "INSUFFICIENT_LIQUIDITY",
}


def number(sent: Mapping[str, str], name: str) -> Decimal | BinanceFault | None:
    """A positive number, None where it was not sent."""
    value = sent.get(name, "")
    if not value:
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return BinanceFault(
            400,
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'.",
        )
    return (
        found
        if found.is_finite() and found >= 0
        else BinanceFault(400, -1100, f"Illegal characters found in parameter '{name}'.")
    )


def parse_order(sent: Mapping[str, str], instrument: Instrument, *, is_future: bool) -> NewOrder | BinanceFault:
    """Read the parameters of POST order."""
    side = {"BUY": Side.BUY, "SELL": Side.SELL}.get(sent.get("side", ""))
    kind = sent.get("type", "")
    fault = _bad_words(sent, side, kind, is_future=is_future)
    if fault is not None or side is None:
        return fault or missing("side")
    numbers: list[Decimal | None] = []
    for name in ("quantity", "quoteOrderQty", "price"):
        found = number(sent, name)
        if isinstance(found, BinanceFault):
            return found
        numbers.append(found)
    qty, total, price = numbers
    if qty == 0:
        low = (-4003, "Quantity less than or equal to zero.") if is_future else (-1013, "Invalid quantity.")
        return BinanceFault(400, *low)
    if kind == "MARKET":
        price = None
    for name, value in (
        ("quantity", qty if kind != "MARKET" or is_future else qty or total),
        ("price", price if kind != "MARKET" else Decimal(1)),
    ):
        if value is None:
            return missing(name)
    return _precise(sent, instrument, qty) or NewOrder(
        client_order_id=sent.get("newClientOrderId", ""),
        instrument=instrument.id,
        side=side,
        order_type=OrderType.LIMIT
        if kind != "MARKET"
        else OrderType.MARKET
        if qty is not None
        else OrderType.MARKET_BY_QUOTE,
        time_in_force=TimeInForce.POST_ONLY
        if kind == "LIMIT_MAKER"
        else TIF.get(sent.get("timeInForce", ""), TimeInForce.IOC),
        qty=qty,
        quote_qty=None if qty is not None else total,
        price=price,
        reduce_only=sent.get("reduceOnly", "").lower() == "true",
        self_trade=STP.get(sent.get("selfTradePreventionMode", ""), SelfTrade.CANCEL_MAKER),
    )


def _bad_words(sent: Mapping[str, str], side: Side | None, kind: str, *, is_future: bool) -> BinanceFault | None:
    kinds = ("LIMIT", "MARKET") if is_future else ("LIMIT", "MARKET", "LIMIT_MAKER")
    if not sent.get("side"):
        return missing("side")
    if side is None:
        return BinanceFault(400, -1117, "Invalid side.")
    if not kind:
        return missing("type")
    if is_future and kind in ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"):
        return BinanceFault(
            400, -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    if kind not in kinds:
        return BinanceFault(400, -1116, "Invalid orderType.")
    if kind == "LIMIT" and not sent.get("timeInForce"):
        return missing("timeInForce")
    if kind == "LIMIT" and (sent["timeInForce"] not in TIF or (sent["timeInForce"] == "GTX" and not is_future)):
        return BinanceFault(400, -1115, "Invalid timeInForce.")
    if kind != "LIMIT" and sent.get("timeInForce"):
        return BinanceFault(400, -1106, "Parameter 'timeInForce' sent when not required.")
    name = sent.get("newClientOrderId", "")
    if name and not CLIENT_ID.match(name):
        return BinanceFault(
            400,
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[.A-Z:/a-z0-9_-]{1,36}$'.",
        )
    mode = sent.get("selfTradePreventionMode", "")
    return (
        BinanceFault(400, -1130, "Invalid data sent for a parameter 'selfTradePreventionMode'.")
        if mode and mode not in STP
        else None
    )


def _precise(sent: Mapping[str, str], instrument: Instrument, qty: Decimal | None) -> BinanceFault | None:
    limit = 8  # decimals that Binance reads at all
    if qty is not None and -int(qty.normalize().as_tuple().exponent) > limit:
        return BinanceFault(400, -1111, "Parameter 'quantity' has too much precision.")
    price = sent.get("price", "")
    if price and -int(Decimal(price).normalize().as_tuple().exponent) > limit:
        return BinanceFault(400, -1111, f"Parameter 'price' has too much precision for {instrument.symbol}.")
    return None


def status_of(view: OrderView) -> str:
    """Binance's word for the state."""
    if view.state is OrderState.FILLED:
        return "FILLED"
    if view.state is OrderState.CANCELED:
        if view.cause is EndCause.SELF_TRADE:
            return "EXPIRED_IN_MATCH"
        return "EXPIRED" if view.cause in EXPIRED_CAUSES else "CANCELED"
    return "PARTIALLY_FILLED" if view.filled_qty else "NEW"


def type_of(view: OrderView, *, is_future: bool) -> str:
    """Binance's word for the type."""
    if view.order.order_type is not OrderType.LIMIT:
        return "MARKET"
    return "LIMIT_MAKER" if view.order.time_in_force is TimeInForce.POST_ONLY and not is_future else "LIMIT"


def tif_of(view: OrderView, *, is_future: bool) -> str:
    """Binance's word for the time in force; market orders and spot's post-only print GTC."""
    if view.order.order_type is not OrderType.LIMIT or (
        view.order.time_in_force is TimeInForce.POST_ONLY and not is_future
    ):
        return "GTC"
    return TIF_NAMES[view.order.time_in_force]


def fault_of(refused: Refused, *, is_future: bool) -> BinanceFault:
    """What Binance answers when the exchange refuses an order or a setting."""
    table = FUTURE_FAULTS if is_future else SPOT_FAULTS
    code, message = table.get(refused.reason, (-2010, f"Order would be rejected. {refused.detail}".rstrip()))
    return BinanceFault(400, code, message)


SPOT_FAULTS: dict[RefusalReason, tuple[int, str]] = {
    RefusalReason.UNKNOWN_INSTRUMENT: (-1121, "Invalid symbol."),
    RefusalReason.NOT_TRADING: (-2010, "Market is closed."),
    RefusalReason.BAD_FORM: (-1106, "Parameter sent when not required."),
    RefusalReason.OFF_TICK: (-1013, "Filter failure: PRICE_FILTER"),
    RefusalReason.OFF_LOT: (-1013, "Filter failure: LOT_SIZE"),
    RefusalReason.QTY_TOO_SMALL: (-1013, "Filter failure: LOT_SIZE"),
    RefusalReason.QTY_TOO_LARGE: (-1013, "Filter failure: LOT_SIZE"),
    RefusalReason.NOTIONAL_TOO_SMALL: (-1013, "Filter failure: NOTIONAL"),
    RefusalReason.NOTIONAL_TOO_LARGE: (-1013, "Filter failure: NOTIONAL"),
    RefusalReason.PRICE_BAND: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    RefusalReason.TOO_MANY_OPEN_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RefusalReason.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    RefusalReason.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    RefusalReason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    RefusalReason.NO_LIQUIDITY: (-2010, "Market order was rejected: no liquidity."),
    RefusalReason.SCRIPTED: (-2010, "This action is disabled on this account."),
    RefusalReason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    RefusalReason.ALREADY_ENDED: (-2011, "Unknown order sent."),
}

FUTURE_FAULTS: dict[RefusalReason, tuple[int, str]] = {
    **SPOT_FAULTS,
    RefusalReason.NOT_TRADING: (-4108, "This symbol is not open for trading."),
    RefusalReason.OFF_TICK: (-4014, "Price not increased by tick size."),
    RefusalReason.OFF_LOT: (-4023, "Qty not increased by step size."),
    RefusalReason.QTY_TOO_SMALL: (-4003, "Quantity less than or equal to zero."),
    RefusalReason.QTY_TOO_LARGE: (-4005, "Quantity greater than max quantity."),
    RefusalReason.NOTIONAL_TOO_SMALL: (
        -4164,
        "Order's notional must be no smaller than the minimum (unless you choose reduce only).",
    ),
    RefusalReason.NOTIONAL_TOO_LARGE: (-2027, "Exceeded the maximum allowable position at current leverage."),
    RefusalReason.PRICE_BAND: (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    RefusalReason.TOO_MANY_OPEN_ORDERS: (-2025, "Reach max open order limit."),
    RefusalReason.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    RefusalReason.INSUFFICIENT_BALANCE: (-2018, "Balance is insufficient."),
    RefusalReason.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
    RefusalReason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RefusalReason.WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    RefusalReason.NO_CHANGE: (-4046, "No need to change margin type."),
    RefusalReason.HAS_OPEN_ORDERS: (-4047, "Margin type cannot be changed if there exists open orders."),
    RefusalReason.HAS_POSITION: (-4048, "Margin type cannot be changed if there exists position."),
    RefusalReason.BAD_LEVERAGE: (-4028, "Leverage is not valid."),
    RefusalReason.MULTI_ASSET: (-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."),
}
