"""All that the engine remembers, and the turn in which it changes.

Owns: the mutable whole (`Memory`, what a snapshot holds) and the effects of the step at hand (`Turn`).
Never: decides.
Units: times monotonic _ns, `wall_ns` UTC.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.effects import Alert, Cell, Effect, Publish, QueryAccount, Record, Severity, Table
from arb.domain.events import Level
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, PairId, RunId, VenueId
from arb.domain.order import Fill
from arb.domain.pair import Direction
from arb.engine.config import EngineConfig, PairConfig
from arb.execution.legs import LegPair
from arb.execution.order_ids import client_order_id
from arb.risk.trading_state import Causes
from arb.state.fx import FxMarks
from arb.state.ledger import Ledger
from arb.state.market import NEVER_NS, Market
from arb.state.orders import Orders
from arb.strategy.api import Look
from arb.strategy.convergence.memory import ConvergenceMemory
from arb.strategy.inventory.memory import InventoryMemory

NO_EFFECTS: tuple[Effect, ...] = ()


@attrs.define(kw_only=True)
class RefusalCount:
    """One reason on one pair and direction within the minute at hand."""

    count: int
    best_bps: float
    missed_bps: float


@attrs.frozen(kw_only=True)
class Difference:
    """A quantity that venue and engine do not agree on, or an order that only the venue knows."""

    venue: VenueId
    name: str
    """The asset, or the instrument where a contract or an order is meant."""
    expected: Decimal
    told: Decimal
    words: str
    is_order: bool = False
    """An open order that memory does not hold; nobody can adopt it."""
    seen_ns: int = 0
    """When it was first told; a reading begun later confirms it."""

    @property
    def difference(self) -> Decimal:
        """What the venue has more."""
        return self.told - self.expected


@attrs.frozen(kw_only=True)
class CashOff:
    """Cash that a venue holds beyond what the books say (below 0: less), told without a change for some time."""

    asset: AssetId
    amount: Decimal
    since_ns: int
    """When it was first told; a reading begun long enough after that confirms it."""


@attrs.frozen(kw_only=True)
class VenueReading:
    """A venue's account as it was last read in this run."""

    told_ns: int
    """When it was begun: it tells at least what stood then."""
    is_compared: bool
    """Nothing was in flight, so that the books could be compared with it."""
    ask_ns: int = NEVER_NS
    """From when on another reading is asked for, where this one could not be compared or left a doubt."""
    has_doubt: bool = False
    """It told something that counts only if the next reading tells it too."""
    cash: tuple[CashOff, ...] = ()
    """Cash that the books did not explain when the account was last compared."""


@attrs.define(kw_only=True)
class Lane:
    """What the engine keeps for one pair."""

    own: ConvergenceMemory | InventoryMemory
    strategy: str = ""
    """Whose memory that is."""
    instruments: tuple[InstrumentId, ...] = ()
    """A and B of the pair."""
    look: Look | None = None
    legs: str = ""
    """Id of the two-leg order in hand; empty: none."""
    refusal: str = ""
    """The refusal that lasts, so that its beginning is told once."""
    minute: dict[str, RefusalCount] = attrs.field(factory=dict)
    """By `direction|reason`, of the minute at hand."""
    minute_index: int = -1
    blocked: str = ""
    """Why nothing may be opened until an operator decides; empty: nothing."""
    doubted: str = ""
    """What one reading told and another has to confirm before it blocks; nothing opens meanwhile."""
    unwound_ns: int = NEVER_NS
    """When a planned exit last ended with everything undone."""
    risk_exit: str = ""
    """Why the position must go now."""
    flattening: str = ""
    """What was last told of a close that an operator ordered; empty: none is going on."""
    dislocated_ns: int | None = None
    """Since when d has been implausibly far from fair."""
    mismatch_ns: int | None = None
    """When a venue was asked about a quantity that differs from the position's; until that is settled nothing opens
    or closes by plan."""
    mismatch_seq: int = 0
    """The step in which it was asked: only words of later steps confirm."""
    asked_ns: int = NEVER_NS
    """When a venue was last asked because it had told nothing since the pair's last execution."""
    foreign: tuple[Fill, ...] = ()
    """Executions of orders that are not ours while a position was open: what a confirmed difference is booked at."""
    fill_ns: int = NEVER_NS
    """When the pair's last execution was booked."""
    position_revision: int = 0
    published_ns: int = NEVER_NS
    near_ns: int | None = None
    """Since when the contract has been near its liquidation price."""
    is_emergency: bool = False
    """So near that closing may reach as far as an escalated order."""
    closed_ways: tuple[str, ...] = ()
    """Deposits and withdrawals of the pair's coins that are closed as far as was told, `venue/ASSET/way`."""
    wallet_closed_ns: int | None = None
    wallet_reopened_ns: int | None = None
    gated_until_ns: int = NEVER_NS
    """Until then no book is looked at for an entry: the gate refused for what no book changes."""
    identity_checked: str = ""
    """Run and risk day on which both instruments were last compared."""
    is_other_asset: bool = False
    """They did not price one asset then: nothing is opened."""
    advised_day: int = -1
    """Risk day on which a person was last told that balances have drifted."""


