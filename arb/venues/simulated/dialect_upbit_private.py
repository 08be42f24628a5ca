"""Upbit's private messages, server side: orders in, order objects and private frames out.

Owns: the field rules of POST /v1/orders, the shape of an order object, and the translation of refusals to error names.
Never: decides whether an order is legal for the account: that is the exchange's.
Units: amounts Decimal; `created_at` Korean time; `timestamp` UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

import attrs

from arb.domain.instrument import Instrument
from arb.domain.order import Liquidity, OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.dialect_upbit_public import KST, Row
from arb.venues.simulated.facts import (
    ZERO,
    BalanceChanged,
    EndCause,
    Executed,
    NewOrder,
    OrderChanged,
    OrderView,
    RefusalReason,
    Refused,
    SelfTrade,
)

LOT = Decimal("0.00000001")
MAX_KRW = Decimal(1_000_000_000)
TYPE_NAMES = {
    OrderType.LIMIT: "limit",
    OrderType.MARKET: "market",
    OrderType.MARKET_BY_QUOTE: "price",
    OrderType.BEST: "best",
}
SMP = {
    "cancel_maker": SelfTrade.CANCEL_MAKER,
    "cancel_taker": SelfTrade.CANCEL_TAKER,
    "reduce": SelfTrade.CANCEL_BOTH,
    "none": SelfTrade.NONE,
}
SMP_NAMES = {made: name for name, made in SMP.items()}
TIF = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK, "post_only": TimeInForce.POST_ONLY}
TIF_NAMES = {made: name for name, made in TIF.items()}


@attrs.frozen
class UpbitFault:
    """An error answer of the Exchange API."""

    status: int
    name: str
    message: str


def trade_uuid(trade_id: int) -> str:
    """The uuid of an execution."""
    return f"7ade0000-0000-4000-9000-{trade_id:012x}"


def order_uuid(order_id: int) -> str:
    """The uuid of an order."""
    return f"0de50000-0000-4000-8000-{order_id:012x}"


def order_id_of(uuid: str) -> int | None:
    """The order behind a uuid; None: none of ours."""
    head, _, tail = uuid.rpartition("-")
    try:
        return int(tail, 16) if head == "0de50000-0000-4000-8000" else None
    except ValueError:
        return None


# --- orders in ------------------------------------------------------------------------------------


def parse_order(fields: Mapping[str, object], known: Mapping[str, Instrument]) -> NewOrder | UpbitFault:
    """Read the body of POST /v1/orders."""
    instrument = known.get(str(fields.get("market", "")))
    if instrument is None:
        return UpbitFault(
            404 if fields.get("market") else 400,
            "notfoundmarket" if fields.get("market") else "validation_error",
            "마켓을 찾을 수 없습니다.",
        )
    side = {"bid": Side.BUY, "ask": Side.SELL}.get(str(fields.get("side")))
    kind = str(fields.get("ord_type"))
    if side is None or kind not in TYPE_NAMES.values():
        return UpbitFault(400, "validation_error", "side 또는 ord_type이 올바르지 않습니다.")
    volume, price = _number(fields, "volume"), _number(fields, "price")
    if isinstance(volume, UpbitFault) or isinstance(price, UpbitFault):
        return UpbitFault(400, "invalid_parameter", "잘못된 파라미터")
    terms = _terms(fields, kind)
    if isinstance(terms, UpbitFault):
        return terms
    return _formed(instrument, side, kind, volume, price, terms, str(fields.get("identifier") or ""))


def _number(fields: Mapping[str, object], name: str) -> Decimal | UpbitFault | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = ZERO
    return found if found.is_finite() and found > 0 else UpbitFault(400, "invalid_parameter", name)


def _terms(fields: Mapping[str, object], kind: str) -> tuple[TimeInForce, SelfTrade] | UpbitFault:
    spelled = str(fields.get("time_in_force") or "")
    tif = TIF.get(spelled, TimeInForce.GTC)
    is_legal = not spelled or spelled in TIF
    if not is_legal or (kind in ("price", "market") and spelled) or (kind == "best" and spelled not in ("ioc", "fok")):
        return UpbitFault(400, "invalid_time_in_force", "time_in_force가 올바르지 않습니다.")
    smp = str(fields.get("smp_type") or "")
    if smp and smp not in SMP:
        return UpbitFault(400, "validation_error", "smp_type이 올바르지 않습니다.")
    if tif is TimeInForce.POST_ONLY:
        return (
            UpbitFault(400, "invalid_post_only", "post_only와 smp_type은 함께 쓸 수 없습니다.")
            if smp
            else (tif, SelfTrade.NONE)
        )
    return tif, SMP.get(smp, SelfTrade.CANCEL_MAKER)


def _formed(
    instrument: Instrument,
    side: Side,
    kind: str,
    volume: Decimal | None,
    price: Decimal | None,
    terms: tuple[TimeInForce, SelfTrade],
    identifier: str,
) -> NewOrder | UpbitFault:
    wants_total = kind == "price" or (kind == "best" and side is Side.BUY)
    has_right_fields = {
        "limit": volume is not None and price is not None,
        "price": volume is None and price is not None and side is Side.BUY,
        "market": volume is not None and price is None and side is Side.SELL,
        "best": (volume is None and price is not None) if side is Side.BUY else (volume is not None and price is None),
    }[kind]
    if not has_right_fields:
        return UpbitFault(400, f"create_{_word(side)}_error", "주문 파라미터가 올바르지 않습니다.")
    made = {name: one for one, name in TYPE_NAMES.items()}[kind]
    return NewOrder(
        client_order_id=identifier,
        instrument=instrument.id,
        side=side,
        order_type=made,
        time_in_force=TimeInForce.IOC if kind in ("price", "market") else terms[0],
        qty=None if volume is None else volume // LOT * LOT,
        quote_qty=price if wants_total else None,
        price=price if kind == "limit" else None,
        self_trade=terms[1],
    )


def _word(side: Side) -> str:
    return "bid" if side is Side.BUY else "ask"


def fault_of(refused: Refused, side: Side, quote: str) -> UpbitFault:
    """What Upbit answers when the exchange refuses an order."""
    word = _word(side)
    names: dict[RefusalReason, tuple[int, str, str]] = {
        RefusalReason.UNKNOWN_INSTRUMENT: (404, "notfoundmarket", "마켓을 찾을 수 없습니다."),
        RefusalReason.NOT_TRADING: (403, "market_offline", "점검 중인 마켓입니다."),
        RefusalReason.OFF_TICK: (
            400,
            f"invalid_price_{word}",
            "주문가격 단위를 잘못 입력하셨습니다. 확인 후 시도해주세요.",
        ),
        RefusalReason.NOTIONAL_TOO_SMALL: (400, f"under_min_total_{word}", "최소주문금액 이상으로 주문해주세요."),
        RefusalReason.NOTIONAL_TOO_LARGE: (400, f"over_krw_funds_{word}", "최대주문금액 이하로 주문해주세요."),
        RefusalReason.DUPLICATE_CLIENT_ID: (400, "duplicated_identifier", "이미 사용된 identifier입니다."),
        RefusalReason.INSUFFICIENT_BALANCE: (
            400,
            f"insufficient_funds_{word}",
            f"주문 가능한 금액({quote})이 부족합니다.",
        ),
        RefusalReason.UNKNOWN_ORDER: (404, "order_not_found", "주문을 찾지 못했습니다."),
        RefusalReason.ALREADY_ENDED: (404, "order_not_found", "이미 체결되었거나 취소된 주문입니다."),
    }
    status, name, message = names.get(
        refused.reason, (400, f"create_{word}_error", f"주문 생성에 실패했습니다. {refused.detail}".rstrip())
    )
    return UpbitFault(status, name, message)


# --- orders out -----------------------------------------------------------------------------------


def state_name(view: OrderView) -> str:
    """`wait`, `done` or `cancel`."""
    return {OrderState.FILLED: "done", OrderState.CANCELED: "cancel"}.get(view.state, "wait")


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def _fees(view: OrderView) -> Decimal:
    return sum((fee.amount for fee in view.paid_fees), ZERO)


def order_price(view: OrderView) -> Decimal | None:
    """Limit price, or the total of a buy by total."""
    return view.order.price if view.order.price is not None else view.order.quote_qty


def order_row(view: OrderView) -> Row:
    """An order object as REST prints it: null fields are left out."""
    order = view.order
    paid = _fees(view)
    row: Row = {
        "market": order.instrument.partition(":")[2],
        "uuid": order_uuid(view.order_id),
        "side": _word(order.side),
        "ord_type": TYPE_NAMES[order.order_type],
        "price": None if order_price(view) is None else _plain(order_price(view) or ZERO),
        "state": state_name(view),
        "created_at": datetime.fromtimestamp(view.created_ns // 1_000_000_000, KST).isoformat(),
        "volume": None if order.qty is None else _plain(order.qty),
        "remaining_volume": None if view.remaining_qty is None else _plain(view.remaining_qty),
        "executed_volume": _plain(view.filled_qty),
        "reserved_fee": _plain(paid + view.locked_fee),
        "remaining_fee": _plain(view.locked_fee),
        "paid_fee": _plain(paid),
        "locked": _plain(view.locked),
        "trades_count": len(view.trade_ids),
        "time_in_force": TIF_NAMES.get(order.time_in_force)
        if order.order_type in (OrderType.LIMIT, OrderType.BEST)
        else None,
        "identifier": order.client_order_id or None,
        "smp_type": SMP_NAMES[order.self_trade],
        "prevented_volume": _plain(view.prevented_qty),
        "prevented_locked": "0",
    }
    return {name: value for name, value in row.items() if value is not None}


def trade_rows(view: OrderView, executions: tuple[Executed, ...]) -> list[Row]:
    """The `trades` of GET /v1/order."""
    return [
        {
            "market": view.order.instrument.partition(":")[2],
            "uuid": trade_uuid(one.trade_id),
            "price": _plain(one.price),
            "volume": _plain(one.qty),
            "funds": _plain(one.price * one.qty),
            "trend": "up" if view.order.side is Side.BUY else "down",
            "created_at": datetime.fromtimestamp(one.at_ns / 1e9, KST).isoformat(timespec="milliseconds"),
            "side": _word(view.order.side),
        }
        for one in executions
    ]


def _frame_state(fact: OrderChanged | Executed) -> str:
    if isinstance(fact, Executed):
        return "trade"
    if fact.view.cause is EndCause.SELF_TRADE and fact.view.state is OrderState.OPEN:
        return "prevented"
    return state_name(fact.view)


def order_frame(fact: OrderChanged | Executed) -> Row:
    """A myOrder payload; nulls are sent."""
    view, order = fact.view, fact.view.order
    execution = fact if isinstance(fact, Executed) else None
    paid = _fees(view)
    return {
        "type": "myOrder",
        "code": order.instrument.partition(":")[2],
        "uuid": order_uuid(view.order_id),
        "ask_bid": _word(order.side).upper(),
        "order_type": TYPE_NAMES[order.order_type],
        "state": _frame_state(fact),
        "trade_uuid": trade_uuid(execution.trade_id) if execution else None,
        "price": execution.price if execution else order_price(view),
        "avg_price": view.avg_price.quantize(LOT) if view.filled_qty else ZERO,
        "volume": execution.qty if execution else order.qty,
        "remaining_volume": view.remaining_qty,
        "executed_volume": view.filled_qty,
        "trades_count": len(view.trade_ids),
        "reserved_fee": paid + view.locked_fee,
        "remaining_fee": view.locked_fee,
        "paid_fee": paid,
        "locked": view.locked,
        "executed_funds": view.filled_quote,
        "time_in_force": TIF_NAMES.get(order.time_in_force)
        if order.order_type in (OrderType.LIMIT, OrderType.BEST)
        else None,
        "trade_fee": execution.fee.amount if execution else None,
        "is_maker": (execution.liquidity is Liquidity.MAKER) if execution else None,
        "identifier": order.client_order_id or None,
        "smp_type": SMP_NAMES[order.self_trade],
        "prevented_volume": view.prevented_qty,
        "prevented_locked": ZERO,
        "trade_timestamp": execution.at_ns // 1_000_000 if execution else None,
        "order_timestamp": view.created_ns // 1_000_000,
        "timestamp": fact.at_ns // 1_000_000,
        "stream_type": "REALTIME",
    }


def asset_frame(fact: BalanceChanged) -> Row:
    """A myAsset payload: the assets that changed."""
    assets: list[Row] = [
        {"currency": str(one.asset), "balance": one.free, "locked": one.locked} for one in fact.balances
    ]
    return {
        "type": "myAsset",
        "asset_uuid": f"a55e0000-0000-4000-8000-{fact.id:012x}",
        "assets": assets,
        "asset_timestamp": fact.at_ns // 1_000_000,
        "timestamp": fact.at_ns // 1_000_000,
        "stream_type": "REALTIME",
    }
