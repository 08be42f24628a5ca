"""Binance's account messages as exact normalised events: orders, fills, balances, positions.

Owns: the reading of user streams and of account and order bodies of both markets, for `arb inspect` alone.
Never: takes part in trading (that is each venue's `account` and `orders`).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from arb.venues.inspection import Row, event, moment, pick, rows, status, table, word

_SIDES: Final = {"BUY": "buy", "SELL": "sell"}
_NO_TRADE: Final = ("-1", "0")


def private_stream(venue: str, kind: str, fields: Row) -> tuple[Row, ...] | None:
    """Events of a user stream message; None when it is no such message."""
    match kind:
        case "executionReport":
            return tuple(_report(venue, fields, moment(fields, "E")))
        case "ORDER_TRADE_UPDATE":
            return tuple(_report(venue, table(fields["o"]), moment(fields, "E")))
        case "TRADE_LITE":
            return (_stream_fill(venue, fields, moment(fields, "T")),)
        case "outboundAccountPosition":
            return tuple(_wallet(venue, table(row), moment(fields, "E")) for row in rows(fields.get("B")))
        case "balanceUpdate":
            asset, delta = word(fields, "a"), pick(fields, "d")
            return (event(venue, "balance", None, moment(fields, "E"), asset=asset, change=delta),)
        case "ACCOUNT_UPDATE":
            return tuple(_account_update(venue, fields))
        case _:
            return None


def _wallet(venue: str, row: Row, ts_ms: int | None) -> Row:
    return event(venue, "balance", None, ts_ms, asset=word(row, "a"), free=pick(row, "f"), locked=pick(row, "l"))


def _account_update(venue: str, fields: Row) -> Iterator[Row]:
    account, at_ms = table(fields["a"]), moment(fields, "E")
    for part in rows(account.get("B")):
        row = table(part)
        yield event(
            venue,
            "balance",
            None,
            at_ms,
            asset=word(row, "a"),
            total=pick(row, "wb"),
            cross=pick(row, "cw"),
            change=pick(row, "bc"),
            reason=word(account, "m"),
        )
    for part in rows(account.get("P")):
        row = table(part)
        yield event(
            venue,
            "position",
            word(row, "s"),
            at_ms,
            size=pick(row, "pa"),
            entry_price=pick(row, "ep"),
            break_even_price=pick(row, "bep"),
            unrealised_pnl=pick(row, "up"),
            margin=word(row, "mt"),
            position_side=word(row, "ps"),
        )


def _report(venue: str, order: Row, ts_ms: int | None) -> Iterator[Row]:
    """An order's state; an execution follows it when one is in the message."""
    is_cancel = order.get("x") == "CANCELED" and bool(order.get("C"))
    yield event(
        venue,
        "order",
        word(order, "s"),
        ts_ms,
        order_id=word(order, "i"),
        client_order_id=word(order, "C" if is_cancel else "c"),
        side=_SIDES.get(str(order.get("S"))),
        type=word(order, "o"),
        time_in_force=word(order, "f"),
        state=word(order, "X"),
        execution=word(order, "x"),
        price=pick(order, "p"),
        size=pick(order, "q"),
        filled=pick(order, "z"),
        avg_price=pick(order, "ap"),
        quote_filled=pick(order, "Z"),
        reason=word(order, "r", "er", "eR"),
    )
    if order.get("x") in ("TRADE", "CALCULATED") and Decimal(pick(order, "l") or 0):
        yield _stream_fill(venue, order, moment(order, "T") or ts_ms)


def _stream_fill(venue: str, order: Row, ts_ms: int | None) -> Row:
    is_maker = order.get("m")
    trade_id = word(order, "t")
    return event(
        venue,
        "fill",
        word(order, "s"),
        ts_ms,
        price=pick(order, "L"),
        size=pick(order, "l"),
        side=_SIDES.get(str(order.get("S"))),
        trade_id=None if trade_id in _NO_TRADE else trade_id,
        order_id=word(order, "i"),
        client_order_id=word(order, "c"),
        fee=pick(order, "n"),
        fee_asset=word(order, "N"),
        liquidity=None if is_maker is None else "maker" if is_maker else "taker",
    )


# --- REST bodies -----------------------------------------------------------------------------------------------------


def account_rows(venue: str, fields: Row) -> tuple[Row, ...] | None:
    """Balances and positions of an account body or of one of its rows; None when it is neither."""
    names = fields.keys()
    if isinstance(fields.get("balances"), list):
        return tuple(_asset(venue, table(row)) for row in rows(fields["balances"]))
    if isinstance(fields.get("assets"), list) and "totalWalletBalance" in names:
        assets = tuple(_asset(venue, table(row)) for row in rows(fields["assets"]))
        return assets + tuple(_position(venue, table(row)) for row in rows(fields.get("positions")))
    if {"symbol", "positionAmt"} <= names:
        return (_position(venue, fields),)
    if "asset" in names and names & {"free", "balance", "walletBalance"}:
        return (_asset(venue, fields),)
    return None


