"""The facts of one exchange in order, until they are taken, and the numbers it gives out.

Owns: ids of facts, from 1, and of orders and trades, from a start that no earlier run has reached; all without gaps.
Never: grows without bound: facts nobody takes are dropped, oldest first, and counted.
Units: times UTC nanoseconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from arb.domain.ids import InstrumentId
from arb.venues.simulated.accounts import BookedOrder, TradingAccount
from arb.venues.simulated.facts import BalanceChanged, Fact, OrderChanged, PositionChanged, PositionView

MAX_UNTAKEN: Final = 65_536


@attrs.define(eq=False)
class FactLog:
    """What happened and nobody has taken yet."""

    facts: deque[Fact] = attrs.field(factory=deque)
    last_fact_id: int = 0
    last_order_id: int = 0
    last_trade_id: int = 0
    lost_count: int = 0

    def fact_id(self) -> int:
        """The next fact's number."""
        self.last_fact_id += 1
        return self.last_fact_id

    def order_id(self) -> int:
        """The next order's number."""
        self.last_order_id += 1
        return self.last_order_id

    def trade_id(self) -> int:
        """The next trade's number."""
        self.last_trade_id += 1
        return self.last_trade_id

    def add(self, fact: Fact) -> None:
        """Append a fact numbered by `fact_id`."""
        if len(self.facts) >= MAX_UNTAKEN:
            self.facts.popleft()
            self.lost_count += 1
        self.facts.append(fact)

    def take(self) -> tuple[Fact, ...]:
        """Hand over everything, once."""
        taken = tuple(self.facts)
        self.facts.clear()
        return taken

    def order(self, order: BookedOrder, now_ns: int) -> None:
        """An order was taken or ended."""
        order.updated_ns = now_ns
        self.add(OrderChanged(id=self.fact_id(), at_ns=now_ns, view=order.view()))

    def account(self, account: TradingAccount, now_ns: int, reason: str, positions: tuple[PositionView, ...]) -> None:
        """What an operation changed on an account, once, when it is over."""
        if account.touched_assets:
            touched = account.touched_assets
            balances = tuple(each for each in account.balances() if each.asset in touched)
            self.add(
                BalanceChanged(id=self.fact_id(), at_ns=now_ns, account=account.name, balances=balances, reason=reason)
            )
        for position in positions:
            self.add(
                PositionChanged(
                    id=self.fact_id(),
                    at_ns=now_ns,
                    account=account.name,
                    position=position,
                    wallet=account.wallet_usdt,
                    reason=reason,
                )
            )
        account.touched_assets.clear()
        account.touched_contracts.clear()


def touched(account: TradingAccount) -> tuple[InstrumentId, ...]:
    """Contracts that the running operation moved."""
    return tuple(account.touched_contracts)
