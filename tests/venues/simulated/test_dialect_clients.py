"""Our own clients, written apart from the dialects, understand them: books, accounts, orders, private streams."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from arb.domain.ids import ClientOrderId, FeedId, VenueId
from arb.domain.order import Fill, OrderState, OrderUpdate, Position, Side, TimeInForce
from arb.venues.simulated.dialect import HttpAnswer
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.spec import BalancesSeen, BookChanged, BookLost, Fault, MarketProtocol, NeedSnapshot, StreamPlan
from tests.venues.private import cancel, order, query
from tests.venues.served import Floor, frames

VENUES = ("upbit", "binance_spot", "binance_usdm")


def feed(floor: Floor, protocol: MarketProtocol, raw: tuple[bytes, ...]) -> list[object]:
    """Let a client read frames, snapshots included."""
    seen: list[object] = []
    for frame in raw:
        seen += protocol.receive(frame, floor.now_ns)
    for need in [one for one in seen if isinstance(one, NeedSnapshot)]:
        answer = floor.send(need.request)
        seen += protocol.receive_snapshot(need.instrument, answer.body, floor.now_ns)
    return seen


def book_plan(floor: Floor) -> StreamPlan:
    assert floor.spec.market is not None
    return floor.spec.market.streams(floor.instruments, floor.venue)[0]


BASES = {"upbit": "/websocket/v1", "binance_spot": "", "binance_usdm": ""}


@pytest.mark.parametrize("venue", VENUES)
def test_the_client_learns_the_rules_that_the_simulator_has(venue: str) -> None:
    floor = Floor(venue)
    market = floor.spec.market
    assert market is not None
    symbols = tuple(one.symbol for one in floor.instruments)

    answers = tuple(floor.send(request) for request in market.instruments_requests(symbols))
    parsed = market.parse_instruments(symbols, answers)

    for ours, theirs in zip(parsed, floor.instruments, strict=True):
        assert (ours.id, ours.base, ours.quote, ours.lot, ours.min_notional, ours.status) == (
            theirs.id, theirs.base, theirs.quote, theirs.lot, theirs.min_notional, theirs.status,
        )  # fmt: skip
        price = floor.simulation.world.exchange(venue).book(theirs.id)
        assert price is not None
        assert ours.ticks.tick_at(price.bids[0][0]) == theirs.ticks.tick_at(price.bids[0][0])


@pytest.mark.parametrize("venue", VENUES)
def test_the_clients_book_is_the_exchanges_book(venue: str) -> None:
    floor = Floor(venue)
    plan = book_plan(floor)
    session = floor.session(BASES[venue] + plan.path, *plan.protocol.opening())
    seen: list[object] = []

    for _ in range(40):
        floor.run(0.1)
        seen += feed(floor, plan.protocol, frames(session))

    assert any(isinstance(one, BookChanged) for one in seen)
    assert not [one for one in seen if isinstance(one, BookLost | Fault)]
    for instrument in floor.instruments:
        depth = plan.protocol.depth(instrument.id, 5)
        image = floor.front.dialect.tapes if venue == "upbit" else floor.front.dialect.market.tapes  # type: ignore[attr-defined]  # the fronts differ
        assert depth is not None
        bids, asks = image[instrument.symbol].image.bids[:5], image[instrument.symbol].image.asks[:5]
        assert depth.bids == pytest.approx([float(value) for level in bids for value in level])
        assert depth.asks == pytest.approx([float(value) for level in asks for value in level])


@pytest.mark.parametrize("venue", VENUES)
def test_a_rest_book_and_the_status_reads_are_understood(venue: str) -> None:
    floor = Floor(venue)
    market = floor.spec.market
    assert market is not None
    instrument = floor.instruments[0]

    depth = market.parse_depth(
        instrument.id, FeedId("x"), floor.send(market.depth_request(instrument.symbol, 5)), floor.now_ns
    )
    requests = market.status_requests((instrument.symbol,))
    status = market.parse_status((instrument.symbol,), tuple(floor.send(one) for one in requests), floor.now_ns)

    assert depth.is_two_sided
    assert not depth.is_crossed
    assert bool(status) or venue != "binance_usdm"
    time_request = market.time_request()
    if time_request is not None:
        assert market.parse_time(floor.send(time_request)) == floor.now_ns // 1_000_000


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
def test_a_sequence_gap_is_noticed_and_repaired(venue: str) -> None:
    floor = Floor(venue, faults=(FaultScript(at_s=2.0, venue=VenueId(venue), kind=FaultKind.SEQUENCE_GAP),))
    plan = book_plan(floor)
    session = floor.session(plan.path, *plan.protocol.opening())
    seen: list[object] = []

    for _ in range(60):
        floor.run(0.1)
        seen += feed(floor, plan.protocol, frames(session))

    assert len([one for one in seen if isinstance(one, BookLost)]) == 1
    assert plan.protocol.depth(floor.instruments[0].id, 5) is not None


def best(floor: Floor, side: Side) -> Decimal:
    image = floor.simulation.world.exchange(floor.venue).book(floor.instruments[0].id)
    assert image is not None
    return (image.asks if side is Side.BUY else image.bids)[0][0]


@pytest.mark.parametrize("venue", VENUES)
def test_an_immediate_order_fills_and_every_answer_says_so(venue: str) -> None:
    floor = Floor(venue)
    spec, instrument = floor.spec.account, floor.instruments[0]
    assert spec is not None
    account, codec = spec.account(floor.credentials, floor.instruments), spec.orders(floor.credentials)
    prepare = account.prepare_request(floor.stamp())
    target = account.target(None if prepare is None else floor.send(prepare), floor.stamp())
    stream = floor.private(urlsplit(account.ws_private_url).path, target)
    new = order(venue, price=str(best(floor, Side.BUY) + 20 * instrument.ticks.tick_at(best(floor, Side.BUY))))

    answers = codec.parse_submit(new, floor.send(codec.submit(new, instrument, floor.stamp())), floor.now_ns)
    floor.run(0.2)
    private = [fact for frame in frames(stream) for fact in account.receive(frame, floor.now_ns)]
    asked = codec.parse_query(query(venue), floor.send(codec.query(query(venue), floor.stamp())), floor.now_ns)

    assert all(one.state is not OrderState.REJECTED for one in answers if isinstance(one, OrderUpdate))
    fills = [one for one in private if isinstance(one, Fill)]
    assert sum(one.qty for one in fills) == Decimal("0.01")
    assert all(one.fee is not None and one.fee.amount > 0 for one in fills)
    assert [one for one in private if isinstance(one, OrderUpdate)][-1].state is OrderState.FILLED
    update = next(one for one in asked if isinstance(one, OrderUpdate))
    assert (update.state, update.filled_qty) == (OrderState.FILLED, Decimal("0.01"))
    assert not [one for one in private if isinstance(one, Fault)]
    trades = codec.trades(query(venue), update, floor.stamp())
    rest = (
        [one for one in asked if isinstance(one, Fill)]
        if trades is None
        else codec.parse_trades(query(venue), floor.send(trades), floor.now_ns)
    )
    assert {one.trade_id for one in rest} == {one.trade_id for one in fills}


@pytest.mark.parametrize("venue", VENUES)
def test_a_resting_order_is_listed_and_cancelled_once(venue: str) -> None:
    floor = Floor(venue)
    spec, instrument = floor.spec.account, floor.instruments[0]
    assert spec is not None
    account, codec = spec.account(floor.credentials, floor.instruments), spec.orders(floor.credentials)
    price = instrument.ticks.floor(best(floor, Side.SELL) * Decimal("0.97"))
    new = order(venue, price=str(price), time_in_force=TimeInForce.GTC)

    floor.send(codec.submit(new, instrument, floor.stamp()))
    requests = account.snapshot_requests(
        floor.instruments, tuple(floor.stamp() for _ in range(account.snapshot_count(floor.instruments)))
    )
    snapshot = account.parse_snapshot(floor.instruments, tuple(floor.send(one) for one in requests), floor.now_ns)
    first = codec.parse_cancel(cancel(venue), floor.send(codec.cancel(cancel(venue), floor.stamp())), floor.now_ns)
    floor.run(0.2)
    after = codec.parse_query(query(venue), floor.send(codec.query(query(venue), floor.stamp())), floor.now_ns)
    again = codec.parse_cancel(cancel(venue), floor.send(codec.cancel(cancel(venue), floor.stamp())), floor.now_ns)

    assert [one.client_order_id for one in snapshot if isinstance(one, OrderUpdate)] == [new.request.client_order_id]
    assert any(isinstance(one, BalancesSeen) and one.is_full for one in snapshot)
    assert first
    assert next(one for one in after if isinstance(one, OrderUpdate)).state is OrderState.CANCELED
    assert all(
        one.state in (OrderState.UNKNOWN, OrderState.NOT_FOUND, OrderState.CANCELED)
        for one in again
        if isinstance(one, OrderUpdate)
    )


@pytest.mark.parametrize("venue", VENUES)
def test_a_query_of_an_unknown_order_finds_nothing(venue: str) -> None:
    floor = Floor(venue)
    assert floor.spec.account is not None
    codec = floor.spec.account.orders(floor.credentials)

    asked = codec.parse_query(query(venue), floor.send(codec.query(query(venue), floor.stamp())), floor.now_ns)

    assert [one.state for one in asked if isinstance(one, OrderUpdate)] == [OrderState.NOT_FOUND]


@pytest.mark.parametrize("venue", VENUES)
def test_fees_and_wallets_are_read_as_the_model_has_them(venue: str) -> None:
    floor = Floor(venue)
    assert floor.spec.account is not None
    account = floor.spec.account.account(floor.credentials, floor.instruments)
    model = floor.simulation.world.exchange(venue).model

    requests = account.fees_requests(floor.instruments, tuple(floor.stamp() for _ in floor.instruments))
    fees = account.parse_fees(floor.instruments, tuple(floor.send(one) for one in requests))
    wallets = account.wallets_request(floor.stamp())

    assert all((one.maker_rate, one.taker_rate) == (model.fees.maker_rate, model.fees.taker_rate) for one in fees)
    if wallets is not None:
        assert all(one.deposit and one.withdraw for one in account.parse_wallets(floor.send(wallets)))


def test_a_perpetual_is_set_up_twice_without_a_problem_and_positions_are_read_back() -> None:
    floor = Floor("binance_usdm")
    assert floor.spec.account is not None
    account, codec = (
        floor.spec.account.account(floor.credentials, floor.instruments),
        floor.spec.account.orders(floor.credentials),
    )
    instrument = floor.instruments[0]

    for _ in range(2):
        stamps = tuple(floor.stamp() for _ in range(account.setup_count))
        answers = tuple(floor.send(one) for one in account.setup_requests(instrument, 2, stamps))
        assert account.setup_problem(instrument, 2, answers) is None

    sell = order("binance_usdm", side=Side.SELL, price=str(best(floor, Side.SELL) - 10))
    floor.send(codec.submit(sell, instrument, floor.stamp()))
    requests = account.snapshot_requests(
        floor.instruments, tuple(floor.stamp() for _ in range(account.snapshot_count(floor.instruments)))
    )
    snapshot = account.parse_snapshot(floor.instruments, tuple(floor.send(one) for one in requests), floor.now_ns)

    position = next(one for one in snapshot if isinstance(one, Position) and one.qty)
    assert position.qty == Decimal("-0.01")
    assert position.liquidation_price is not None
    assert position.liquidation_price > position.entry_price


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_is_executed_and_never_answered_is_found_by_a_query(venue: str) -> None:
    floor = Floor(
        venue, faults=(FaultScript(at_s=0.0, venue=VenueId(venue), kind=FaultKind.TIMEOUT_THEN_ACCEPT, duration_s=5.0),)
    )
    assert floor.spec.account is not None
    codec, instrument = floor.spec.account.orders(floor.credentials), floor.instruments[0]
    new = order(venue, price=str(best(floor, Side.BUY) + 20 * instrument.ticks.tick_at(best(floor, Side.BUY))))
    request = codec.submit(new, instrument, floor.stamp())

    answer = floor.http(
        request.method, request.target, {name.lower(): value for name, value in request.headers}, request.body
    )
    asked = codec.parse_query(query(venue), floor.send(codec.query(query(venue), floor.stamp())), floor.now_ns)

    assert answer is None
    assert [one.state for one in asked if isinstance(one, OrderUpdate)] == [OrderState.FILLED]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.HTTP_5XX, 503), (FaultKind.RATE_LIMIT, 429), (FaultKind.BAN, 418)]
)
def test_bad_weather_leaves_an_order_to_its_status(venue: str, kind: FaultKind, status: int) -> None:
    floor = Floor(venue, faults=(FaultScript(at_s=0.0, venue=VenueId(venue), kind=kind, duration_s=5.0),))
    assert floor.spec.account is not None
    codec, instrument = floor.spec.account.orders(floor.credentials), floor.instruments[0]
    new = order(venue)

    answer = floor.send(codec.submit(new, instrument, floor.stamp()))
    updates = [one for one in codec.parse_submit(new, answer, floor.now_ns) if isinstance(one, OrderUpdate)]

    assert answer.status == status
    assert [one.state for one in updates] == [OrderState.UNKNOWN if status == 503 else OrderState.REJECTED]
    back_off = floor.spec.rate.back_off(answer, floor.now_ns // 1_000_000)
    assert (back_off is not None and back_off.is_ban) is (status == 418)


@pytest.mark.parametrize("venue", VENUES)
def test_streams_fall_silent_close_and_are_refused_by_script(venue: str) -> None:
    scripts = (
        FaultScript(at_s=1.0, venue=VenueId(venue), kind=FaultKind.SILENCE, duration_s=1.0),
        FaultScript(at_s=4.0, venue=VenueId(venue), kind=FaultKind.DISCONNECT, duration_s=1.0),
    )
    floor = Floor(venue, faults=scripts)
    plan = book_plan(floor)
    session = floor.session(BASES[venue] + plan.path, *plan.protocol.opening())

    floor.run(0.6)
    session.take()
    floor.run(0.8)
    assert session.take() == ()
    floor.run(1.5)
    assert frames(session)
    floor.run(0.8)
    assert [out.code for out in session.take() if not isinstance(out, str | bytes)] == [1001]
    refused = floor.open(BASES[venue] + plan.path)
    assert isinstance(refused, HttpAnswer)
    assert refused.status == 503


def test_the_name_of_the_test_order_is_a_legal_client_order_id_everywhere() -> None:
    assert order("upbit").request.client_order_id == ClientOrderId("abcdefghijklmnopqrstuvwxyz23")