def _asset(venue: str, row: Row) -> Row:
    return event(
        venue,
        "balance",
        None,
        moment(row, "updateTime") or None,
        asset=word(row, "asset"),
        free=pick(row, "free", "availableBalance"),
        locked=pick(row, "locked"),
        total=pick(row, "walletBalance", "balance"),
    )


def _position(venue: str, row: Row) -> Row:
    return event(
        venue,
        "position",
        word(row, "symbol"),
        moment(row, "updateTime") or None,
        size=pick(row, "positionAmt"),
        entry_price=pick(row, "entryPrice"),
        break_even_price=pick(row, "breakEvenPrice"),
        mark_price=pick(row, "markPrice"),
        liquidation_price=pick(row, "liquidationPrice"),
        unrealised_pnl=pick(row, "unRealizedProfit", "unrealizedProfit"),
        leverage=pick(row, "leverage"),
        position_side=word(row, "positionSide"),
    )


_NESTED: Final = ("cancelResponse", "newOrderResponse", "amendedOrder")


def order_rows(venue: str, fields: Row) -> tuple[Row, ...] | None:
    """Orders and fills of an order body, an order list, a fill row; None when it is none of them."""
    names = fields.keys()
    if "commission" in names and names & {"qty", "price"} and names & {"id", "allocationId"}:
        return (_rest_fill(venue, fields),)
    if "orderReports" in names or ("orderListId" in names and "orders" in names):
        reports = tuple(item for part in rows(fields.get("orderReports")) for item in _order(venue, table(part)))
        return (_list(venue, fields), *reports)
    if names & set(_NESTED):
        found = (fields[name] for name in _NESTED if isinstance(fields.get(name), dict))
        return tuple(item for part in found for item in _nested(venue, table(part)))
    if "orderId" in names and names & {"clientOrderId", "origClientOrderId", "executedQty", "preventedQty"}:
        return tuple(_order(venue, fields))
    if "algoId" in names and "clientAlgoId" in names:
        return (status(venue, "algo_order", fields, word(fields, "symbol"), moment(fields, "updateTime")),)
    return None


def _nested(venue: str, part: Row) -> Iterator[Row]:
    if "orderId" in part:
        yield from _order(venue, part)
    elif "code" in part:
        yield event(venue, "error", None, None, code=word(part, "code"), message=word(part, "msg"))


def _list(venue: str, fields: Row) -> Row:
    at_ms = moment(fields, "transactionTime")
    own = {name: value for name, value in fields.items() if name != "orderReports"}
    return status(venue, "order_list", own, word(fields, "symbol"), at_ms)


def _order(venue: str, row: Row) -> Iterator[Row]:
    at_ms = moment(row, "updateTime", "transactTime", "time")
    yield event(
        venue,
        "order",
        word(row, "symbol"),
        at_ms,
        order_id=word(row, "orderId"),
        client_order_id=word(row, "origClientOrderId", "clientOrderId"),
        side=_SIDES.get(str(row.get("side"))),
        type=word(row, "type"),
        time_in_force=word(row, "timeInForce"),
        state=word(row, "status"),
        price=pick(row, "price"),
        size=pick(row, "origQty", "qty"),
        filled=pick(row, "executedQty"),
        avg_price=pick(row, "avgPrice"),
        quote_filled=pick(row, "cummulativeQuoteQty", "cumQuote"),
    )
    for part in rows(row.get("fills")):
        fill = table(part)
        yield event(
            venue,
            "fill",
            word(row, "symbol"),
            at_ms,
            price=pick(fill, "price"),
            size=pick(fill, "qty"),
            side=_SIDES.get(str(row.get("side"))),
            trade_id=word(fill, "tradeId"),
            order_id=word(row, "orderId"),
            client_order_id=word(row, "clientOrderId"),
            fee=pick(fill, "commission"),
            fee_asset=word(fill, "commissionAsset"),
        )


def _rest_fill(venue: str, row: Row) -> Row:
    is_buy = row.get("isBuyer", row.get("buyer"))
    is_maker = row.get("isMaker", row.get("maker"))
    return event(
        venue,
        "fill",
        word(row, "symbol"),
        moment(row, "time"),
        price=pick(row, "price"),
        size=pick(row, "qty"),
        side=_SIDES.get(str(row.get("side"))) or ("buy" if is_buy else "sell"),
        trade_id=word(row, "id", "allocationId"),
        order_id=word(row, "orderId"),
        fee=pick(row, "commission"),
        fee_asset=word(row, "commissionAsset"),
        liquidity=None if is_maker is None else "maker" if is_maker else "taker",
    )
