"""The simulator's own truth about one venue, for tests and soaks (`GET {rest}/sim/ledger`).

Owns: the shape of that document: plain mappings, decimals as strings.
Never: changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from arb.domain.order import Balance
from arb.venues.simulated.accounts import TradingAccount
from arb.venues.simulated.facts import Executed, OrderView, PositionView, RefusalReason
from arb.venues.simulated.matching import Exchange

Json = Mapping[str, object]


def ledger(exchange: Exchange) -> Json:
    """Per account: balances, positions, every order and fill, funding, and counts of refused and duplicated ids."""
    return {
        "venue": exchange.model.venue,
        "accounts": {name: _account(exchange, owner) for name, owner in sorted(exchange.accounts.items())},
    }


def _account(exchange: Exchange, owner: TradingAccount) -> Json:
    return {
        "balances": [_balance(each) for each in owner.balances()],
        "deposits": {asset: _text(amount) for asset, amount in sorted(owner.deposits.items())},
        "wallet_usdt": _text(owner.wallet_usdt),
        "insured_usdt": _text(owner.insured_usdt),
        "positions": [_position(each) for each in exchange.positions(owner.name)],
        "orders": [_order(each.view()) for each in owner.orders.values()],
        "fills": [_fill(each) for each in owner.executions],
        "funding": [
            {"instrument": each.instrument, "amount": _text(each.amount), "rate": _text(each.rate), "at_ns": each.at_ns}
            for each in owner.incomes
        ],
        "rejected_count": sum(owner.refusals.values()),
        "duplicated_id_count": owner.refusals.get(RefusalReason.DUPLICATE_CLIENT_ID, 0),
        "rejections": {reason.value: count for reason, count in owner.refusals.items()},
    }


def _text(value: Decimal) -> str:
    return format(value, "f")


def _balance(balance: Balance) -> Json:
    return {"asset": balance.asset, "free": _text(balance.free), "locked": _text(balance.locked)}


def _position(position: PositionView) -> Json:
    return {
        "instrument": position.instrument,
        "qty": _text(position.qty),
        "entry_price": _text(position.entry_price),
        "mark_price": _text(position.mark_price),
        "liquidation_price": _text(position.liquidation_price),
        "margin": _text(position.margin),
        "leverage": position.leverage,
        "is_isolated": position.is_isolated,
        "realised_pnl": _text(position.realised_pnl),
    }


def _order(view: OrderView) -> Json:
    wish = view.order
    return {
        "order_id": view.order_id,
        "client_order_id": wish.client_order_id,
        "instrument": wish.instrument,
        "side": wish.side.value,
        "type": wish.order_type.value,
        "time_in_force": wish.time_in_force.value,
        "qty": None if wish.qty is None else _text(wish.qty),
        "quote_qty": None if wish.quote_qty is None else _text(wish.quote_qty),
        "price": None if wish.price is None else _text(wish.price),
        "reduce_only": wish.reduce_only,
        "state": view.state.value,
        "cause": view.cause.value,
        "filled_qty": _text(view.filled_qty),
        "filled_quote": _text(view.filled_quote),
        "locked": _text(view.locked),
        "created_ns": view.created_ns,
        "updated_ns": view.updated_ns,
    }


def _fill(executed: Executed) -> Json:
    return {
        "trade_id": executed.trade_id,
        "order_id": executed.view.order_id,
        "client_order_id": executed.view.order.client_order_id,
        "instrument": executed.view.order.instrument,
        "side": executed.view.order.side.value,
        "qty": _text(executed.qty),
        "price": _text(executed.price),
        "fee": _text(executed.fee.amount),
        "fee_asset": executed.fee.asset,
        "liquidity": executed.liquidity.value,
        "realised_pnl": _text(executed.realised_pnl),
        "at_ns": executed.at_ns,
    }
