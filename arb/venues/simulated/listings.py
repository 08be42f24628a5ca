"""Rules of the instruments that simulated venues list: what the real ones had in 2026.

Owns: ticks, lots and limits by venue, and the prices at which simulated coins start.
Never: claims to be current; the engine reads the rules from the venue, simulated or real.
Units: prices in quote, quantities in base units; reference prices USDT.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.errors import ConfigError
from arb.domain.ids import AssetId, InstrumentId, instrument_id, symbol_of, venue_of
from arb.domain.instrument import Instrument, InstrumentKind, TickBand, TickTable, single_tick

REFERENCE_USDT: Final = {
    "BTC": 103_000.0,
    "ETH": 3_300.0,
    "SOL": 172.0,
    "XRP": 2.16,
    "BNB": 600.0,
    "ADA": 0.52,
    "DOGE": 0.17,
    "TRX": 0.29,
    "LINK": 14.5,
    "AVAX": 15.8,
}
"""Where generated prices start; any other coin starts at `OTHER_USDT`."""
OTHER_USDT: Final = 10.0

KRW_TICKS: Final = TickTable(
    tuple(
        TickBand(Decimal(price), Decimal(tick))
        for price, tick in (
            ("1000000", "1000"),
            ("500000", "500"),
            ("100000", "100"),
            ("50000", "50"),
            ("10000", "10"),
            ("5000", "5"),
            ("100", "1"),
            ("10", "0.1"),
            ("1", "0.01"),
            ("0.1", "0.001"),
            ("0.01", "0.0001"),
            ("0.001", "0.00001"),
            ("0.0001", "0.000001"),
            ("0.00001", "0.0000001"),
            ("0", "0.00000001"),
        )
    )
)
"""Upbit's KRW market since 2025-07-31."""

_SPOT_RULES: Final = {
    "BTC": ("0.01", "0.00001"),
    "ETH": ("0.01", "0.0001"),
    "SOL": ("0.01", "0.001"),
    "BNB": ("0.01", "0.001"),
}
_USDM_RULES: Final = {
    "BTC": ("0.10", "0.001", "100"),
    "ETH": ("0.01", "0.001", "20"),
    "SOL": ("0.01", "0.01", "5"),
    "XRP": ("0.0001", "0.1", "5"),
}


def reference_usdt(coin: str) -> float:
    """Where the price of a coin starts."""
    return REFERENCE_USDT.get(coin, OTHER_USDT)


def listing(instrument: InstrumentId) -> Instrument:
    """Rules of an instrument on a simulated venue.

    Raises:
        ConfigError: no simulated venue lists it.
    """
    venue, symbol = venue_of(instrument), symbol_of(instrument)
    if venue == "upbit" and symbol.startswith("KRW-") and len(symbol) > 4:
        return _upbit(symbol[4:])
    if venue in ("binance_spot", "binance_usdm") and symbol.endswith("USDT") and len(symbol) > 4:
        return _spot(symbol[:-4]) if venue == "binance_spot" else _perpetual(symbol[:-4])
    raise ConfigError(
        f"no simulated venue lists {instrument}: use upbit:KRW-…, binance_spot:…USDT or binance_usdm:…USDT"
    )


def _upbit(coin: str) -> Instrument:
    return Instrument(
        id=instrument_id("upbit", f"KRW-{coin}"),
        kind=InstrumentKind.SPOT,
        base=AssetId(coin),
        quote=AssetId("KRW"),
        ticks=KRW_TICKS,
        lot=Decimal("0.00000001"),
        min_qty=Decimal("0.00000001"),
        max_qty=None,
        min_notional=Decimal(5_000),
        max_notional=Decimal(1_000_000_000),
    )


def _spot(coin: str) -> Instrument:
    tick, lot = _SPOT_RULES.get(coin, _small_rules(coin))
    return Instrument(
        id=instrument_id("binance_spot", f"{coin}USDT"),
        kind=InstrumentKind.SPOT,
        base=AssetId(coin),
        quote=AssetId("USDT"),
        ticks=single_tick(Decimal(tick)),
        lot=Decimal(lot),
        min_qty=Decimal(lot),
        max_qty=Decimal(9_000),
        min_notional=Decimal(5),
        max_notional=Decimal(9_000_000),
        band_up=Decimal(5),
        band_down=Decimal("0.2"),
    )


def _perpetual(coin: str) -> Instrument:
    tick, lot, notional = _USDM_RULES.get(coin, (*_small_rules(coin), "5"))
    return Instrument(
        id=instrument_id("binance_usdm", f"{coin}USDT"),
        kind=InstrumentKind.PERPETUAL,
        base=AssetId(coin),
        quote=AssetId("USDT"),
        ticks=single_tick(Decimal(tick)),
        lot=Decimal(lot),
        min_qty=Decimal(lot),
        max_qty=Decimal(1_000) if coin == "BTC" else Decimal(10_000_000),
        min_notional=Decimal(notional),
        max_notional=None,
        band_up=Decimal("1.05"),
        band_down=Decimal("0.95"),
    )


def _small_rules(coin: str) -> tuple[str, str]:
    return ("0.0001", "0.1") if reference_usdt(coin) < 50 else ("0.01", "0.001")
