"""The bank rate."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.errors import ConfigError, ProtocolError
from arb.domain.events import FxSeen
from arb.domain.ids import FeedId, InstrumentId
from arb.venues.dunamu.rules import DunamuRate
from tests.venues.markets import answer, market

DUNAMU = market("dunamu")
ROW = {"code": "FRX.KRWUSD", "date": "2026-11-20", "time": "20:01:49", "basePrice": 1450.50, "tcBuyingPrice": None}


def test_the_rate_is_exact_and_dated_in_utc() -> None:
    (request,) = DUNAMU.status_requests(())
    assert request.target == "/v1/forex/recent?codes=FRX.KRWUSD"
    (seen,) = DUNAMU.parse_status((), (answer([ROW]),), 8)
    assert seen == FxSeen(at_ns=8, rate=Decimal("1450.5"), source="dunamu", published_ms=1795172509000)
    (stamped,) = DUNAMU.parse_status((), (answer([ROW | {"timestamp": 1795172509123}]),), 8)
    assert isinstance(stamped, FxSeen)
    assert stamped.published_ms == 1795172509123


@pytest.mark.parametrize(
    "body", [[], [ROW | {"basePrice": 0}], [ROW | {"date": "yesterday"}], [ROW | {"code": "FRX.KRWJPY"}], {"error": 1}]
)
def test_anything_else_is_no_rate(body: object) -> None:
    with pytest.raises(ProtocolError):
        DUNAMU.parse_status((), (answer(body),), 8)


def test_it_trades_nothing() -> None:
    assert DUNAMU.streams((), "dunamu") == ()
    assert DUNAMU.instruments_requests(()) == ()
    assert DUNAMU.parse_instruments((), ()) == ()
    with pytest.raises(ConfigError):
        DUNAMU.parse_instruments(("USD",), ())
    with pytest.raises(ConfigError):
        DUNAMU.depth_request("USD", 1)
    with pytest.raises(ProtocolError):
        DUNAMU.parse_depth(InstrumentId("dunamu:USD"), FeedId("f"), answer([]), 1)


def test_refusals_silence_it_for_a_minute() -> None:
    wait = DunamuRate().back_off(answer({}, 403), 5)
    assert wait is not None
    assert (wait.wait_s, wait.is_ban) == (60.0, True)
    assert DunamuRate().back_off(answer({}, 500), 5) is None
    assert DunamuRate().reports(answer({}, 429))[0].remaining == 0
    assert DUNAMU.parse_time(answer({}, date="Sat, 21 Nov 2026 06:00:00 GMT")) == 1795240800000
