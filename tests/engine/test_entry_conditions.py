"""Wallets, warnings, young listings, maintenance and identity: each keeps the engine from entering, by its name."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from arb.domain.effects import QueryAccount
from arb.domain.events import InstrumentSeen, VenueCondition, VenueStatus, WalletState
from arb.domain.ids import AssetId, InstrumentId, PairId, VenueId
from arb.domain.instrument import Caution
from arb.engine import Engine
from arb.engine.config import MaintenanceWindow
from tests.engine.exchange import MS, SECOND, START_NS, WALL_NS, A, B, D, Exchange, cheap, fresh, limits

BTC = AssetId("BTC")
DAY_MS = 86_400_000


def refusal(exchange: Exchange) -> str:
    """Why the pair does not enter now; empty when it did."""
    return exchange.engine.explain()[PairId("BTC")][0]


def tell(exchange: Exchange, venue: str, **changes: Any) -> tuple[object, ...]:
    """A venue's word on itself."""
    values: dict[str, Any] = {"condition": VenueCondition.UP} | changes
    return exchange.put(VenueStatus(at_ns=exchange.now_ns, venue=VenueId(venue), **values))


def wallet(*, deposit: bool | None = True, withdraw: bool | None = True) -> tuple[WalletState, ...]:
    return (WalletState(asset=BTC, deposit=deposit, withdraw=withdraw),)


def changed(exchange: Exchange, instrument: InstrumentId, **changes: Any) -> None:
    """A venue's rules with something else in them."""
    rules = attrs.evolve(exchange.engine.memory.market.instruments[instrument], **changes)
    exchange.put(InstrumentSeen(at_ns=exchange.now_ns, instrument=rules))


def again(exchange: Exchange, **changes: Any) -> Exchange:
    """The exchange with an engine of another configuration."""
    exchange.engine = Engine(attrs.evolve(exchange.engine.config, **changes))
    exchange.start()
    return exchange


def test_nothing_in_the_way_enters() -> None:
    exchange = fresh()
    exchange.run(1, cheap(70))

    assert exchange.submitted


@pytest.mark.parametrize(
    ("venue", "state", "reason"),
    [
        ("upbit", {"withdraw": False}, "wallet_closed"),
        ("binance_usdm", {"deposit": False}, "wallet_closed"),
        ("upbit", {"withdraw": None}, "wallet_unknown"),
        ("binance_usdm", {"deposit": None}, "wallet_unknown"),
    ],
)
def test_a_long_a_needs_the_way_out_of_a_and_into_b(venue: str, state: dict[str, Any], reason: str) -> None:
    exchange = fresh()
    tell(exchange, venue, wallets=wallet(**state))
    exchange.run(1, cheap(70))

    assert not exchange.submitted
    assert refusal(exchange) == reason


@pytest.mark.parametrize(("venue", "state"), [("upbit", {"deposit": False}), ("binance_usdm", {"withdraw": False})])
def test_the_other_way_may_be_closed(venue: str, state: dict[str, Any]) -> None:
    exchange = fresh()
    tell(exchange, venue, wallets=wallet(**state))
    exchange.run(1, cheap(70))

    assert exchange.submitted


def test_without_keys_a_venue_tells_no_wallet_and_that_is_no_refusal() -> None:
    exchange = fresh()
    tell(exchange, "upbit")
    exchange.run(1, cheap(70))

    assert exchange.submitted


def test_a_wallet_that_reopened_rests_before_the_pair_enters() -> None:
    exchange = again(fresh(), risk=limits(wallet_reopen_cooldown_s=10))
    tell(exchange, "upbit", wallets=wallet(withdraw=False))
    exchange.run(1, cheap(70))
    tell(exchange, "upbit", wallets=wallet())
    exchange.run(9, cheap(70))
    assert refusal(exchange) == "wallet_reopened"
    assert not exchange.submitted

    exchange.run(2, cheap(70))

    assert exchange.submitted


def test_a_closed_wallet_of_which_nothing_is_told_any_more_stays_closed_until_it_is_told_open() -> None:
    exchange = again(fresh(), risk=limits(wallet_reopen_cooldown_s=10))
    lane = exchange.engine.memory.lanes[PairId("BTC")]
    tell(exchange, "upbit", wallets=wallet(withdraw=False))
    tell(exchange, "upbit", wallets=wallet(deposit=False, withdraw=None))
    tell(exchange, "upbit", wallets=wallet(withdraw=None))
    assert lane.closed_ways == ("upbit/BTC/withdraw",)
    tell(exchange, "upbit")
    assert (lane.wallet_closed_ns, lane.wallet_reopened_ns) == (exchange.now_ns, None)

    exchange.run(1, cheap(70))
    tell(exchange, "upbit", wallets=wallet())

    assert (lane.wallet_closed_ns, lane.wallet_reopened_ns) == (None, exchange.now_ns)


