"""Settings as the engine wants them.

Owns: the translation; the engine never sees a section name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from arb.cli.schema import FxChoice, Settings
from arb.cli.settings import strategy_params
from arb.domain.errors import ConfigError
from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.fx import FxParams
from arb.domain.ids import InstrumentId, PairId, VenueId, instrument_id
from arb.domain.pair import Pair
from arb.engine import EngineConfig, PairConfig
from arb.engine.config import MaintenanceWindow

_BPS = Decimal("1e-4")
_SECOND_NS = 1_000_000_000
SPREADS_EVERY_S = 1.0
"""Rows of `spreads` and `fx_rates` come at the interval of evaluations, but not oftener than this."""
BNB_DISCOUNT = Decimal("0.75")


def engine_config(settings: Settings, wall_ns: int) -> EngineConfig:
    """The whole configuration of the core, for a run that starts at `wall_ns`.

    Raises:
        ConfigError: the risk day's time zone or start is not legal.
    """
    return EngineConfig(
        pairs=tuple(
            PairConfig(_pair(settings, pair.name), strategy_params(settings, pair.name)) for pair in settings.pairs
        ),
        fx=_fx(settings),
        execution=settings.execution,
        risk=settings.risk,
        fees=_fees(settings),
        day_offset_ns=day_offset_ns(settings.risk.day_timezone, settings.risk.day_start, wall_ns),
        spreads_every_s=max(SPREADS_EVERY_S, settings.interval),
        windows=tuple(
            MaintenanceWindow(venue=VenueId(venue), from_ns=_utc_ns(window.begin), until_ns=_utc_ns(window.until))
            for venue, section in settings.venues.items()
            for window in section.maintenance
        ),
    )


def _utc_ns(moment: datetime) -> int:
    return int(moment.timestamp()) * _SECOND_NS


def pair_strategies(settings: Settings) -> dict[str, str]:
    """Strategy by pair, for the stores."""
    return {pair.name: pair.strategy for pair in settings.pairs}


def day_offset_ns(zone: str, start: str, wall_ns: int) -> int:
    """What to add to UTC so that risk days begin at multiples of 24 h; the zone's offset at the start of the run
    holds throughout.

    Raises:
        ConfigError: no such zone, or the start is not HH:MM.
    """
    try:
        offset = ZoneInfo(zone).utcoffset(datetime.fromtimestamp(wall_ns // _SECOND_NS, UTC))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"risk.day_timezone: {zone!r} is not an IANA time zone such as Asia/Seoul") from error
    try:
        begin = datetime.strptime(start, "%H:%M").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"risk.day_start: {start!r} is not HH:MM") from error
    seconds = 0 if offset is None else int(offset.total_seconds())
    return (seconds - begin.hour * 3_600 - begin.minute * 60) * _SECOND_NS


def _pair(settings: Settings, name: str) -> Pair:
    section = next(pair for pair in settings.pairs if pair.name == name)
    return Pair(
        id=PairId(section.name),
        a=InstrumentId(section.a),
        b=InstrumentId(section.b),
        kind=section.kind,
        multiplier=section.multiplier,
        directions=frozenset(section.directions),
        identity_max_dev=section.identity_max_dev,
        strategy=section.strategy,
    )


def _fx(settings: Settings) -> FxParams:
    fx = settings.fx
    return FxParams(
        executable=None if fx.executable is FxChoice.STATIC else instrument_id("upbit", "KRW-USDT"),
        executable_rate=fx.executable_rate if fx.executable is FxChoice.STATIC else None,
        second=None if fx.second is None else InstrumentId(fx.second),
        hedge=fx.hedge,
        home_usdt=fx.home_usdt,
        max_age_ms=fx.max_age_ms,
        fx_jump_bps=fx.fx_jump_bps,
        fx_jump_s=fx.fx_jump_s,
        fx_band_pct=fx.fx_band_pct,
        fx_band_weekend_pct=fx.fx_band_weekend_pct,
        fx_second_max_bps=fx.fx_second_max_bps,
        fx_max_spread_ticks=fx.fx_max_spread_ticks,
        bank_max_age_s=fx.bank_max_age_s,
        conversion_fee_bps=fx.conversion_fee_bps,
    )


def _fees(settings: Settings) -> dict[VenueId, FeeSchedule]:
    fees = settings.fees
    discount = BNB_DISCOUNT if fees.assume_bnb_discount else Decimal(1)
    spot_asset = FeeAsset.BNB if fees.assume_bnb_discount else FeeAsset.RECEIVED
    return {
        VenueId("upbit"): _schedule(fees.upbit_krw_bps, FeeAsset.QUOTE),
        VenueId("binance_usdm"): _schedule(fees.binance_usdm_taker_bps, FeeAsset.QUOTE),
        VenueId("binance_spot"): _schedule(fees.binance_spot_taker_bps * discount, spot_asset),
    }


def _schedule(bps: Decimal, asset: FeeAsset) -> FeeSchedule:
    return FeeSchedule(maker_rate=bps * _BPS, taker_rate=bps * _BPS, fee_asset=asset)
