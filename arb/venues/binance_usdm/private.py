"""Frames of Binance USD-M futures' private stream.

Owns: `ORDER_TRADE_UPDATE`, `ACCOUNT_UPDATE` and what the other events ask for.
Never: keeps state between frames; what the stream tells by halves becomes `Reread`.
Units: amounts Decimal from text; `venue_ns` UTC; a short position is negative.

`{"e":"ORDER_TRADE_UPDATE","E":…,"T":…,"o":{"s":"BTCUSDT","c":"…","x":"TRADE","X":"FILLED","l":"0.1","L":"9910",…}}`
`{"e":"ACCOUNT_UPDATE",…,"a":{"m":"ORDER","B":[{"a":"USDT","wb":"…","cw":"…"}],"P":[{"s":"BTCUSDT","pa":"-1",…}]}}`
Bare, or inside `{"stream","data"}`. A wallet balance includes isolated margin: free is the cross wallet, from which the
margin of resting orders is not yet taken off.
"""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, VenueOrderId, instrument_id
from arb.domain.order import Balance, OrderUpdate, Position
from arb.venues.answers import decoded, ns_of, shown
from arb.venues.binance_errors import BinanceErrorBody
from arb.venues.binance_orders import SIDES, STATES, stream_fill
from arb.venues.exact import check_amounts
from arb.venues.spec import AccountInbound, Alive, BalancesSeen, Fault, Reconnect, Reread

_QUIET_EVENTS: Final = frozenset(
    ("TRADE_LITE", "ALGO_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT", "STRATEGY_UPDATE", "GRID_UPDATE")
)
_LEDGER_CAUSES: Final = {
    "FUNDING_FEE": "funding booked",
    "DEPOSIT": "money came",
    "WITHDRAW": "money left",
    "ASSET_TRANSFER": "money moved",
    "ADMIN_DEPOSIT": "money came",
    "ADMIN_WITHDRAW": "money left",
}
"""Causes whose booking stands in the income ledger only."""
_FILLING: Final = frozenset(("TRADE", "CALCULATED"))
"""Execution types that trade; `CALCULATED` is a liquidation."""


class UsdmFrame(msgspec.Struct):
    """What a private frame is: the bare event or an envelope."""

    e: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    error: BinanceErrorBody | None = None


class UsdmReport(msgspec.Struct):
    """The `o` of an `ORDER_TRADE_UPDATE`, under names one can read."""

    symbol: str = msgspec.field(name="s")
    name: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: int = msgspec.field(name="i")
    filled_qty: Decimal = msgspec.field(name="z")
    time: int = msgspec.field(name="T")
    avg_price: Decimal | None = msgspec.field(name="ap", default=None)
    last_qty: Decimal = msgspec.field(name="l", default=Decimal(0))
    last_price: Decimal = msgspec.field(name="L", default=Decimal(0))
    fee: Decimal | None = msgspec.field(name="n", default=None)
    fee_asset: str | None = msgspec.field(name="N", default=None)
    trade_id: int = msgspec.field(name="t", default=0)
    is_maker: bool | None = msgspec.field(name="m", default=None)
    expiry_reason: str | int | None = msgspec.field(name="er", default=None)

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmOrderEvent(msgspec.Struct):
    """An `ORDER_TRADE_UPDATE`."""

    o: UsdmReport


class UsdmHolding(msgspec.Struct):
    """One asset of an `ACCOUNT_UPDATE`."""

    asset: str = msgspec.field(name="a")
    wallet: Decimal = msgspec.field(name="wb")
    cross: Decimal = msgspec.field(name="cw")

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmHeld(msgspec.Struct):
    """One position of an `ACCOUNT_UPDATE`."""

    symbol: str = msgspec.field(name="s")
    amount: Decimal = msgspec.field(name="pa")
    entry_price: Decimal = msgspec.field(name="ep")
    margin_type: str | None = msgspec.field(name="mt", default=None)
    position_side: str = msgspec.field(name="ps", default="BOTH")

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmChange(msgspec.Struct):
    """The `a` of an `ACCOUNT_UPDATE`."""

    cause: str = msgspec.field(name="m", default="")
    holdings: list[UsdmHolding] = msgspec.field(name="B", default_factory=list)
    positions: list[UsdmHeld] = msgspec.field(name="P", default_factory=list)


class UsdmAccountEvent(msgspec.Struct):
    """An `ACCOUNT_UPDATE`."""

    a: UsdmChange


