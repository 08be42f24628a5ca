"""What an account of a local exchange holds: at its opening, and as a venue would tell it.

Owns: the margins of positions that are given without them.
Never: trades, or remembers anything.
Units: amounts in the asset named, prices and margins USDT, contract quantities signed.

A margined venue tells its wallet whole: what is free for orders, and the rest, margins included, as locked. The
exchange keeps margins apart from the free wallet: they are added when balances are told, and taken off at the opening.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.money import booked
from arb.domain.order import Balance, Position
from arb.venues.simulated.accounts import USDT, TradingAccount
from arb.venues.simulated.matching import Exchange

_ZERO: Final = Decimal(0)


def open_with(
    exchange: Exchange, account: str, balances: tuple[Balance, ...], positions: tuple[Position, ...], now_ns: int
) -> None:
    """Open an account that holds these totals, all of them free but for the margins of these positions."""
    exchange.open_account(account, now_ns, tuple((each.asset, each.total) for each in balances))
    for position in positions:
        if position.qty and position.instrument in exchange.instruments:
            _take_over(exchange, exchange.accounts[account], position)
    exchange.take()


def whole(exchange: Exchange, account: str) -> tuple[Balance, ...]:
    """Every balance as a venue tells it."""
    return with_margins(exchange, account, exchange.balances(account))


def with_margins(exchange: Exchange, account: str, balances: tuple[Balance, ...]) -> tuple[Balance, ...]:
    """Balances with the margins of contracts among what is locked."""
    margins = sum((contract.margin for contract in exchange.accounts[account].contracts.values()), _ZERO)
    return tuple(attrs.evolve(each, locked=each.locked + margins) if each.asset == USDT else each for each in balances)


def _take_over(exchange: Exchange, account: TradingAccount, position: Position) -> None:
    contract = exchange.desk.settlement.contract(account, exchange.instruments[position.instrument])
    if position.leverage:
        contract.leverage = int(position.leverage)
    contract.qty, contract.entry_price = position.qty, position.entry_price
    free = account.holding(USDT)
    contract.margin = min(_margin(position, contract.leverage, exchange.model.maintenance_rate), free.free)
    free.free -= contract.margin


def _margin(position: Position, leverage: int, maintenance_rate: Decimal) -> Decimal:
    """The isolated margin behind a position: what its liquidation price says, else what opening it takes."""
    opening = booked(abs(position.qty) * position.entry_price / leverage)
    told = position.liquidation_price
    if not told or position.is_isolated is False:
        return opening
    kept = 1 - maintenance_rate if position.qty > 0 else 1 + maintenance_rate
    return max(booked(position.qty * (position.entry_price - told * kept)), _ZERO)
