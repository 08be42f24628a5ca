"""Instruments and frames for tests of public streams; all hand-made."""

from __future__ import annotations

import json
from decimal import Decimal

from arb.domain.ids import AssetId, instrument_id
from arb.domain.instrument import Instrument, InstrumentKind, single_tick
from arb.venues import load_venue
from arb.venues.spec import HttpResponse, MarketProtocol, MarketSpec, StreamPlan


def instrument(venue: str, symbol: str, interval_s: int | None = None) -> Instrument:
    return Instrument(
        id=instrument_id(venue, symbol),
        kind=InstrumentKind.PERPETUAL if venue == "binance_usdm" else InstrumentKind.SPOT,
        base=AssetId("BTC"),
        quote=AssetId("KRW" if venue == "upbit" else "USDT"),
        ticks=single_tick(Decimal("0.01")),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=None,
        min_notional=Decimal(5),
        max_notional=None,
        funding_interval_s=interval_s,
    )


def market(venue: str) -> MarketSpec:
    spec = load_venue(venue).market
    assert spec is not None
    return spec


def plans(venue: str, *symbols: str) -> tuple[StreamPlan, ...]:
    return market(venue).streams(tuple(instrument(venue, symbol) for symbol in symbols), venue)


def protocol(venue: str, *symbols: str) -> MarketProtocol:
    return plans(venue, *symbols)[0].protocol


def answer(body: object, status: int = 200, **headers: str) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(
        status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=raw
    )


def diff(
    stream: str, first: int, final: int, bids: list[list[str]], asks: list[list[str]], previous: int | None = None
) -> bytes:
    data: dict[str, object] = {"e": "depthUpdate", "E": 1795000000000 + final, "s": "BTCUSDT", "U": first, "u": final}
    if previous is not None:
        data |= {"T": 1795000000000, "pu": previous}
    data |= {"b": bids, "a": asks}
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def image(last: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    return json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode()
