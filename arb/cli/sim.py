"""`arb sim CONFIG`: the simulated venues alone, as servers on loopback, until a signal ends them.

Owns: the translation of `[sim]` into a world, and the lines that say where the venues are.
Never: trades.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

import attrs
import msgspec
import trio

from arb.cli.arguments import add_config
from arb.cli.schema import FaultSection, HoldingSection, Settings
from arb.cli.settings import load_settings
from arb.domain.errors import ConfigError
from arb.domain.ids import AssetId, InstrumentId, VenueId, venue_of
from arb.ports import Clock
from arb.supervision.clock import AnchoredClock
from arb.venues.simulated.listings import listing
from arb.venues.simulated.market import MarketPlan, MarketSource
from arb.venues.simulated.models import MODELS, FaultKind, FaultScript, VenueModel
from arb.venues.simulated.recorded import RecordedMarket
from arb.venues.simulated.world import WorldPlan
from arb.venues.wire.simulation import ServedVenue, SimParams, serve_simulation

FX_BOOK = InstrumentId("upbit:KRW-USDT")
VENUES = (*MODELS, VenueId("dunamu"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb sim config/live.toml --json"
    add_config(parser, json="one JSON line with all base URLs and keys when ready")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; exit 0."""
    settings = load_settings(args.config, overrides=args.overrides, flags={}, environ=os.environ).settings
    trio.run(_serve, settings, args.json)
    return 0


async def _serve(settings: Settings, is_json: bool) -> None:
    clock = AnchoredClock()
    params = sim_params(settings, listed_everywhere(settings), clock)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            served = await nursery.start(partial(serve_simulation, params, clock))
            sys.stdout.write(described(served, is_json))
            sys.stdout.flush()
            await anext(signals)
            nursery.cancel_scope.cancel(reason="asked to stop by a signal")


def described(served: dict[str, ServedVenue], is_json: bool) -> str:
    """Where the venues are: one JSON line, or lines for people."""
    rows = {venue: one.as_row() for venue, one in served.items()}
    if is_json:
        return msgspec.json.encode(rows).decode() + "\n"
    return "".join(f"{venue} {name}: {value}\n" for venue, row in rows.items() for name, value in row.items())


def sim_params(settings: Settings, instruments: tuple[InstrumentId, ...], clock: Clock) -> SimParams:
    """The world that `[sim]` describes, starting now.

    Raises:
        ConfigError: an instrument, venue, fault or data set that no simulated venue knows.
    """
    sim, start_ns = settings.sim, clock.wall_ns()
    listed = tuple(listing(one) for one in instruments)
    plan = WorldPlan(
        seed=sim.seed,
        start_ns=start_ns,
        instruments=listed,
        market=MarketPlan(speed=sim.speed, fair_bps=sim.fair_bps),
        faults=tuple(_script(number, one) for number, one in enumerate(sim.faults)),
        models=tuple(_endowed(model, sim.holdings) for model in MODELS.values()),
    )
    market: MarketSource | None = None
    if sim.market.value == "recorded":
        market = RecordedMarket(_recorded_lines(sim.data), listed, sim.speed, start_ns)
    return SimParams(world=plan, market=market)


def traded(settings: Settings) -> tuple[InstrumentId, ...]:
    """What the configuration trades or converts with; a second FX book only where it is simulated."""
    sides = [InstrumentId(side) for pair in settings.pairs for side in (pair.a, pair.b)]
    second = [InstrumentId(settings.fx.second)] if settings.fx.second else []
    return tuple(dict.fromkeys([*sides, FX_BOOK, *(one for one in second if venue_of(one) in MODELS)]))


def listed_everywhere(settings: Settings) -> tuple[InstrumentId, ...]:
    """The coins of the configuration on all three venues."""
    coins = dict.fromkeys(str(listing(one).base) for one in traded(settings) if one != FX_BOOK)
    names = [
        name for coin in coins for name in (f"upbit:KRW-{coin}", f"binance_spot:{coin}USDT", f"binance_usdm:{coin}USDT")
    ]
    return tuple(dict.fromkeys([*(InstrumentId(name) for name in names), *traded(settings)]))


def _endowed(model: VenueModel, holdings: tuple[HoldingSection, ...]) -> VenueModel:
    """A venue whose accounts open with what `[[sim.holdings]]` says."""
    for one in holdings:
        if one.venue not in MODELS:
            raise ConfigError(f"sim.holdings: {one.venue!r} is not simulated; one of {', '.join(MODELS)}")
    told = {AssetId(one.asset): one.amount for one in holdings if one.venue == model.venue}
    return attrs.evolve(model, balances=tuple((dict(model.balances) | told).items()))


def _script(number: int, section: FaultSection) -> FaultScript:
    kinds = [kind.value for kind in FaultKind]
    if section.kind not in kinds:
        raise ConfigError(f"sim.faults[{number}].kind: {section.kind!r} is unknown; one of {', '.join(kinds)}")
    if section.venue not in VENUES:
        raise ConfigError(f"sim.faults[{number}].venue: {section.venue!r} is not simulated; one of {', '.join(VENUES)}")
    return FaultScript(
        at_s=section.at, venue=VenueId(section.venue), kind=FaultKind(section.kind), duration_s=section.duration
    )


def _recorded_lines(data: str | None) -> list[str]:
    try:
        return Path(data or "").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"sim.data: {data!r} cannot be read: {error.strerror}; name a JSON Lines file of book images"
        ) from error
