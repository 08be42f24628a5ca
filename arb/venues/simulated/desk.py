"""A client's desk at a simulated exchange: requests travel there and back, and each has a time.

Owns: orders and cancels under way, in arrival order, and their outcomes.
Never: matches or judges; it carries to the exchange and back.
Units: times UTC nanoseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from decimal import Decimal

import attrs

from arb.domain.ids import AssetId, InstrumentId
from arb.domain.instrument import Instrument
from arb.domain.order import Balance, OrderState
from arb.venues.simulated.chance import Chance
from arb.venues.simulated.facts import (
    ZERO,
    EndCause,
    Executed,
    FundingSettled,
    NewOrder,
    OrderView,
    PositionView,
    Refused,
    Transferred,
)
from arb.venues.simulated.matching import Exchange
from arb.venues.simulated.models import FaultKind, VenueModel

Outcome = OrderView | Refused | None
"""None: executed, and never answered."""


@attrs.define(eq=False)
class Pending:
    """A request under way: it reaches the exchange at `arrives_ns`, its answer the client at `ready_ns`."""

    arrives_ns: int
    ready_ns: int
    act: Callable[[int], Outcome]
    is_answered: bool
    done: bool = False
    result: Outcome = None

    def arrive(self) -> None:
        """The exchange acts on it."""
        if not self.done:
            self.done = True
            self.result = self.act(self.arrives_ns)

    def outcome(self) -> Outcome:
        """What the client is told."""
        self.arrive()
        return self.result if self.is_answered else None


Faulty = Callable[[FaultKind, int, str | None], bool]
"""Whether a fault is on at a time, for a symbol or path."""


@attrs.define(eq=False)
class Desk:
    """One account at one exchange."""

    exchange: Exchange
    account: str
    key: str
    secret: str = attrs.field(repr=False)
    faulty: Faulty
    chance: Chance
    """For the travel times of requests."""
    under_way: list[tuple[int, int, Pending]] = attrs.field(factory=list)
    sent: int = 0

    @property
    def model(self) -> VenueModel:
        """The venue's rules."""
        return self.exchange.model

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Instruments by the venue's own symbol."""
        return {one.symbol: one for one in self.exchange.instruments.values()}

    def is_faulty(self, kind: FaultKind, now_ns: int, target: str | None = None) -> bool:
        """Whether a fault script has `kind` on."""
        return self.faulty(kind, now_ns, target)

    # --- requests ---

    def submit(self, order: NewOrder, now_ns: int) -> Pending:
        """Send an order."""
        return self._send(
            lambda at_ns: self.exchange.submit(self.account, order, at_ns), now_ns, order.instrument.partition(":")[2]
        )

    def cancel(self, order_id: int, now_ns: int) -> Pending:
        """Send a cancel."""
        return self._send(lambda at_ns: self.exchange.cancel(self.account, order_id, at_ns), now_ns, None)

    def trial(self, order: NewOrder, now_ns: int) -> OrderView | Refused:
        """Validate an order without sending it; the view is as if it rested."""
        refused = self.exchange.check(self.account, order)
        return refused or OrderView(
            order_id=0, account=self.account, order=order, state=OrderState.OPEN, cause=EndCause.NONE, filled_qty=ZERO,
            filled_quote=ZERO, paid_fees=(), locked=ZERO, locked_fee=ZERO, created_ns=now_ns,
            updated_ns=now_ns, trade_ids=(),
        )  # fmt: skip

    def _send(self, act: Callable[[int], Outcome], now_ns: int, target: str | None) -> Pending:
        arrives_ns = now_ns + self.model.order_in.draw_ns(self.chance)
        ready_ns = arrives_ns + self.model.order_out.draw_ns(self.chance)
        is_answered = not self.is_faulty(FaultKind.TIMEOUT_THEN_ACCEPT, now_ns, target)
        pending = Pending(arrives_ns, ready_ns, act, is_answered)
        self.sent += 1
        heapq.heappush(self.under_way, (arrives_ns, self.sent, pending))
        return pending

    def due_ns(self) -> int | None:
        """When the next request reaches the exchange."""
        return self.under_way[0][0] if self.under_way else None

    def advance(self, now_ns: int) -> None:
        """Let arrive what is due."""
        while self.under_way and self.under_way[0][0] <= now_ns:
            heapq.heappop(self.under_way)[2].arrive()

    # --- reads ---

    def order(self, order_id: int | None) -> OrderView | None:
        """An order by the venue's number."""
        return self.exchange.find(self.account, order_id=order_id) if order_id else None

    def order_named(self, client_order_id: str) -> OrderView | None:
        """The newest order of a client's name."""
        return self.exchange.find(self.account, client_order_id=client_order_id) if client_order_id else None

    def orders(self, instrument: InstrumentId | None = None) -> tuple[OrderView, ...]:
        """All orders, oldest first."""
        return self.exchange.orders(self.account, instrument)

    def open_orders(self, instrument: InstrumentId | None = None) -> tuple[OrderView, ...]:
        """Resting orders, oldest first."""
        return self.exchange.open_orders(self.account, instrument)

    def executions(self, order_id: int) -> tuple[Executed, ...]:
        """Fills of one order."""
        return tuple(one for one in self.exchange.executions(self.account) if one.view.order_id == order_id)

    def fills(self, instrument: InstrumentId | None = None) -> tuple[Executed, ...]:
        """All fills, oldest first."""
        return self.exchange.executions(self.account, instrument)

    def balances(self) -> tuple[Balance, ...]:
        """All holdings."""
        return self.exchange.balances(self.account)

    def balance(self, asset: str) -> Balance:
        """One holding."""
        return next((one for one in self.balances() if one.asset == asset), Balance(AssetId(asset), ZERO, ZERO))

    def wallet(self) -> Decimal:
        """USDT with the margins of contracts."""
        return self.exchange.wallet(self.account)

    def positions(self) -> tuple[PositionView, ...]:
        """Contracts the account has touched."""
        return self.exchange.positions(self.account)

    def position(self, instrument: InstrumentId) -> PositionView:
        """Position and settings of one contract."""
        return self.exchange.position(self.account, instrument)

    def transfers(self, since_ms: int) -> tuple[Transferred, ...]:
        """Money that came or left from a UTC time on, oldest first."""
        return tuple(one for one in self.exchange.transfers(self.account) if one.at_ns // 1_000_000 >= since_ms)

    def incomes(self) -> tuple[FundingSettled, ...]:
        """Funding booked."""
        return self.exchange.incomes(self.account)
