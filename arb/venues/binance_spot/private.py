"""Frames of Binance spot's private stream.

Owns: `executionReport`, `outboundAccountPosition`, and what the other events ask for.
Never: keeps state between frames; what the stream tells by halves becomes `Reread`.
Units: amounts Decimal from text; `venue_ns` UTC.

Events come wrapped, `{"subscriptionId":0,"event":{"e":"executionReport",…}}`; bare ones and the `{"stream","data"}` of
older streams are understood too. In a cancel's report our name stands in `C`, elsewhere in `c`. Fills are unique by
(symbol, `t`); their fee is null until there is one.
"""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, VenueOrderId, instrument_id
from arb.domain.order import Balance, OrderUpdate
from arb.venues.answers import decoded, ns_of, shown
from arb.venues.binance_errors import BinanceErrorBody
from arb.venues.binance_orders import SIDES, STATES, stream_fill
from arb.venues.exact import check_amounts
from arb.venues.spec import AccountInbound, Alive, BalancesSeen, Fault, Reconnect, Reread

_QUIET_EVENTS: Final = frozenset(("listStatus", "externalLockUpdate"))


class SpotFrame(msgspec.Struct):
    """What a private frame is: an envelope, an answer to a request, or the bare event."""

    event: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    status: int | None = None
    error: BinanceErrorBody | None = None
    e: str | None = None


class SpotReport(msgspec.Struct):
    """An `executionReport`, under names one can read."""

    symbol: str = msgspec.field(name="s")
    name: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: int = msgspec.field(name="i")
    time: int = msgspec.field(name="T")
    filled_qty: Decimal = msgspec.field(name="z")
    original_name: str | None = msgspec.field(name="C", default=None)
    reject_reason: str | None = msgspec.field(name="r", default=None)
    expiry_reason: str | None = msgspec.field(name="eR", default=None)
    last_qty: Decimal = msgspec.field(name="l", default=Decimal(0))
    last_price: Decimal = msgspec.field(name="L", default=Decimal(0))
    filled_quote: Decimal | None = msgspec.field(name="Z", default=None)
    fee: Decimal | None = msgspec.field(name="n", default=None)
    fee_asset: str | None = msgspec.field(name="N", default=None)
    trade_id: int = msgspec.field(name="t", default=-1)
    is_maker: bool | None = msgspec.field(name="m", default=None)

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotHolding(msgspec.Struct):
    """One asset of `outboundAccountPosition`."""

    asset: str = msgspec.field(name="a")
    free: Decimal = msgspec.field(name="f")
    locked: Decimal = msgspec.field(name="l")

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotPosition(msgspec.Struct):
    """An `outboundAccountPosition`: the assets that may have changed."""

    holdings: list[SpotHolding] = msgspec.field(name="B")


_FRAME: Final = msgspec.json.Decoder(SpotFrame)
_REPORT: Final = msgspec.json.Decoder(SpotReport)
_POSITION: Final = msgspec.json.Decoder(SpotPosition)


def frame_facts(frame: bytes, instruments: Set[InstrumentId], received_ns: int) -> tuple[AccountInbound, ...]:
    """What a frame says of these instruments and of the account.

    Raises:
        ProtocolError: it cannot be understood.
    """
    outer = decoded("binance_spot", frame, _FRAME)
    if outer.e is not None:
        return _event_facts(outer.e, frame, instruments, received_ns)
    if event := bytes(outer.event) or bytes(outer.data):
        return _event_facts(decoded("binance_spot", event, _FRAME).e, event, instruments, received_ns)
    if outer.status == 200:
        return (Alive(),)
    if outer.error is not None:
        detail = f"{outer.error.code} {outer.error.msg}"
        return (Fault(detail), Reconnect(detail))
    raise ProtocolError("binance_spot", f"unexpected frame: {shown(frame)}")


def _event_facts(
    kind: str | None, event: bytes, instruments: Set[InstrumentId], received_ns: int
) -> tuple[AccountInbound, ...]:
    match kind:
        case "executionReport":
            return _report_facts(decoded("binance_spot", event, _REPORT), instruments, received_ns)
        case "outboundAccountPosition":
            held = decoded("binance_spot", event, _POSITION).holdings
            balances = tuple(Balance(AssetId(row.asset), row.free, row.locked) for row in held)
            return (BalancesSeen(balances=balances, is_full=False),)
        case "balanceUpdate":
            return (Reread("deposit, withdrawal or transfer"),)
        case "eventStreamTerminated" | "serverShutdown":
            return (Reconnect(kind),)
    if kind in _QUIET_EVENTS:
        return (Alive(),)
    raise ProtocolError("binance_spot", f"unexpected event: {shown(event)}")


def _report_facts(report: SpotReport, instruments: Set[InstrumentId], received_ns: int) -> tuple[AccountInbound, ...]:
    if report.status not in STATES or report.side not in SIDES:
        raise ProtocolError("binance_spot", f"order {report.order_id}: {report.status!r}, side {report.side!r}")
    instrument = instrument_id("binance_spot", report.symbol)
    if instrument not in instruments:
        return (Alive(),)
    update = OrderUpdate(
        client_order_id=_known_name(report),
        instrument=instrument,
        state=STATES[report.status],
        filled_qty=report.filled_qty,
        avg_price=_average(report),
        venue_order_id=VenueOrderId(str(report.order_id)),
        reason=_reason(report),
        received_ns=received_ns,
        venue_ns=ns_of(report.time),
    )
    is_fill = report.execution != "TRADE_PREVENTION" and report.last_qty > 0 and report.trade_id > 0
    return (stream_fill(report, update), update) if is_fill else (update,)


def _known_name(report: SpotReport) -> ClientOrderId:
    if report.execution == "CANCELED" and report.original_name:
        return ClientOrderId(report.original_name)
    return ClientOrderId(report.name)


def _average(report: SpotReport) -> Decimal | None:
    if report.filled_quote is None or report.filled_quote <= 0 or report.filled_qty <= 0:
        return None
    return report.filled_quote / report.filled_qty


def _reason(report: SpotReport) -> str:
    if report.reject_reason not in (None, "", "NONE"):
        return f"rejected: {report.reject_reason}"
    return (report.expiry_reason or "").lower()
