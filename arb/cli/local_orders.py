"""Where no order leaves: fills modelled here, and in shadow each order written out as its venue would receive it.

Owns: what each venue's local account begins with: the configured start, or what the books of an earlier run say.
Never: reads a venue's account; an account here is what we made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs
import trio

from arb.cli.assembly import Assembly
from arb.cli.schema import Mode, PaperSection
from arb.cli.venue_access import VenueAccess
from arb.domain.ids import AssetId, VenueId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.order import Balance, OrderState, OrderUpdate, Position
from arb.engine import EngineConfig
from arb.engine.memory import Memory
from arb.ports import OrderGateway
from arb.state.ledger import Ledger
from arb.venues.wire.local_fills import LocalFills, LocalVenue
from arb.venues.wire.rendered import rendered

_ZERO = Decimal(0)
ENDED_WITH_ITS_RUN = "restart"


async def serve_local_fills(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """Orders are filled here, against the live books; started once every account has been told."""
    local = LocalFills(
        [_local_venue(parts, access) for access in parts.access.values()],
        clock=parts.around.clock,
        sink=parts.sink,
        seed=parts.around.random.getrandbits(63),
        miss_probability=parts.settings.paper.miss_probability,
        depth_fraction=parts.settings.execution.depth_fraction,
        leverage=parts.settings.risk.leverage,
    )
    parts.fills = local
    for venue, access in parts.access.items():
        parts.gateways[venue] = _gateway(parts, access, local.gateway(venue))
    await local.run(task_status=task_status)


def _gateway(parts: Assembly, access: VenueAccess, local: OrderGateway) -> OrderGateway:
    if parts.settings.mode is not Mode.SHADOW or access.spec.account is None:
        return local
    return rendered(local, access.spec.venue, access.spec.account, access.instruments, access.stamp)


def _local_venue(parts: Assembly, access: VenueAccess) -> LocalVenue:
    paper, venue = parts.settings.paper, access.spec.venue
    begun = LocalVenue(
        venue=venue,
        instruments=tuple(access.instruments.values()),
        order_ms=paper.upbit_order_ms if venue == "upbit" else paper.binance_order_ms,
        fees=parts.engine.config.fees[venue],
        balances=first_balances(venue, paper),
    )
    return carried_on(begun, parts.engine.memory, parts.engine.config)


def first_balances(venue: VenueId, paper: PaperSection) -> tuple[Balance, ...]:
    """What an account holds that has never traded."""
    asset, amount = ("KRW", paper.start_krw) if venue == "upbit" else ("USDT", paper.start_usdt)
    held = {asset: amount} | {one.asset: one.amount for one in paper.holdings if one.venue == venue}
    return tuple(Balance(AssetId(name), total, _ZERO) for name, total in held.items())


def carried_on(local: LocalVenue, memory: Memory, config: EngineConfig) -> LocalVenue:
    """The venue as it goes on from what the books remember; as it is where they remember nothing of it.

    The books have the last word on quantities: what the local exchange told last may not have reached the disk.
    """
    ledger = memory.ledger
    told = ledger.holdings.balances.get(local.venue)
    if told is None:
        return local
    totals = {asset: balance.total for asset, balance in told.items()}
    for key, tally in ledger.holdings.tallies.items():
        venue, _, asset = key.partition("/")
        if venue == local.venue:
            totals[AssetId(asset)] = tally.closing
    contracts = [each for each in local.instruments if each.kind is InstrumentKind.PERPETUAL]
    positions = (_position(ledger, config, instrument) for instrument in contracts)
    return attrs.evolve(
        local,
        balances=tuple(Balance(asset, max(total, _ZERO), _ZERO) for asset, total in sorted(totals.items())),
        positions=tuple(position for position in positions if position.qty),
        orders=tuple(_ended(memory, local.venue)),
    )


def _position(ledger: Ledger, config: EngineConfig, instrument: Instrument) -> Position:
    """A contract by the pairs' own count, at the price and margin last told where that is the same quantity."""
    qty, price = _ZERO, _ZERO
    for pair in (item.pair for item in config.pairs):
        if pair.b == instrument.id:
            position, left = ledger.position(pair.id), ledger.residuals.get(f"{pair.id}/b")
            held = (_ZERO if position is None else position.b.net_qty) + (_ZERO if left is None else left.qty)
            qty += held / pair.multiplier
            price = price if position is None else position.b.last_price * pair.multiplier
    told = ledger.holdings.contracts.get(instrument.id)
    if told is not None and told.qty == qty:
        return told
    entered = ledger.holdings.own_contracts.get(instrument.id)
    if entered is not None and entered.qty == qty and qty:
        price = entered.value / qty
    return Position(instrument=instrument.id, qty=qty, entry_price=price, mark_price=None, liquidation_price=None)


def _ended(memory: Memory, venue: VenueId) -> Iterator[OrderUpdate]:
    """Orders of the earlier run that are known to have arrived: they ended with it."""
    for line in memory.orders.working():
        if line.request.venue == venue and (line.venue_order_id is not None or line.filled_qty):
            yield OrderUpdate(
                client_order_id=line.request.client_order_id,
                instrument=line.request.instrument,
                state=OrderState.CANCELED,
                filled_qty=line.filled_qty,
                avg_price=line.average_price,
                venue_order_id=line.venue_order_id,
                reason=ENDED_WITH_ITS_RUN,
                received_ns=line.changed_ns,
            )
