"""Orders, answers and instruments for the tests of private halves."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from arb.domain.effects import Cancel, Query
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, PairId, VenueOrderId
from arb.domain.instrument import Instrument, InstrumentKind, single_tick
from arb.domain.order import ApprovedOrder, OrderRequest, OrderType, Purpose, Side, TimeInForce
from arb.venues.spec import Credentials, HttpResponse, Stamp

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
VECTORS = CORPUS / "signing_vectors.jsonl"

NAME = ClientOrderId("abcdefghijklmnopqrstuvwxyz23")
NOW_NS = 1_000_000_007
STAMP = Stamp(wall_ms=1_795_000_000_000, nonce="6f1de0a3-2c53-4ee8-b6d4-0ad3b6a5f2c1")
KEYS = Credentials(key="a-test-key-of-our-own", secret="a-test-secret-of-our-own")

INSTRUMENTS = {
    "upbit": Instrument(
        id=InstrumentId("upbit:KRW-BTC"),
        kind=InstrumentKind.SPOT,
        base=AssetId("BTC"),
        quote=AssetId("KRW"),
        ticks=single_tick(Decimal(1000)),
        lot=Decimal("0.00000001"),
        min_qty=Decimal("0.00000001"),
        max_qty=None,
        min_notional=Decimal(5000),
        max_notional=Decimal(1_000_000_000),
    ),
    "binance_spot": Instrument(
        id=InstrumentId("binance_spot:BTCUSDT"),
        kind=InstrumentKind.SPOT,
        base=AssetId("BTC"),
        quote=AssetId("USDT"),
        ticks=single_tick(Decimal("0.01")),
        lot=Decimal("0.00001"),
        min_qty=Decimal("0.00001"),
        max_qty=Decimal(9000),
        min_notional=Decimal(5),
        max_notional=None,
    ),
    "binance_usdm": Instrument(
        id=InstrumentId("binance_usdm:BTCUSDT"),
        kind=InstrumentKind.PERPETUAL,
        base=AssetId("BTC"),
        quote=AssetId("USDT"),
        ticks=single_tick(Decimal("0.1")),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(1000),
        min_notional=Decimal(100),
        max_notional=None,
    ),
}


def vectors(venue: str, channel: str) -> list[dict[str, object]]:
    """Recorded signing vectors; none where the corpus is absent."""
    if not VECTORS.exists():
        return []
    rows = [json.loads(line) for line in VECTORS.read_text("utf-8").splitlines()]
    return [row for row in rows if (row["venue"], row["channel"]) == (venue, channel)]


def order(
    venue: str,
    *,
    side: Side = Side.BUY,
    order_type: OrderType = OrderType.LIMIT,
    qty: str | None = "0.01",
    quote_qty: str | None = None,
    price: str | None = "100000",
    time_in_force: TimeInForce = TimeInForce.IOC,
    reduce_only: bool = False,
) -> ApprovedOrder:
    """An approved order on the venue's instrument."""
    request = OrderRequest(
        client_order_id=NAME,
        instrument=INSTRUMENTS[venue].id,
        side=side,
        order_type=order_type,
        qty=None if qty is None else Decimal(qty),
        quote_qty=None if quote_qty is None else Decimal(quote_qty),
        price=None if price is None else Decimal(price),
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        purpose=Purpose.ENTRY,
        pair=PairId("BTC"),
        leg="a",
        expected_price=Decimal(100_000),
    )
    return ApprovedOrder(request, approved_ns=NOW_NS)


def query(venue: str, venue_order_id: str | None = None) -> Query:
    """A query of that order."""
    return Query(
        client_order_id=NAME,
        venue_order_id=None if venue_order_id is None else VenueOrderId(venue_order_id),
        instrument=INSTRUMENTS[venue].id,
        not_before_ns=0,
    )


def cancel(venue: str) -> Cancel:
    """A cancel of that order."""
    return Cancel(client_order_id=NAME, venue_order_id=None, instrument=INSTRUMENTS[venue].id)


def answer(body: object, status: int = 200) -> HttpResponse:
    """An HTTP answer; text goes as it is, anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    return HttpResponse(status=status, headers={}, body=text.encode())
