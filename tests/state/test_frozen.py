"""What the engine remembers survives being written and read back."""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.depth import Depth
from arb.domain.events import DepthSeen, FxSeen
from arb.domain.fees import Fee
from arb.domain.order import Purpose, Side
from arb.state.fx import FxMarks
from arb.state.ledger import Ledger
from arb.state.market import Market
from arb.storage.codec import decode_value, encode_value
from arb.strategy.convergence import STRATEGY
from arb.strategy.convergence.memory import ConvergenceMemory
from tests import strategies as make
from tests.state.test_fx import PARAMS
from tests.state.test_market import LIMITS
from tests.strategy.test_convergence import FAIR, held, view


def book(at_ns: int) -> Depth:
    return make.depth(make.FX_BOOK, (1450.0, 1.0), (1451.0, 1.0), at_ns=at_ns)


def test_market_and_fx_come_back() -> None:
    market, fx = Market(LIMITS), FxMarks(PARAMS, tick=Decimal("0.5"))
    for at_ns in (5, 10**10):
        market.see_depth(DepthSeen(at_ns=at_ns, depth=book(at_ns)))
        fx.see_executable(book(at_ns))
    fx.see_bank(FxSeen(at_ns=1, rate=Decimal("1390.5"), source="dunamu", published_ms=1))

    assert decode_value(encode_value(market), Market) == market
    assert decode_value(encode_value(fx), FxMarks) == fx


def test_the_books_come_back() -> None:
    ledger = Ledger(0)
    ledger.open_position(make.position())
    for name, side, purpose in (("1", Side.BUY, Purpose.ENTRY), ("2", Side.SELL, Purpose.EXIT)):
        fill = make.fill(make.A_BTC, name, side, "0.1" if name == "1" else "0.09", "148800000")
        ledger.book_fill(
            fill,
            make.instrument(),
            make.tag("a", "148800000", purpose),
            fx_mid=Decimal("1450.5"),
            fee=Fee(Decimal("7440"), make.KRW),
        )
    open_copy = decode_value(encode_value(ledger), Ledger)
    assert open_copy == ledger

    ledger.close_position(make.BTC_PAIR, fx_mid=Decimal("1450.5"), at_ns=1, wall_ns=1, reason="x")

    assert decode_value(encode_value(ledger), Ledger) == ledger


def test_a_strategy_s_own_state_comes_back() -> None:
    own = STRATEGY.initial()
    params = attrs.evolve(FAIR, fair_bps=None, fair_min_samples=1)
    for second in range(3):
        own, _ = STRATEGY.decide(view(now_ns=second * 10**9, position=held()), own, params)

    assert decode_value(encode_value(own), ConvergenceMemory) == own
