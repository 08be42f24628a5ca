"""What the venues really hold for us, moved by executions, fees, funding and transfers: the truth of an account.

Owns: wallets by venue and asset, contracts with their average entry.
Never: asks the engine anything.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.events import BalanceSeen, Event, PositionSeen
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId, VenueId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import EXACT
from arb.domain.order import Balance, Fill, Position

ZERO = Decimal(0)


@attrs.define
class Vault:
    """All venues together."""

    wallets: dict[VenueId, dict[AssetId, Decimal]]
    contracts: dict[InstrumentId, tuple[Decimal, Decimal]] = attrs.field(factory=dict)
    """Quantity and average entry."""

    def move(self, venue: VenueId, asset: AssetId, amount: Decimal) -> None:
        """A wallet changes."""
        wallet = self.wallets[venue]
        wallet[asset] = EXACT.add(wallet.get(asset, ZERO), amount)

    def trade(self, fill: Fill, instrument: Instrument, fee: Fee) -> None:
        """An execution."""
        signed, venue = fill.side.sign * fill.qty, instrument.venue
        if instrument.kind is InstrumentKind.PERPETUAL:
            self.move(venue, instrument.quote, self._realised(instrument.id, signed, fill.price))
        else:
            self.move(venue, instrument.base, signed)
            self.move(venue, instrument.quote, -EXACT.multiply(signed, fill.price))
        self.move(venue, fee.asset, -fee.amount)

    def told(self, at_ns: int) -> list[Event]:
        """What a reading of every venue tells."""
        events: list[Event] = [
            BalanceSeen(
                at_ns=at_ns, venue=venue, is_full=True,
                balances=tuple(Balance(asset, amount, ZERO) for asset, amount in wallet.items()),
            )
            for venue, wallet in self.wallets.items()
        ]  # fmt: skip
        for name, (qty, entry) in self.contracts.items():
            word = Position(instrument=name, qty=qty, entry_price=entry, mark_price=None, liquidation_price=None)
            events.append(PositionSeen(at_ns=at_ns, position=word))
        return events

    def _realised(self, name: InstrumentId, signed: Decimal, price: Decimal) -> Decimal:
        qty, entry = self.contracts.get(name, (ZERO, ZERO))
        after = qty + signed
        if qty == 0 or (qty > 0) is (signed > 0):
            value = EXACT.add(EXACT.multiply(qty, entry), EXACT.multiply(signed, price))
            self.contracts[name] = (after, EXACT.divide(value, after))
            return ZERO
        closed = min(abs(qty), abs(signed))
        self.contracts[name] = (after, entry if abs(signed) < abs(qty) else price if after else ZERO)
        return EXACT.multiply(closed if qty > 0 else -closed, price - entry)