@attrs.define(kw_only=True)
class Memory:
    """The whole; freezing copies it."""

    market: Market
    fx: FxMarks
    ledger: Ledger
    orders: Orders = attrs.field(factory=Orders)
    causes: Causes = attrs.field(factory=Causes)
    lanes: dict[PairId, Lane] = attrs.field(factory=dict)
    legs: dict[str, LegPair] = attrs.field(factory=dict)
    """Open two-leg orders by id, and the last ones that ended."""
    run_id: RunId | None = None
    run_digest: str = ""
    parameters: str = ""
    """The configuration that the run was started with, as it was told: what a recovery replays under."""
    seq: int = 0
    now_ns: int = 0
    wall_ns: int = 0
    is_started: bool = False
    is_settling: bool = False
    """From the start of a run until it is first told whether it is armed: asked and cancelled only, nothing sent."""
    is_armed: bool = False
    is_draining: bool = False
    level: Level = Level.OK
    is_state_lost: bool = False
    """What ends the run is the loss of the books themselves: nothing is ordered on their word."""
    emergencies: tuple[PairId, ...] = ()
    """Pairs that have had their one order since CRITICAL."""
    order_times: tuple[int, ...] = ()
    """Approved orders of the last minute."""
    incident_times: tuple[int, ...] = ()
    """Incidents of the last hour."""
    incident_day: int = 0
    incident_day_krw: Decimal = Decimal(0)
    """What incidents have cost on that day."""
    opened_count: int = 0
    orphans: tuple[Fill, ...] = ()
    """Executions that no order of ours answers to yet."""
    foreign_trades: dict[str, None] = attrs.field(factory=dict)
    """Executions of orders that are not ours, by `instrument|trade id`: each is told once."""
    rest_ns: dict[InstrumentId, int] = attrs.field(factory=dict)
    """Newest REST image per instrument."""
    balances_ns: dict[str, int] = attrs.field(factory=dict)
    """When a venue last told all its balances (by its name) or one of them (by `venue/ASSET`)."""
    contracts_ns: dict[InstrumentId, int] = attrs.field(factory=dict)
    """When a venue last told a contract position."""
    told_seq: dict[str, int] = attrs.field(factory=dict)
    """The step in which a venue (by its name) last told all its balances, or a contract position (by instrument)."""
    readings: dict[VenueId, VenueReading] = attrs.field(factory=dict)
    """Accounts as they were read since the run began."""
    differences: tuple[Difference, ...] = ()
    """What the newest comparable reading of each venue did not agree on; older ones stand until it is read again."""
    foreign_qty: dict[str, Decimal] = attrs.field(factory=dict)
    """Quantities that are somebody else's, by instrument (contracts) or `venue/ASSET`: left out of every comparison."""
    accepted_ns: int | None = None
    """When an operator last adopted or ignored differences; None once a clean reconciliation has followed."""
    venue_up_ns: dict[VenueId, int] = attrs.field(factory=dict)
    """When a venue came back from maintenance."""
    advised_ns: int = NEVER_NS
    spreads_ns: int = NEVER_NS
    funding_day_krw: dict[PairId, float] = attrs.field(factory=dict)
    funding_day: int = -1


@attrs.define(kw_only=True)
class Turn:
    """One step: the memory it changes and the effects it makes."""

    config: EngineConfig
    memory: Memory
    effects: list[Effect] = attrs.field(factory=list)
    order_count: int = 0

    def next_order_id(self) -> ClientOrderId:
        """A fresh client order id of this step."""
        found = client_order_id(self.memory.run_digest, self.memory.seq, self.order_count)
        self.order_count += 1
        return found

    def wall_ns(self) -> int:
        """UTC of now."""
        return self.memory.market.wall_ns(self.memory.now_ns)

    def read_again(self, venue: VenueId, reason: str) -> None:
        """Have a venue's account read, and once more later where no reading comes of it (`reconciling.ask_again`)."""
        reading = self.memory.readings.get(venue)
        if reading is not None:
            ask_ns = self.memory.now_ns + int(self.config.execution.position_check_s * 1e9)
            self.memory.readings[venue] = attrs.evolve(reading, has_doubt=True, ask_ns=ask_ns)
        self.effects.append(QueryAccount(venue=venue, reason=reason))

    def record(self, table: Table, row_id: str, rev: int, pair: PairId | None, row: dict[str, Cell]) -> None:
        """Write a row revision."""
        self.effects.append(Record(table=table, id=row_id, rev=rev, pair=pair, row=tuple(row.items())))

    def publish(self, topic: str, values: dict[str, Cell]) -> None:
        """Tell observers."""
        self.effects.append(Publish(topic=topic, values=tuple(values.items())))

    def alert(self, key: str, severity: Severity, text: str, fields: dict[str, Cell]) -> None:
        """Tell a person."""
        self.effects.append(Alert(key=key, severity=severity, text=text, fields=tuple(fields.items())))

    def pair_config(self, pair: PairId) -> PairConfig:
        """The configuration of a pair."""
        return next(item for item in self.config.pairs if item.pair.id == pair)


def direction_key(direction: Direction | None, reason: str) -> str:
    """Under which a refusal is counted."""
    return f"{direction.value if direction is not None else '-'}|{reason}"