@pytest.mark.parametrize(
    "caution",
    [Caution.WARNING, Caution.GLOBAL_PRICE_DIFFERENCE, Caution.DEPOSIT_SOARING, Caution.SMALL_ACCOUNTS],
)
def test_a_grave_caution_of_either_venue_forbids_entries(caution: Caution) -> None:
    for instrument in (A, B):
        exchange = fresh()
        changed(exchange, instrument, cautions=frozenset({caution}))
        exchange.run(1, cheap(70))

        assert not exchange.submitted
        assert refusal(exchange) == "caution"


@pytest.mark.parametrize("caution", [Caution.PRICE_FLUCTUATIONS, Caution.VOLUME_SOARING])
def test_a_mild_caution_halves_the_size(caution: Caution) -> None:
    whole, half = fresh(), fresh()
    changed(half, A, cautions=frozenset({caution}))
    for exchange in (whole, half):
        exchange.run(0.2, cheap(70))
    asked = [exchange.submitted[0].qty for exchange in (whole, half)]

    assert asked[0] is not None
    assert asked[1] is not None
    assert asked[0] / 2 - D("0.001") <= asked[1] <= asked[0] / 2


@pytest.mark.parametrize(("days", "reason"), [(13.9, "young_listing"), (14.1, "")])
def test_a_young_listing_is_left_alone(days: float, reason: str) -> None:
    exchange = fresh()
    changed(exchange, A, listed_ms=WALL_NS // MS - int(days * DAY_MS))
    exchange.run(1, cheap(70))

    assert bool(exchange.submitted) is not bool(reason)
    assert reason in ("", refusal(exchange))


def test_a_window_that_the_venue_tells_stops_entries_before_it_begins() -> None:
    exchange = again(fresh(), risk=limits(maint_lead_s=10))
    tell(exchange, "binance_usdm", until_ns=exchange.now_ns + 9 * SECOND)
    exchange.run(1, cheap(70))

    assert not exchange.submitted
    assert refusal(exchange) == "maintenance_ahead"


def announced(from_s: float, until_s: float) -> tuple[MaintenanceWindow, ...]:
    """A window of Upbit, in seconds from the start."""
    return (
        MaintenanceWindow(
            venue=VenueId("upbit"), from_ns=WALL_NS + int(from_s * SECOND), until_ns=WALL_NS + int(until_s * SECOND)
        ),
    )


def test_an_announced_window_stops_entries_ahead_within_and_until_the_books_have_settled() -> None:
    windows = announced(12, 15)
    exchange = again(fresh(), risk=limits(maint_lead_s=10, maint_settle_s=4), windows=windows)
    exchange.run(1, cheap(0))
    seen: dict[str, list[float]] = {}
    while not exchange.submitted and exchange.now_ns < START_NS + 30 * SECOND:
        exchange.run(0.5, cheap(70) if exchange.now_ns > START_NS + 3 * SECOND else cheap(0))
        seen.setdefault(refusal(exchange), []).append((exchange.now_ns - START_NS) / SECOND)

    assert seen["maintenance_ahead"][0] <= 4
    assert 14.5 <= seen["maintenance_ahead"][-1] <= 15
    assert seen["maintenance_settle"][0] >= 15
    assert 18 <= (exchange.now_ns - START_NS) / SECOND <= 20
    assert exchange.submitted


def test_a_window_far_ahead_is_in_nobody_s_way() -> None:
    exchange = again(fresh(), windows=announced(3_600, 7_200))
    exchange.run(1, cheap(70))

    assert exchange.submitted


def test_a_venue_in_maintenance_admits_nothing_and_settles_when_it_comes_back() -> None:
    exchange = again(fresh(), risk=limits(maint_settle_s=4))
    tell(exchange, "upbit", condition=VenueCondition.MAINTENANCE)
    exchange.run(1, cheap(70))
    assert not exchange.submitted
    back = tell(exchange, "upbit")
    assert QueryAccount(venue=VenueId("upbit"), reason="reopened") in back
    exchange.run(3, cheap(70))
    assert refusal(exchange) == "maintenance_settle"
    assert not exchange.submitted

    exchange.run(2, cheap(70))

    assert exchange.submitted


def test_two_instruments_that_price_different_assets_are_not_traded() -> None:
    exchange = fresh()
    item = exchange.engine.config.pairs[0]
    strict = attrs.evolve(item, pair=attrs.evolve(item.pair, identity_max_dev=0.005))
    exchange = again(exchange, pairs=(strict,))
    exchange.run(1, cheap(70))

    assert not exchange.submitted
    assert refusal(exchange) == "identity"
