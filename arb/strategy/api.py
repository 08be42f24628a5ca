"""What a strategy sees, what it answers, and the protocol it implements.

Owns: the shape of the market view and of the answer.
Never: performs anything; a strategy is a pure function of view, own state and parameters.
Units: prices in the quote of each instrument, FX in KRW per USDT, times monotonic `_ns` (`wall_ns` UTC),
edges in bps of the A leg.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol, TypeVar

import attrs

from arb.domain.costs import FxRates
from arb.domain.depth import Depth
from arb.domain.events import FundingRateSeen
from arb.domain.fees import FeeSchedule
from arb.domain.headroom import Headroom
from arb.domain.instrument import Instrument
from arb.domain.intent import Intent
from arb.domain.pair import Direction, Pair
from arb.state.positions import PairPosition
from arb.strategy.sizing import SizingRules


class TopQuote(NamedTuple):
    """Best quotes of a pair: all that the cheap look needs."""

    now_ns: int
    bid_a: float
    ask_a: float
    bid_b: float
    ask_b: float
    unit_b: float
    """Base units per contract unit of B (the pair's multiplier)."""
    fx: FxRates


class HeldFacts(NamedTuple):
    """What of a held position stays between two of its fills."""

    position: PairPosition
    fees_a: FeeSchedule
    fees_b: FeeSchedule
    unit_b: float
    is_fx_hedged: bool


class HeldQuote(NamedTuple):
    """What changes with every book."""

    top: TopQuote
    a: Depth
    b: Depth


class HeldBalances(NamedTuple):
    """What the venues of a pair hold, locked amounts included."""

    krw_a: float
    coin_a: float
    usdt_b: float
    coin_b: float
    """Base units; signed for a contract."""


class PairView(NamedTuple):
    """Everything a strategy may know about one pair at one moment."""

    pair: Pair
    now_ns: int
    wall_ns: int
    a: Depth
    b: Depth
    fx: FxRates
    fx_received_ns: int
    """Receive time of the FX book; a change of it is a new FX book."""
    data_refusal: str
    """Why the data supports no decision (`stale_a`, `skew`, `fx_jump` …); empty: fresh, sane and within skew."""
    instrument_a: Instrument
    instrument_b: Instrument
    fees_a: FeeSchedule
    fees_b: FeeSchedule
    funding: FundingRateSeen | None
    """Of B when it is a perpetual; None: never seen, or B is spot."""
    held: HeldBalances
    """All zero for a strategy that does not trade inventory."""
    headroom: Headroom
    rules: SizingRules
    position: PairPosition | None
    is_busy: bool
    """An order or incident is open on the pair."""
    is_exit_tradable: bool
    """Both venues take the orders that would close the position."""
    is_fx_hedged: bool
    """The position's USDT is hedged per trade: `fx_stop` does not apply."""
    risk_exit: str
    """Why the position must go now (margin guard, delisting …), empty: nothing demands it."""
    stop_loss_cap_bps: float
    """A tighter stop while a wallet is closed; infinite otherwise."""


@attrs.frozen(kw_only=True)
class Look:
    """What one look at a pair came to, for `arb why`: best direction, its edge, and the reason there is no entry."""

    refusal: str
    """Empty when an intent was made."""
    direction: Direction
    best_bps: float
    """`expected_bps` of the better direction at the size looked at; NaN-free, −inf when it could not be computed."""
    missed_by_bps: float
    """How much `best_bps` lacks; 0 when the edge was enough."""
    d_bps: float
    fair_bps: float | None
    gross_bps: float
    """`open_bps` at the size looked at."""
    value_bps: float
    """`u` of an open position; 0 when flat."""
    fx_value_bps: float


S = TypeVar("S")
P = TypeVar("P", contravariant=True)
H = TypeVar("H")


class Answer(NamedTuple):
    """A decision: at most one intent, and why."""

    intent: Intent | None
    look: Look


class Parameters(Protocol):
    """What the engine asks of the parameters of every strategy."""

    trades_inventory: ClassVar[bool]
    """Whether the strategy adds to what is open and trades coins that it holds."""


class Strategy(Protocol[S, P, H]):
    """A pure rule with a memory of its own that the engine keeps for it."""

    @property
    def params_class(self) -> type[Parameters]:
        """The frozen parameters, each field with unit and range."""

    def initial(self) -> S:
        """The own state of a pair never looked at."""

    def renewed(self, own: S) -> S:
        """The own state at the start of a new process: nothing that only a row of fresh books confirms."""

    def missed_by_bps(self, top: TopQuote, own: S, params: P) -> float:
        """A bound for a flat, idle pair: above 0 nothing is to be done (by so much) and `decide` may be left out."""

    def holding(self, facts: HeldFacts, params: P) -> H | None:
        """A held position as `is_at_rest` takes it, made once; None: every look at it must be whole."""

    def is_at_rest(self, held: H, quote: HeldQuote, own: S, params: P) -> bool:
        """Whether `decide` may be left out for a held, idle pair: it would want nothing and learn nothing."""

    def decide(self, view: PairView, own: S, params: P) -> tuple[S, Answer]:
        """The new own state and the answer."""

    def problems(self, params: P, *, round_trip_cost_bps: float, fx_tick_bps: float) -> tuple[str, ...]:
        """What `arb check` must refuse in the parameters, in words."""
