"""What the venues say we hold, and what our own fills say we should.

Owns: balances and contract positions as the venues report them, and the conserved expectation beside them.
Never: decides which of the two is right; the venue is truth for quantity, the difference is reported.
Units: assets in their own units, contracts in contract units; keys of the expectation are `venue/ASSET`.

Invariant (I3): for each asset, opening + fills − fees + transfers = closing (tests/state/test_holdings.py).
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.events import BalanceSeen, PositionSeen
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId, VenueId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import EXACT
from arb.domain.order import Balance, Fill, Position

_ZERO = Decimal(0)


@attrs.frozen(kw_only=True)
class AssetTally:
    """One asset on one venue since it was first reported."""

    opening: Decimal
    fills: Decimal = _ZERO
    fees: Decimal = _ZERO
    """Positive costs us."""
    transfers: Decimal = _ZERO
    funding: Decimal = _ZERO

    @property
    def closing(self) -> Decimal:
        """What the venue should report."""
        return self.opening + self.fills - self.fees + self.transfers + self.funding


@attrs.frozen
class ContractTally:
    """Our own count of a contract: signed quantity and the value at which it was entered, same sign."""

    qty: Decimal = _ZERO
    value: Decimal = _ZERO


@attrs.define
class Holdings:
    """Balances and contracts of every venue; the engine folds account events into it."""

    balances: dict[VenueId, dict[AssetId, Balance]] = attrs.field(factory=dict)
    contracts: dict[InstrumentId, Position] = attrs.field(factory=dict)
    tallies: dict[str, AssetTally] = attrs.field(factory=dict)
    own_contracts: dict[InstrumentId, ContractTally] = attrs.field(factory=dict)
    opened: tuple[VenueId, ...] = ()
    """Venues that have told everything once: what they did not name then, they did not hold."""

    def see_balances(self, event: BalanceSeen) -> None:
        """Take the venue's word; the first full report opens the expectation, and what comes later is to be explained:
        a balance may arrive before the execution that it comes from."""
        known = {} if event.is_full else self.balances.get(event.venue, {})
        self.balances[event.venue] = known | {balance.asset: balance for balance in event.balances}
        for balance in event.balances:
            key = f"{event.venue}/{balance.asset}"
            if key not in self.tallies and event.venue not in self.opened:
                self.tallies[key] = AssetTally(opening=balance.total)
        if event.is_full and event.venue not in self.opened:
            self.opened = (*self.opened, event.venue)

    def see_contract(self, event: PositionSeen) -> None:
        """Take the venue's word on a contract; a missing mark or liquidation price keeps what was known."""
        new, old = event.position, self.contracts.get(event.position.instrument)
        if old is not None and old.qty == new.qty:
            new = attrs.evolve(
                new,
                mark_price=new.mark_price if new.mark_price is not None else old.mark_price,
                liquidation_price=new.liquidation_price if new.liquidation_price is not None else old.liquidation_price,
                leverage=new.leverage if new.leverage is not None else old.leverage,
                is_isolated=new.is_isolated if new.is_isolated is not None else old.is_isolated,
            )
        self.contracts[new.instrument] = new

    def add_fill(self, fill: Fill, instrument: Instrument, fee: Fee) -> None:
        """Move the expectation by one execution."""
        venue, signed = instrument.venue, fill.side.sign * fill.qty
        if instrument.kind is InstrumentKind.PERPETUAL:
            self._grow(venue, instrument.quote, fills=self._realised(instrument.id, signed, fill.price))
        else:
            self._grow(venue, instrument.base, fills=signed)
            self._grow(venue, instrument.quote, fills=-EXACT.multiply(signed, fill.price))
        self._grow(venue, fee.asset, fees=fee.amount)

    def add_funding(self, venue: VenueId, asset: AssetId, amount: Decimal) -> None:
        """Move the expectation by a funding payment."""
        self._grow(venue, asset, funding=amount)

    def add_transfer(self, venue: VenueId, asset: AssetId, amount: Decimal) -> None:
        """Move the expectation by a deposit (positive) or a withdrawal."""
        self._grow(venue, asset, transfers=amount)

    def free(self, venue: VenueId, asset: AssetId) -> Decimal:
        """What the venue says is free; 0 when it never said."""
        balance = self.balances.get(venue, {}).get(asset)
        return balance.free if balance is not None else _ZERO

    def total(self, venue: VenueId, asset: AssetId) -> Decimal:
        """Free and locked together."""
        balance = self.balances.get(venue, {}).get(asset)
        return balance.total if balance is not None else _ZERO

    def total_of(self, asset: AssetId) -> Decimal:
        """One asset over all venues."""
        return sum((self.total(venue, asset) for venue in self.balances), _ZERO)

    def unexplained(self, venue: VenueId) -> tuple[tuple[AssetId, Decimal], ...]:
        """Venue's word minus expectation, where they differ; a message in flight shows here until it lands."""
        if venue not in self.balances:
            return ()
        found = []
        for asset in sorted(self.balances.get(venue, {}).keys() | self._tallied(venue)):
            tally = self.tallies.get(f"{venue}/{asset}", AssetTally(opening=_ZERO))
            difference = self.total(venue, asset) - tally.closing
            if difference:
                found.append((asset, difference))
        return tuple(found)

    def _tallied(self, venue: VenueId) -> set[AssetId]:
        prefix = f"{venue}/"
        return {AssetId(key.removeprefix(prefix)) for key in self.tallies if key.startswith(prefix)}

    def _grow(
        self,
        venue: VenueId,
        asset: AssetId,
        *,
        fills: Decimal = _ZERO,
        fees: Decimal = _ZERO,
        transfers: Decimal = _ZERO,
        funding: Decimal = _ZERO,
    ) -> None:
        key = f"{venue}/{asset}"
        tally = self.tallies.get(key) or AssetTally(opening=_ZERO)
        self.tallies[key] = AssetTally(
            opening=tally.opening,
            fills=EXACT.add(tally.fills, fills),
            fees=EXACT.add(tally.fees, fees),
            transfers=EXACT.add(tally.transfers, transfers),
            funding=EXACT.add(tally.funding, funding),
        )

    def _realised(self, instrument: InstrumentId, signed: Decimal, price: Decimal) -> Decimal:
        """Cash that a contract fill brings: only what it closes, against the average entry."""
        old = self.own_contracts.get(instrument, ContractTally())
        closing = min(abs(signed), abs(old.qty)) if (signed > 0) != (old.qty > 0) else _ZERO
        released = EXACT.divide(EXACT.multiply(old.value, closing), abs(old.qty)) if closing else _ZERO
        direction = 1 if old.qty > 0 else -1
        opened = signed + direction * closing if closing else signed
        self.own_contracts[instrument] = ContractTally(
            EXACT.add(old.qty, signed), EXACT.add(EXACT.subtract(old.value, released), EXACT.multiply(opened, price))
        )
        return EXACT.subtract(EXACT.multiply(direction * closing, price), released)
