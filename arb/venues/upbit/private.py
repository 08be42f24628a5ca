"""Frames of Upbit's private stream.

Owns: `myOrder` and `myAsset` frames in both spellings.
Never: keeps state between frames.
Units: amounts Decimal from text; `venue_ns` UTC.

`{"type":"myOrder","code":"KRW-BTC","uuid":"…","ask_bid":"BID","state":"trade","trade_uuid":"…","price":…,"volume":…,
"executed_volume":…,"trade_fee":…,"is_maker":false,"identifier":"…",…}` — while `state` is `trade`, price and volume are
those of the execution; nulls are sent. SIMPLE spells the same keys short. `trade_uuid` is the `uuid` of the REST trade:
an execution seen both ways has one trade id, with its fee here and possibly without there.
"""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId, TradeId, VenueOrderId, instrument_id
from arb.domain.order import Balance, Fill, Liquidity, OrderUpdate
from arb.venues.answers import decoded, ns_of, shown
from arb.venues.exact import check_amounts
from arb.venues.spec import AccountInbound, Alive, BalancesSeen, Fault, Reconnect
from arb.venues.upbit.errors import UpbitRefusalDetail
from arb.venues.upbit.orders import SIDES, STATES, known_name

_LONG_NAMES: Final = {
    "ty": "type",
    "cd": "code",
    "uid": "uuid",
    "ab": "ask_bid",
    "s": "state",
    "tuid": "trade_uuid",
    "p": "price",
    "ap": "avg_price",
    "v": "volume",
    "ev": "executed_volume",
    "tf": "trade_fee",
    "im": "is_maker",
    "id": "identifier",
    "ttms": "trade_timestamp",
    "tms": "timestamp",
    "ast": "assets",
    "asttms": "asset_timestamp",
}
"""SIMPLE spelling of the keys that are read."""

_LONG_HOLDING_NAMES: Final = {"cu": "currency", "b": "balance", "l": "locked"}


class UpbitFrameKind(msgspec.Struct):
    """What a frame is, whichever spelling it has."""

    type: str | None = None
    ty: str | None = None
    status: str | None = None
    error: UpbitRefusalDetail | None = None


class UpbitMyOrder(msgspec.Struct):
    """A `myOrder` frame."""

    code: str
    uuid: str
    ask_bid: str
    state: str
    executed_volume: Decimal
    timestamp: int
    trade_uuid: str | None = None
    price: Decimal | None = None
    avg_price: Decimal | None = None
    volume: Decimal | None = None
    trade_fee: Decimal | None = None
    is_maker: bool | None = None
    identifier: str | None = None
    trade_timestamp: int | None = None

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitHolding(msgspec.Struct):
    """One asset, on the stream and in GET /v1/accounts."""

    currency: str
    balance: Decimal
    locked: Decimal

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitMyAsset(msgspec.Struct):
    """A `myAsset` frame."""

    assets: list[UpbitHolding]


_KIND: Final = msgspec.json.Decoder(UpbitFrameKind)
_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MY_ORDER: Final = msgspec.json.Decoder(UpbitMyOrder)
_MY_ASSET: Final = msgspec.json.Decoder(UpbitMyAsset)
_RAW_LIST: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def frame_facts(frame: bytes, instruments: Set[InstrumentId], received_ns: int) -> tuple[AccountInbound, ...]:
    """What a frame says of these instruments and of the account.

    Raises:
        ProtocolError: it cannot be understood.
    """
    kind = decoded("upbit", frame, _KIND)
    if kind.error is not None:
        detail = f"{kind.error.name}: {kind.error.message or ''}"
        return (Fault(detail), Reconnect(detail))
    if kind.ty is not None:
        frame = _lengthened(frame)
    match kind.type or kind.ty:
        case "myOrder":
            return _order_facts(decoded("upbit", frame, _MY_ORDER), instruments, received_ns)
        case "myAsset":
            return (BalancesSeen(balances=held_balances(decoded("upbit", frame, _MY_ASSET).assets), is_full=False),)
        case None if kind.status is not None:
            return (Alive(),)
    return (Fault(f"unexpected frame: {shown(frame)}"),)


def _order_facts(order: UpbitMyOrder, instruments: Set[InstrumentId], received_ns: int) -> tuple[AccountInbound, ...]:
    if order.state not in STATES or order.ask_bid not in SIDES:
        raise ProtocolError("upbit", f"order {order.uuid} has state {order.state!r} and side {order.ask_bid!r}")
    instrument = instrument_id("upbit", order.code)
    if instrument not in instruments:
        return (Alive(),)
    update = OrderUpdate(
        client_order_id=known_name(order.identifier, order.uuid),
        instrument=instrument,
        state=STATES[order.state],
        filled_qty=order.executed_volume,
        avg_price=order.avg_price if order.executed_volume else None,
        venue_order_id=VenueOrderId(order.uuid),
        received_ns=received_ns,
        venue_ns=ns_of(order.timestamp),
    )
    return (_fill(order, update), update) if order.state == "trade" else (update,)


def held_balances(holdings: list[UpbitHolding]) -> tuple[Balance, ...]:
    """Holdings as balances."""
    return tuple(Balance(AssetId(held.currency), held.balance, held.locked) for held in holdings)


def _fill(order: UpbitMyOrder, update: OrderUpdate) -> Fill:
    if order.trade_uuid is None or order.price is None or order.volume is None:
        raise ProtocolError("upbit", f"order {order.uuid}: an execution without id, price or volume")
    quote_asset = AssetId(order.code.partition("-")[0])
    return Fill(
        instrument=update.instrument,
        trade_id=TradeId(order.trade_uuid),
        client_order_id=update.client_order_id,
        venue_order_id=update.venue_order_id,
        side=SIDES[order.ask_bid],
        qty=order.volume,
        price=order.price,
        fee=None if order.trade_fee is None else Fee(order.trade_fee, quote_asset),
        liquidity=None if order.is_maker is None else Liquidity.MAKER if order.is_maker else Liquidity.TAKER,
        received_ns=update.received_ns,
        venue_ns=update.venue_ns if order.trade_timestamp is None else ns_of(order.trade_timestamp),
    )


def _lengthened(frame: bytes) -> bytes:
    """The same frame in DEFAULT spelling, every number's digits untouched."""
    fields = {_LONG_NAMES[name]: raw for name, raw in decoded("upbit", frame, _RAW).items() if name in _LONG_NAMES}
    if "assets" not in fields:
        return msgspec.json.encode(fields)
    holdings = [
        {_LONG_HOLDING_NAMES[name]: raw for name, raw in holding.items() if name in _LONG_HOLDING_NAMES}
        for holding in decoded("upbit", bytes(fields["assets"]), _RAW_LIST)
    ]
    return msgspec.json.encode({**fields, "assets": holdings})
