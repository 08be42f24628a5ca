"""What one trade of an inventory pair caught, at the FX at which its USDT can be exchanged.

Owns: which flows of a position are one trade's, and the FX that values them.
Never: decides, or books anything.
Units: KRW.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.fx import FxHedge
from arb.domain.money import EXACT, booked, decimal_of
from arb.domain.pair import Pair, PairKind
from arb.engine.memory import Turn
from arb.execution.legs import LegPair
from arb.state.captured import captured_krw
from arb.state.positions import PairPosition

BPS: Final = Decimal(10_000)


def caught(turn: Turn, pair: Pair, legs: LegPair, position: PairPosition) -> Decimal | None:
    """What a finished two-leg order brought; None: its pair trades no inventory, or there is no FX."""
    mark = turn.memory.fx.mark()
    if mark is None or not turn.pair_config(pair.id).params.trades_inventory:
        return None
    traded = [flow for flow in position.flows if flow.at_ns >= legs.started_ns]
    if pair.kind is PairKind.SPOT_PERP and turn.config.fx.hedge is not FxHedge.PER_TRADE:
        return booked(captured_krw(traded, sell_usdt=mark.mid, buy_usdt=mark.mid))
    fee = decimal_of(turn.config.fx.conversion_fee_bps) / BPS
    sell, buy = EXACT.multiply(mark.bid, 1 - fee), EXACT.multiply(mark.ask, 1 + fee)
    return booked(captured_krw(traded, sell_usdt=sell, buy_usdt=buy))
