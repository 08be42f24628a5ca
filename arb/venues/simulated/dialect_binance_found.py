"""Binance's orders over REST, server side: which order is meant, and the answer once its fate is known.

Owns: what spot and USD-M share of answering requests about orders.
Never: waits; an answer that takes time is `Later`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated.auth_binance import BinanceFault, missing
from arb.venues.simulated.desk import Desk, Pending
from arb.venues.simulated.dialect import HttpAnswer, Later
from arb.venues.simulated.dialect_binance_orders import fault_of
from arb.venues.simulated.facts import OrderView, Refused

NO_ORDER = BinanceFault(400, -2013, "Order does not exist.")
UNKNOWN_ORDER = BinanceFault(400, -2011, "Unknown order sent.")
USUAL_ROWS = 500
MOST_ROWS = 1_000
Sent = Mapping[str, str]
Found = HttpAnswer | Later | BinanceFault


def listed(sent: Sent, rows: Iterable[binance.Row]) -> HttpAnswer:
    """Rows of a span of time: with a beginning the first ones of it, without one the last."""
    since, until, size = (sent.get(name, "") for name in ("startTime", "endTime", "limit"))
    found = [
        row
        for row in rows
        if (not since.isdigit() or int(str(row["time"])) >= int(since))
        and (not until.isdigit() or int(str(row["time"])) <= int(until))
    ]
    count = min(int(size), MOST_ROWS) if size.isdigit() and int(size) else USUAL_ROWS
    return binance.answer(found[:count] if since.isdigit() else found[-count:])


def answered(pending: Pending, row: Callable[[OrderView], binance.Row], *, is_future: bool) -> Later:
    """The order as a row, or the refusal's code, when it is known."""

    def resolve() -> HttpAnswer | None:
        outcome = pending.outcome()
        if outcome is None:
            return None
        return (
            binance.fault_answer(fault_of(outcome, is_future=is_future))
            if isinstance(outcome, Refused)
            else binance.answer(row(outcome))
        )

    return Later(pending.ready_ns, resolve)


def selected(desk: Desk, sent: Sent) -> OrderView | BinanceFault | None:
    """The order that a request names by its number or ours; None: there is none of that symbol."""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    number, name = sent.get("orderId", ""), sent.get("origClientOrderId", "")
    if not number and not name:
        return missing("orderId")
    view = desk.order(int(number)) if number.isdigit() else desk.order_named(name)
    return view if view is not None and view.order.instrument == instrument.id else None
