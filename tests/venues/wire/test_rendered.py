"""Shadow orders: written out by the real codecs, with nothing in them that a key has made."""

from __future__ import annotations

import logging
from decimal import Decimal as D

import attrs
import pytest

from arb.domain.effects import Cancel, Query, QueryAccount
from arb.domain.ids import ClientOrderId, InstrumentId, PairId
from arb.domain.order import ApprovedOrder, OrderRequest, OrderType, Purpose, Side, TimeInForce
from arb.ports import HeldOrder, Synced
from arb.venues import load_venue
from arb.venues.simulated.listings import listing
from arb.venues.spec import AccountSpec, Credentials, HttpRequest, Stamp
from arb.venues.wire.rendered import rendered, request_text

NAME = ClientOrderId("n" * 28)
VENUES = {"upbit": "upbit:KRW-BTC", "binance_usdm": "binance_usdm:BTCUSDT", "binance_spot": "binance_spot:BTCUSDT"}


@attrs.define
class Behind:
    """A gateway that keeps what it is given."""

    got: list[object] = attrs.field(factory=list)

    def prepare(self, order: ApprovedOrder, seq: int) -> HeldOrder:
        return HeldOrder(order, seq, go=lambda _: self.got.append(order))

    def cancel_nowait(self, cancel: Cancel) -> None:
        self.got.append(cancel)

    def query_nowait(self, query: Query) -> None:
        self.got.append(query)

    def query_account_nowait(self, query: QueryAccount) -> None:
        self.got.append(query)


def stamp() -> Stamp:
    return Stamp(wall_ms=1_760_000_000_000, nonce="nonce-of-this-request")


def private(venue: str) -> AccountSpec:
    account = load_venue(venue).account
    assert account is not None
    return account


def order(instrument: InstrumentId) -> ApprovedOrder:
    request = OrderRequest(
        client_order_id=NAME,
        instrument=instrument,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        qty=D("0.02"),
        price=D("148800000"),
        time_in_force=TimeInForce.IOC,
        reduce_only=False,
        purpose=Purpose.ENTRY,
        pair=PairId("BTC"),
        leg="a",
        expected_price=D("148800000"),
    )
    return ApprovedOrder(request, 0)  # the gate is not under test here


@pytest.mark.parametrize("venue", VENUES)
def test_every_order_and_cancel_is_logged_as_its_venue_would_receive_it_and_handed_on(venue, caplog):
    spec, instrument, behind = load_venue(venue), listing(InstrumentId(VENUES[venue])), Behind()
    gateway = rendered(behind, spec.venue, private(venue), {instrument.id: instrument}, stamp)
    placed = order(instrument.id)
    cancel = Cancel(client_order_id=NAME, venue_order_id=None, instrument=instrument.id)

    with caplog.at_level(logging.INFO, "arb.orders"):
        held = gateway.prepare(placed, 7)
        assert (behind.got, caplog.records) == ([], []), "nothing before its release"
        held.release(Synced(7))
        gateway.cancel_nowait(cancel)

    assert behind.got == [placed, cancel]
    assert [record.getMessage() for record in caplog.records] == ["order_rendered", "order_rendered"]
    texts = [vars(record)["request"] for record in caplog.records]
    assert texts[0].startswith("POST /")
    assert texts[1].startswith("DELETE /")
    for text in texts:
        assert NAME in text
        assert "***" in text
    assert "148800000" in texts[0]
    assert "0.02" in texts[0]


@pytest.mark.parametrize("venue", VENUES)
def test_nothing_that_a_key_makes_is_left_in_the_text(venue):
    instrument = listing(InstrumentId(VENUES[venue]))
    account = private(venue)

    def text(key: str, secret: str) -> str:
        request = account.orders(Credentials(key=key, secret=secret)).submit(order(instrument.id), instrument, stamp())
        return request_text(request)

    assert text("key-one", "secret-one") == text("key-two", "secret-two")
    assert "key-one" not in text("key-one", "secret-one")


def test_queries_pass_through_without_a_line(caplog):
    spec, behind = load_venue("upbit"), Behind()
    gateway = rendered(behind, spec.venue, private("upbit"), {}, stamp)
    asked = Query(client_order_id=NAME, venue_order_id=None, instrument=InstrumentId("upbit:KRW-BTC"), not_before_ns=0)
    reread = QueryAccount(venue=spec.venue, reason="test")

    with caplog.at_level(logging.INFO, "arb.orders"):
        gateway.query_nowait(asked)
        gateway.query_account_nowait(reread)

    assert behind.got == [asked, reread]
    assert caplog.records == []


def test_a_signature_in_a_body_is_blanked_too():
    request = HttpRequest(
        method="POST", path="/x", query="a=1&signature=abc", body=b"b=2&signature=def&c=3", bucket="o"
    )

    assert request_text(request) == "POST /x?a=1&signature=*** | b=2&signature=***&c=3"
