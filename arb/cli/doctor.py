"""`arb doctor CONFIG`: looks at everything a run needs, and says what to do where something is amiss.

Owns: the order of the looks, the exit code, and the choice of venues: those of the configuration, or simulated ones of
its own in mock mode.
Never: changes anything, here or at a venue. It may be used while an engine runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import attrs
import msgspec
import trio
from rich.console import Console
from rich.progress import Progress

from arb.cli.arguments import add_config
from arb.cli.findings import Finding, has_error, overall, shown
from arb.cli.local_findings import local_findings
from arb.cli.market_findings import bank_finding, clock_findings, executable_fx, identity_finding
from arb.cli.permission import Permission, read_permission_file
from arb.cli.schema import Mode, Settings
from arb.cli.settings import Loaded, load_settings
from arb.cli.sim import listed_everywhere, sim_params
from arb.cli.venue_access import VenueUrls, real_urls, wanted_instruments
from arb.cli.venue_findings import Examined, Surgery, examine
from arb.domain.ids import InstrumentId, VenueId, venue_of
from arb.supervision.clock import AnchoredClock
from arb.venues import load_venue
from arb.venues.wire.dial import SocketDialer
from arb.venues.wire.simulation import ServedVenue, serve_simulation


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb doctor config/live.toml --mode live"
    add_config(parser, mode="look as if run in this mode", json="one JSON document")


def run(args: argparse.Namespace) -> int:
    """Exit 0 when nothing is wrong, 1 when something is; what is merely doubtful does not count."""
    loaded = load_settings(args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ)
    findings = trio.run(partial(everything, loaded, os.environ, os.getuid(), is_quiet=args.json))
    if args.json:
        body = {
            "mode": loaded.settings.mode.value,
            "status": overall(findings).value,
            "checks": [one.as_row() for one in findings],
        }
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
    else:
        console = Console(highlight=False)
        shown(console, findings)
        console.print(f"doctor: {overall(findings).value.upper()}")
    return 1 if has_error(findings) else 0


async def everything(loaded: Loaded, environ: Mapping[str, str], uid: int, *, is_quiet: bool) -> list[Finding]:
    """Every look, in the order in which it is shown; `is_quiet`: without a progress bar."""
    clock, settings = AnchoredClock(), loaded.settings
    found = list(local_findings(loaded, traded_venues(settings), environ=environ, uid=uid, wall_ns=clock.wall_ns()))
    permission = read_permission_file(Path(settings.arm.file), clock.wall_ns(), uid)
    async with trio.open_nursery() as nursery:
        urls = _known_urls(settings)
        if settings.mode is Mode.MOCK:
            served = await nursery.start(
                serve_simulation, sim_params(settings, listed_everywhere(settings), clock), clock
            )
            urls |= _simulated_urls(served)
        surgery = Surgery(
            settings=settings,
            urls=urls,
            permission=permission if isinstance(permission, Permission) else None,
            clock=clock,
            dialer=SocketDialer(),
        )
        examined = await _examined(surgery, is_quiet=is_quiet)
        found += [finding for one in examined.values() for finding in one.findings]
        found += clock_findings(examined)
        rate, fx = executable_fx(settings, examined)
        found += [*fx, await bank_finding(surgery, rate)]
        nursery.cancel_scope.cancel(reason="everything has been looked at")
    return [*found, *(identity_finding(pair, examined, rate) for pair in settings.pairs)]


async def _examined(surgery: Surgery, *, is_quiet: bool) -> dict[VenueId, Examined]:
    """All venues at the same time; the answer in the order of the configuration."""
    wanted = wanted_instruments(surgery.settings)
    answers: dict[VenueId, Examined] = {}

    async def one(venue: VenueId, symbols: tuple[str, ...]) -> None:
        answers[venue] = await examine(surgery, venue, symbols)
        progress.advance(looking)

    with Progress(console=Console(stderr=True), transient=True, disable=is_quiet) as progress:
        looking = progress.add_task("venues", total=len(wanted))
        async with trio.open_nursery() as nursery:
            for venue, symbols in wanted.items():
                nursery.start_soon(one, venue, symbols)
    return {venue: answers[venue] for venue in wanted}


def traded_venues(settings: Settings) -> tuple[str, ...]:
    """Venues of the pairs' legs, in their order."""
    return tuple(dict.fromkeys(venue_of(InstrumentId(side)) for pair in settings.pairs for side in (pair.a, pair.b)))


def _known_urls(settings: Settings) -> dict[VenueId, VenueUrls]:
    """The venues in use, and those that tell of others' keys, reached with the keys of the others where they have none
    of their own."""
    urls = {venue: real_urls(settings, venue) for venue in wanted_instruments(settings)}
    for venue in tuple(urls):
        teller = load_venue(venue).wallets_at
        if teller is not None and teller not in urls:
            there = real_urls(settings, teller)
            urls[teller] = there if there.credentials else attrs.evolve(there, credentials=urls[venue].credentials)
    return urls


def _simulated_urls(served: Mapping[str, ServedVenue]) -> dict[VenueId, VenueUrls]:
    return {
        VenueId(venue): VenueUrls(
            rest=one.rest, ws=one.ws or "", ws_private=one.ws_private or "", credentials=one.credentials
        )
        for venue, one in served.items()
    }
