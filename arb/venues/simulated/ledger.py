"""The simulator's own truth, for tests and soaks: `GET {rest}/sim/ledger`.

Owns: its shape.
Never: is part of any venue's protocol.
Units: amounts as decimal texts; times UTC nanoseconds.
"""

from __future__ import annotations

from arb.venues.simulated.desk import Desk
from arb.venues.simulated.facts import Executed, OrderView, RefusalReason

Row = dict[str, object]


def ledger_of(desk: Desk) -> Row:
    """Everything the account has and did."""
    account = desk.exchange.accounts[desk.account]
    refusals = {
        reason.value: count for reason, count in sorted(account.refusals.items(), key=lambda item: item[0].value)
    }
    body: Row = {
        "balances": {str(one.asset): {"free": f"{one.free:f}", "locked": f"{one.locked:f}"} for one in desk.balances()},
        "deposits": {str(asset): f"{amount:f}" for asset, amount in sorted(account.deposits.items())},
        "positions": [
            {"symbol": one.instrument.partition(":")[2], "qty": f"{one.qty:f}", "entry_price": f"{one.entry_price:f}",
             "margin": f"{one.margin:f}", "realised_pnl": f"{one.realised_pnl:f}"}
            for one in desk.positions()
        ],
        "orders": [_order(one) for one in desk.orders()],
        "fills": [_fill(one) for one in desk.fills()],
        "funding": [{"symbol": one.instrument.partition(":")[2], "amount": f"{one.amount:f}",
        "at_ns": one.at_ns} for one in desk.incomes()],
        "rejected": sum(account.refusals.values()),
        "rejected_by_reason": refusals,
        "duplicated_ids": account.refusals.get(RefusalReason.DUPLICATE_CLIENT_ID, 0),
    }  # fmt: skip
    return {"venue": str(desk.model.venue), "accounts": {desk.account: body}}


def _order(view: OrderView) -> Row:
    order = view.order
    return {
        "order_id": view.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.instrument.partition(":")[2],
        "side": order.side.value,
        "type": order.order_type.value,
        "time_in_force": order.time_in_force.value,
        "qty": None if order.qty is None else f"{order.qty:f}",
        "price": None if order.price is None else f"{order.price:f}",
        "reduce_only": order.reduce_only,
        "state": view.state.value,
        "filled_qty": f"{view.filled_qty:f}",
        "filled_quote": f"{view.filled_quote:f}",
        "created_ns": view.created_ns,
    }


def _fill(fill: Executed) -> Row:
    order = fill.view.order
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.view.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.instrument.partition(":")[2],
        "side": order.side.value,
        "qty": f"{fill.qty:f}",
        "price": f"{fill.price:f}",
        "fee": f"{fill.fee.amount:f}",
        "fee_asset": str(fill.fee.asset),
        "at_ns": fill.at_ns,
    }