_FRAME: Final = msgspec.json.Decoder(UsdmFrame)
_ORDER_EVENT: Final = msgspec.json.Decoder(UsdmOrderEvent)
_ACCOUNT_EVENT: Final = msgspec.json.Decoder(UsdmAccountEvent)


def frame_facts(frame: bytes, instruments: Set[InstrumentId], received_ns: int) -> tuple[AccountInbound, ...]:
    """What a frame says of these instruments and of the account.

    Raises:
        ProtocolError: it cannot be understood.
    """
    outer = decoded("binance_usdm", frame, _FRAME)
    if outer.e is not None:
        return _event_facts(outer.e, frame, instruments, received_ns)
    if event := bytes(outer.data):
        return _event_facts(decoded("binance_usdm", event, _FRAME).e, event, instruments, received_ns)
    if outer.error is not None:
        detail = f"{outer.error.code} {outer.error.msg}"
        return (Fault(detail), Reconnect(detail))
    raise ProtocolError("binance_usdm", f"unexpected frame: {shown(frame)}")


def _event_facts(
    kind: str | None, event: bytes, instruments: Set[InstrumentId], received_ns: int
) -> tuple[AccountInbound, ...]:
    match kind:
        case "ORDER_TRADE_UPDATE":
            return _report_facts(decoded("binance_usdm", event, _ORDER_EVENT).o, instruments, received_ns)
        case "ACCOUNT_UPDATE":
            return _change_facts(decoded("binance_usdm", event, _ACCOUNT_EVENT).a, instruments)
        case "MARGIN_CALL":
            return (Reread("margin call"),)
        case "ACCOUNT_CONFIG_UPDATE":
            return (Reread("leverage or margin mode changed"),)
        case "listenKeyExpired":
            return (Reconnect("listen key expired"),)
    if kind in _QUIET_EVENTS:
        return (Alive(),)
    raise ProtocolError("binance_usdm", f"unexpected event: {shown(event)}")


def _report_facts(report: UsdmReport, instruments: Set[InstrumentId], received_ns: int) -> tuple[AccountInbound, ...]:
    if report.status not in STATES or report.side not in SIDES:
        raise ProtocolError("binance_usdm", f"order {report.order_id}: {report.status!r}, side {report.side!r}")
    instrument = instrument_id("binance_usdm", report.symbol)
    if instrument not in instruments:
        return (Alive(),)
    update = OrderUpdate(
        client_order_id=ClientOrderId(report.name),
        instrument=instrument,
        state=STATES[report.status],
        filled_qty=report.filled_qty,
        avg_price=report.avg_price or None,
        venue_order_id=VenueOrderId(str(report.order_id)),
        reason=_reason(report),
        received_ns=received_ns,
        venue_ns=ns_of(report.time),
    )
    is_fill = report.execution in _FILLING and report.last_qty > 0 and report.trade_id > 0
    return (stream_fill(report, update), update) if is_fill else (update,)


def _reason(report: UsdmReport) -> str:
    return "" if report.expiry_reason in (None, "", "0", 0) else f"expired: {report.expiry_reason}"


def _change_facts(change: UsdmChange, instruments: Set[InstrumentId]) -> tuple[AccountInbound, ...]:
    facts: list[AccountInbound] = []
    if change.holdings:
        facts.append(BalancesSeen(balances=tuple(map(_balance, change.holdings)), is_full=False))
    for held in change.positions:
        if instrument_id("binance_usdm", held.symbol) in instruments:
            facts.extend(_position_facts(held))
    if change.cause in _LEDGER_CAUSES:
        facts.append(Reread(_LEDGER_CAUSES[change.cause]))
    return tuple(facts) or (Alive(),)


def _balance(held: UsdmHolding) -> Balance:
    return wallet_balance(held.asset, held.wallet, held.cross)


def wallet_balance(asset: str, wallet: Decimal, available: Decimal) -> Balance:
    """A wallet as a balance: what is available beyond it (unrealised profit) is not ours to spend."""
    free = max(min(available, wallet), Decimal(0))
    return Balance(AssetId(asset), free, wallet - free)


def _position_facts(held: UsdmHeld) -> tuple[AccountInbound, ...]:
    if held.position_side != "BOTH":
        return (Fault(f"{held.symbol} is held in hedge mode ({held.position_side})"),) if held.amount else ()
    position = Position(
        instrument=instrument_id("binance_usdm", held.symbol),
        qty=held.amount,
        entry_price=held.entry_price,
        mark_price=None,
        liquidation_price=None,
        is_isolated=None if held.margin_type is None else held.margin_type == "isolated",
    )
    return (position,)
