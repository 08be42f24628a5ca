"""Every venue with a private half keeps the same promises, however strange the venue's answers."""

import importlib
import itertools
import json
import pkgutil
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import arb.venues
from arb.domain.effects import Cancel, Query
from arb.domain.errors import ConfigError, InvariantBroken, ProtocolError, VenueUnavailable
from arb.domain.ids import ClientOrderId, VenueOrderId
from arb.domain.order import Fill, OrderState, OrderType, OrderUpdate, Side, TimeInForce
from arb.venues import load_venue
from arb.venues.refusals import Outcome, cancel_refused, submit_refused
from arb.venues.simulated.auth_binance import BinanceGuard
from arb.venues.simulated.auth_upbit import UpbitGuard
from arb.venues.simulated.dialect import Ask
from arb.venues.spec import Credentials, Fault, HttpRequest, HttpResponse, Reconnect, Stamp, VenueSpec
from tests.venues.goldens import GOLDENS
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer, cancel, order, query


def with_accounts() -> dict[str, VenueSpec]:
    """The venue folders that offer a private half."""
    found = {}
    for module in pkgutil.iter_modules(arb.venues.__path__):
        try:
            venue = load_venue(module.name)
        except ConfigError:
            continue
        if venue.account is not None:
            found[module.name] = venue
    return found


VENUES = with_accounts()
every_venue = pytest.mark.parametrize("name", VENUES)


def codec(name) -> Any:
    half = VENUES[name].account
    assert half is not None
    return half.orders(KEYS)


def account(name) -> Any:
    half = VENUES[name].account
    assert half is not None
    return half.account(KEYS, (INSTRUMENTS[name],))


# A golden text with one value replaced, or a key lost, or anything at all.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(["", "NaN", "Infinity", "-1", "0", "1e999999999", "1E+90", "0.1", "e", [], {}, [[]], 10**40]),
    st.text(max_size=8),
)


