"""Names of things, as distinct types."""

from __future__ import annotations

from typing import NewType

VenueId = NewType("VenueId", str)
"""`upbit`, `binance_spot`, `binance_usdm`: the name of the folder under `arb/venues`."""

AssetId = NewType("AssetId", str)
"""Upper-case asset code: `BTC`, `KRW`, `USDT`."""

InstrumentId = NewType("InstrumentId", str)
"""`venue:SYMBOL`, the symbol as the venue spells it: `upbit:KRW-BTC`, `binance_usdm:BTCUSDT`."""

PairId = NewType("PairId", str)
"""The configured name of a pair: `BTC`."""

FeedId = NewType("FeedId", str)
"""One venue connection: `upbit/public/0`. Books of one feed share its liveness."""

RunId = NewType("RunId", str)
"""One start of the engine; part of every client order id."""

ClientOrderId = NewType("ClientOrderId", str)
"""Our own name for an order: 28 characters of `a-z2-7`, never reused."""

VenueOrderId = NewType("VenueOrderId", str)
TradeId = NewType("TradeId", str)

Seq = NewType("Seq", int)
"""Journal sequence of a step, from 1, increasing by 1 within one run."""


def venue_of(instrument: InstrumentId) -> VenueId:
    """The venue part of an instrument id."""
    return VenueId(instrument.partition(":")[0])


def symbol_of(instrument: InstrumentId) -> str:
    """The venue's own symbol of an instrument id."""
    return instrument.partition(":")[2]


def instrument_id(venue: str, symbol: str) -> InstrumentId:
    """Join a venue and its symbol into an instrument id."""
    return InstrumentId(f"{venue}:{symbol}")