def places(value, path=()):
    """Every path into a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, odd):
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], odd)
    return copy


def spoiled(name: str) -> st.SearchStrategy[bytes]:
    """A golden of the venue with something wrong in it."""

    @st.composite
    def draw_one(draw):
        whole = json.loads(draw(st.sampled_from(sorted(GOLDENS[name].values()))))
        path = draw(st.sampled_from(list(places(whole))))
        return json.dumps(replaced(whole, path, draw(ODD))).encode()

    return st.one_of(
        draw_one(),
        st.binary(max_size=60),
        st.sampled_from(sorted(GOLDENS[name].values())).map(str.encode),
        st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b'{"e":"\xff"}', b"", b"null", b"[]", b"{}"]),
    )


def test_three_venues_have_a_private_half():
    assert set(VENUES) == {"upbit", "binance_spot", "binance_usdm"}


@every_venue
def test_every_golden_frame_is_understood_by_its_own_venue(name):
    frames = {key: text for key, text in GOLDENS[name].items() if '"E":' in text or '"type":"my' in text}

    assert frames
    for key, text in frames.items():
        facts = account(name).receive(text.encode(), NOW_NS)
        assert facts, key
        if key != "hedge_mode":
            assert not any(isinstance(fact, Fault) for fact in facts), key


@every_venue
def test_no_frame_whatever_raises(name):
    stream = account(name)

    @given(frame=spoiled(name))
    def law(frame):
        facts = stream.receive(frame, NOW_NS)
        assert facts
        assert_sane(facts)

    law()


@every_venue
def test_an_unreadable_frame_is_a_fault_that_shows_it(name):
    (fault,) = account(name).receive(b"\x80\x81 no json", NOW_NS)

    assert isinstance(fault, Fault)
    assert "no json" in fault.detail


def assert_sane(facts):
    for fact in facts:
        if isinstance(fact, Fill):
            assert fact.qty.is_finite()
            assert fact.price.is_finite()
        if isinstance(fact, OrderUpdate) and fact.filled_qty is not None:
            assert fact.filled_qty.is_finite()


@every_venue
def test_no_answer_whatever_makes_an_order_answer_raise(name):
    orders = codec(name)

    @given(body=spoiled(name), status=st.sampled_from([200, 201, 400, 401, 403, 404, 408, 418, 429, 500, 503]))
    def law(body, status):
        heard = HttpResponse(status=status, headers={}, body=body)
        for facts in (
            orders.parse_submit(order(name), heard, NOW_NS),
            orders.parse_cancel(cancel(name), heard, NOW_NS),
            orders.parse_query(query(name), heard, NOW_NS),
        ):
            *fills, update = facts
            assert isinstance(update, OrderUpdate)
            assert all(isinstance(fill, Fill) for fill in fills)
            assert (update.client_order_id, update.instrument) == (NAME, INSTRUMENTS[name].id)
            assert_sane(facts)

    law()


@every_venue
def test_reads_give_values_or_say_that_they_could_not(name):
    reader, orders, instruments = account(name), codec(name), (INSTRUMENTS[name],)

    def attempts(heard):
        count = reader.snapshot_count(instruments)
        yield lambda: reader.parse_snapshot(instruments, (heard,) * count, NOW_NS)
        yield lambda: reader.parse_fees(instruments, (heard,))
        yield lambda: reader.parse_wallets(heard)
        yield lambda: reader.parse_funding(heard, NOW_NS)
        yield lambda: reader.parse_permission(heard)
        yield lambda: reader.parse_transfers((heard,) * reader.transfers_count, 0, NOW_NS)
        yield lambda: reader.parse_executions(instruments, (heard,) * reader.executions_count(instruments), NOW_NS)
        yield lambda: reader.target(heard, STAMP)
        yield lambda: reader.setup_problem(instruments[0], 10, (heard,) * reader.setup_count)
        yield lambda: orders.parse_trades(query(name), heard, NOW_NS)

    @given(body=spoiled(name), status=st.sampled_from([200, 200, 200, 400, 503]))
    def law(body, status):
        for attempt in attempts(HttpResponse(status=status, headers={}, body=body)):
            with suppress(ProtocolError, VenueUnavailable):
                attempt()

    law()


@every_venue
@pytest.mark.parametrize(
    ("order_type", "side", "time_in_force"), list(itertools.product(OrderType, Side, TimeInForce)), ids=str
)
def test_every_form_is_encoded_or_is_our_mistake(name, order_type, side, time_in_force):
    by_quote = order_type is OrderType.MARKET_BY_QUOTE or (order_type is OrderType.BEST and side is Side.BUY)
    approved = order(
        name,
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        qty=None if by_quote else "1E-7",
        quote_qty="5E+4" if by_quote else None,
        price="1E+5" if order_type is OrderType.LIMIT else None,
    )

    try:
        request = codec(name).submit(approved, INSTRUMENTS[name], STAMP)
    except InvariantBroken:
        assert order_type is not OrderType.LIMIT
        return
    text = request.query + request.body.decode()
    assert NAME in text
    assert "E-" not in text
    assert "E+" not in text


@every_venue
def test_hedge_and_entry_as_the_engine_sends_them_are_encoded(name):
    for side, reduce_only in itertools.product(Side, (False, True)):
        request = codec(name).submit(order(name, side=side, reduce_only=reduce_only), INSTRUMENTS[name], STAMP)
        assert request.method == "POST"


@every_venue
@pytest.mark.parametrize("status", [500, 502, 504, 599])
def test_server_error_leaves_a_submit_open(name, status):
    (update,) = codec(name).parse_submit(order(name), answer("<html>", status), NOW_NS)

    assert (update.state, update.filled_qty) == (OrderState.UNKNOWN, None)


@every_venue
@pytest.mark.parametrize(("status", "reason"), [(429, "rate"), (418, "ban")])
def test_submit_that_met_a_limit_was_not_executed(name, status, reason):
    (update,) = codec(name).parse_submit(order(name), answer("", status), NOW_NS)

    assert (update.state, update.filled_qty) == (OrderState.REJECTED, 0)
    assert update.reason.startswith(reason)


NO_SUCH_ORDER = {
    "upbit": answer({"error": {"name": "order_not_found", "message": "주문을 찾지 못했습니다."}}, 404),
    "binance_spot": answer({"code": -2013, "msg": "Order does not exist."}, 400),
    "binance_usdm": answer({"code": -2013, "msg": "Order does not exist."}, 400),
}
SAME_NAME_AGAIN = {
    "upbit": answer({"error": {"name": "duplicated_identifier", "message": ""}}, 400),
    "binance_spot": answer({"code": -2010, "msg": "Duplicate order sent."}, 400),
    "binance_usdm": answer({"code": -4116, "msg": "ClientOrderId is duplicated."}, 400),
}
NEVER_SEEN = {
    "upbit": answer({"error": {"name": "never_seen", "message": ""}}, 400),
    "binance_spot": answer({"code": -987654, "msg": "Never seen."}, 400),
    "binance_usdm": answer({"code": -987654, "msg": "Never seen."}, 400),
}


@every_venue
def test_unknown_order_is_not_found_to_a_query_and_nothing_to_a_cancel_or_a_submit(name):
    orders, absent = codec(name), NO_SUCH_ORDER[name]

    assert orders.parse_query(query(name), absent, NOW_NS)[0].state is OrderState.NOT_FOUND
    assert orders.parse_cancel(cancel(name), absent, NOW_NS)[0].state is OrderState.UNKNOWN
    assert orders.parse_submit(order(name), absent, NOW_NS)[0].state is OrderState.UNKNOWN


@every_venue
@pytest.mark.parametrize("heard", [SAME_NAME_AGAIN, NEVER_SEEN], ids=["duplicate", "unmapped"])
def test_duplicate_name_and_unmapped_refusal_are_asked_about(name, heard):
    (update,) = codec(name).parse_submit(order(name), heard[name], NOW_NS)

    assert update.state is OrderState.UNKNOWN


@every_venue
def test_every_refusal_of_a_table_has_one_of_the_consequences_and_only_a_definite_one_ends_an_order(name):
    table = importlib.import_module(f"arb.venues.{name}.errors").ERRORS

    assert {consequence.outcome for consequence in table.values()} == set(Outcome)
    for consequence in table.values():
        update = submit_refused(order(name).request, consequence, "", NOW_NS)
        is_open = consequence.outcome in (Outcome.UNKNOWN, Outcome.NOT_FOUND)
        assert update.state is (OrderState.UNKNOWN if is_open else OrderState.REJECTED)
        assert cancel_refused(cancel(name), consequence, "", NOW_NS).state is OrderState.UNKNOWN
        assert update.reason == consequence.reason != ""


REFUSED_KEYS: dict[str, list[tuple[int, Any]]] = {
    "upbit": [(401, {"error": {"name": "invalid_access_key"}}), (401, {"error": {"name": "expired_access_key"}}),
              (401, {"error": {"name": "no_authorization_ip"}}), (401, {"error": {"name": "jwt_verification"}})],
    "binance_spot": [(400, {"code": -1022, "msg": ""}), (400, {"code": -2014, "msg": ""}), (401, {"code": -2015})],
    "binance_usdm": [(400, {"code": -1022, "msg": ""}), (401, {"code": -2014, "msg": ""}), (400, {"code": -2015}),
                     (401, {"code": -2017})],
}  # fmt: skip


@every_venue
def test_a_refused_key_is_told_from_every_other_refusal(name):
    venue = VENUES[name]

    for status, body in REFUSED_KEYS[name]:
        assert venue.is_key_refused(answer(body, status)), body
    for heard in (NO_SUCH_ORDER[name], SAME_NAME_AGAIN[name], NEVER_SEEN[name], answer("", 503), answer("{}", 200)):
        assert not venue.is_key_refused(heard)


@every_venue
def test_query_that_failed_has_not_found_nothing(name):
    (update,) = codec(name).parse_query(query(name), answer("", 503), NOW_NS)

    assert update.state is OrderState.UNKNOWN


@every_venue
def test_every_request_is_signed_and_taken_from_a_bucket_the_venue_has(name):
    venue, instrument = VENUES[name], INSTRUMENTS[name]
    buckets = {bucket.name for bucket in venue.rate.buckets}
    requests = list(all_requests(name, instrument))

    assert len(requests) >= 6
    for request in requests:
        assert request.bucket in buckets, request
        assert request.weight >= 1
        assert KEYS.secret not in repr(request)
        assert request.path.startswith("/")


def all_requests(name, instrument):
    reader, orders = account(name), codec(name)
    found = [
        orders.submit(order(name), instrument, STAMP),
        orders.cancel(cancel(name), STAMP),
        orders.query(query(name), STAMP),
        orders.cancel_many((cancel(name),) * min(orders.most_cancels, 2), STAMP),
        orders.dead_man_request(instrument, 30_000, STAMP),
        *reader.snapshot_requests((instrument,), (STAMP,) * reader.snapshot_count((instrument,))),
        *reader.transfers_requests(0, (STAMP,) * reader.transfers_count),
        *reader.fees_requests((instrument,), (STAMP,)),
        *reader.setup_requests(instrument, 10, (STAMP,) * reader.setup_count),
        reader.wallets_request(STAMP),
        reader.funding_request(0, STAMP),
        reader.permission_request(STAMP),
        reader.prepare_request(STAMP),
        reader.keepalive_request(STAMP),
    ]
    return [request for request in found if isinstance(request, HttpRequest)]


@every_venue
def test_two_stamps_never_give_the_same_signature(name):
    later = Stamp(wall_ms=STAMP.wall_ms + 1, nonce="0b2f1e3f-2dc1-4d6f-a838-c74c49b0e39a")
    orders = codec(name)

    assert orders.query(query(name), STAMP) != orders.query(query(name), later)
    assert orders.query(query(name), STAMP) == orders.query(query(name), STAMP)


@every_venue
def test_stream_target_needs_nothing_but_what_its_preparation_gave(name):
    stream = account(name)
    prepared = None if stream.prepare_request(STAMP) is None else answer({"listenKey": "k" * 64})

    target = stream.target(prepared, STAMP)

    assert stream.ws_private_url.startswith("wss://")
    assert not stream.ws_private_url.endswith("/")
    assert target.path == "" or target.path.startswith("/")
    assert KEYS.secret not in repr(target)


@every_venue
def test_refused_credentials_never_look_like_silence(name):
    frame = {
        "upbit": '{"error":{"name":"INVALID_AUTH","message":""}}',
        "binance_spot": '{"id":"x","status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}',
        "binance_usdm": '{"e":"listenKeyExpired","E":1,"listenKey":"k"}',
    }[name]

    assert isinstance(account(name).receive(frame.encode(), NOW_NS)[-1], Reconnect)


def test_credentials_do_not_show_their_secret():
    shown = repr(Credentials(key="abcdefghijkl", secret="hush"))

    assert "hush" not in shown
    assert "abcdefghijkl" not in shown


@every_venue
def test_cancel_and_query_go_by_the_venues_number_where_it_is_known_and_else_by_the_name_it_printed(name):
    by_name = {"client_order_id": ClientOrderId("x-HNA2TXFJ/by hand"), "instrument": INSTRUMENTS[name].id}
    by_number = {**by_name, "venue_order_id": VenueOrderId("42")}

    for ask in (
        lambda named: codec(name).query(Query(not_before_ns=0, **{"venue_order_id": None, **named}), STAMP),
        lambda named: codec(name).cancel(Cancel(**{"venue_order_id": None, **named}), STAMP),
    ):
        assert "x-HNA2TXFJ%2Fby%20hand" in ask(by_name).query
        numbered = ask(by_number).query
        assert ("uuid=42" if name == "upbit" else "orderId=42") in numbered
        assert "x-HNA2TXFJ" not in numbered


def three(name):
    return tuple(
        Cancel(client_order_id=ClientOrderId(f"{number:028d}"), venue_order_id=None, instrument=INSTRUMENTS[name].id)
        for number in range(3)
    )


@pytest.mark.parametrize("name", ["upbit", "binance_usdm"])
def test_one_request_cancels_many_and_no_answer_whatever_loses_one_of_them(name):
    orders = codec(name)
    assert orders.most_cancels >= 10
    request = orders.cancel_many(three(name), STAMP)
    assert (request.method, all(f"{number:028d}" in request.query for number in range(3))) == ("DELETE", True)

    @given(body=spoiled(name), status=st.sampled_from([200, 400, 429, 503]))
    def law(body, status):
        facts = orders.parse_cancel_many(three(name), HttpResponse(status=status, headers={}, body=body), NOW_NS)
        updates = [fact for fact in facts if isinstance(fact, OrderUpdate)]
        assert [update.client_order_id for update in updates] == [one.client_order_id for one in three(name)]
        assert all(update.state is OrderState.UNKNOWN for update in updates)

    law()


def test_spot_cancels_by_name_one_at_a_time():
    assert codec("binance_spot").most_cancels == 1


def asked(request: HttpRequest) -> Ask:
    return Ask(
        method=request.method,
        path=request.path,
        query=request.query,
        headers={key.lower(): value for key, value in request.headers},
        body=request.body,
    )


@every_venue
def test_the_venues_own_check_written_apart_from_ours_lets_every_request_in(name):
    upbit, binance = UpbitGuard(KEYS.key, KEYS.secret), BinanceGuard(KEYS.key, KEYS.secret)
    for request in all_requests(name, INSTRUMENTS[name]):
        if name == "upbit":
            fault: object = upbit.check(asked(request))
            upbit.nonces.clear()
        elif "listenKey" in request.path:
            fault = binance.check_key(asked(request))
        else:
            fault = binance.check(asked(request), STAMP.wall_ms)
        assert fault is None, (request, fault)


def test_the_venues_own_check_lets_the_private_streams_in():
    upbit = account("upbit").target(None, STAMP)
    spot = account("binance_spot").target(None, STAMP)

    headers = {key.lower(): value for key, value in upbit.headers}
    assert UpbitGuard(KEYS.key, KEYS.secret).check(Ask(method="GET", path=upbit.path, headers=headers)) is None
    params = json.loads(spot.opening[0])["params"]
    assert BinanceGuard(KEYS.key, KEYS.secret).check_call(params, STAMP.wall_ms) is None
