import json
from decimal import Decimal
from typing import Any

import attrs
import pytest

from arb.domain.errors import VenueUnavailable
from arb.domain.events import WalletState
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId, TradeId, VenueOrderId
from arb.domain.order import Balance, Fill, Liquidity, OrderState, OrderUpdate, Side
from arb.venues.spec import Alive, BalancesSeen, Fault, Reconnect
from arb.venues.upbit.account import UpbitAccount
from tests.venues.goldens import UPBIT
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer

BTC = INSTRUMENTS["upbit"]
ACCOUNT: Any = UpbitAccount(KEYS, (BTC,))
UUID = "c1f7a3d2-0001-4000-8000-000000000001"


def heard(name: str):
    return ACCOUNT.receive(UPBIT[name].encode(), NOW_NS)


def test_handshake_carries_a_token_and_asks_for_orders_and_assets():
    target = ACCOUNT.target(None, STAMP)

    assert target.path == ""
    assert dict(target.headers)["Authorization"].startswith("Bearer eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.")
    assert json.loads(target.opening[0]) == [
        {"ticket": STAMP.nonce},
        {"type": "myOrder"},
        {"type": "myAsset"},
        {"format": "DEFAULT"},
    ]
    assert ACCOUNT.prepare_request(STAMP) is None
    assert ACCOUNT.keepalive_request(STAMP) is None


@pytest.mark.parametrize("name", ["my_order_trade", "my_order_trade_simple"])
def test_execution_is_told_digit_for_digit_in_either_spelling(name):
    fill, update = heard(name)

    assert fill == Fill(
        instrument=BTC.id,
        trade_id=TradeId("c1f7a3d2-aaaa-4000-8000-000000000001"),
        client_order_id=NAME,
        venue_order_id=VenueOrderId(UUID),
        side=Side.BUY,
        qty=Decimal("9.101e-05"),
        price=Decimal("109950000.0"),
        fee=Fee(Decimal("5.00327475"), AssetId("KRW")),
        liquidity=Liquidity.TAKER,
        received_ns=NOW_NS,
        venue_ns=1_795_000_000_123_000_000,
    )
    assert update == OrderUpdate(
        client_order_id=NAME,
        instrument=BTC.id,
        state=OrderState.OPEN,
        filled_qty=Decimal("0.00009101"),
        avg_price=Decimal("109950000.0"),
        venue_order_id=VenueOrderId(UUID),
        received_ns=NOW_NS,
        venue_ns=1_795_000_000_130_000_000,
    )


def test_execution_on_the_stream_and_in_rest_have_one_trade_id():
    fill, _ = heard("my_order_trade")
    (first, *_) = json.loads(UPBIT["queried"])["trades"]

    assert fill.trade_id == first["uuid"]


def test_ended_order_with_nulls_keeps_what_it_filled():
    (update,) = heard("my_order_cancel")

    assert (update.state, update.filled_qty) == (OrderState.CANCELED, Decimal("0.00009101"))


def test_order_of_other_hands_is_told_under_the_name_the_venue_gave_it():
    (update,) = heard("my_order_external")

    assert update.client_order_id == "c1f7a3d2-0009-4000-8000-000000000009"
    assert (update.state, update.avg_price) == (OrderState.OPEN, None)


def test_order_of_an_instrument_that_is_not_ours_is_a_sign_of_life():
    other: Any = UpbitAccount(KEYS, (attrs.evolve(BTC, id=InstrumentId("upbit:KRW-ETH")),))

    assert other.receive(UPBIT["my_order_trade"].encode(), NOW_NS) == (Alive(),)


@pytest.mark.parametrize("name", ["my_asset", "my_asset_simple"])
def test_balance_of_26_digits_survives(name):
    assert heard(name) == (
        BalancesSeen(
            balances=(
                Balance(AssetId("KRW"), Decimal("1386929.3723161039234567891"), Decimal("10329.67")),
                Balance(AssetId("BTC"), Decimal("0.5"), Decimal(0)),
            ),
            is_full=False,
        ),
    )


def test_heartbeat_is_a_sign_of_life_and_an_error_asks_for_a_new_connection():
    assert heard("up") == (Alive(),)
    fault, again = heard("invalid_auth")
    assert isinstance(fault, Fault)
    assert isinstance(again, Reconnect)
    assert fault.detail.startswith("INVALID_AUTH")


@pytest.mark.parametrize("lost", ["trade_uuid", "price", "volume"])
def test_execution_without_its_facts_is_a_fault(lost):
    frame = json.loads(UPBIT["my_order_trade"])
    frame[lost] = None

    (fault,) = ACCOUNT.receive(json.dumps(frame).encode(), NOW_NS)

    assert isinstance(fault, Fault)
    assert "without id, price or volume" in fault.detail


def test_snapshot_reads_balances_and_the_open_orders_of_each_instrument():
    stamps = (STAMP,) * ACCOUNT.snapshot_count((BTC,))
    requests = ACCOUNT.snapshot_requests((BTC,), stamps)
    facts = ACCOUNT.parse_snapshot((BTC,), (answer(UPBIT["accounts"]), answer(f"[{UPBIT['placed']}]")), NOW_NS)

    assert [request.target for request in requests] == [
        "/v1/accounts",
        "/v1/orders/open?market=KRW-BTC&states[]=wait&states[]=watch&limit=100",
    ]
    assert facts[0] == BalancesSeen(
        balances=(
            Balance(AssetId("KRW"), Decimal(1000000), Decimal(0)),
            Balance(AssetId("BTC"), Decimal("2.0"), Decimal("0.5")),
        ),
        is_full=True,
    )
    assert [(fact.client_order_id, fact.state) for fact in facts[1:]] == [(NAME, OrderState.OPEN)]


def test_full_page_of_open_orders_says_that_there_may_be_more():
    page = "[" + ",".join([UPBIT["placed"]] * 100) + "]"

    facts = ACCOUNT.parse_snapshot((BTC,), (answer(UPBIT["accounts"]), answer(page)), NOW_NS)

    assert facts[-1] == Fault("upbit:KRW-BTC: 100 open orders listed, there may be more")


def test_refused_snapshot_is_an_unavailable_venue():
    with pytest.raises(VenueUnavailable, match="rate"):
        ACCOUNT.parse_snapshot((BTC,), (answer("", 429), answer("[]")), NOW_NS)


def test_fees_are_those_of_the_dearer_side():
    (request,) = ACCOUNT.fees_requests((BTC,), (STAMP,))
    (fees,) = ACCOUNT.parse_fees((BTC,), (answer(UPBIT["chance"]),))

    assert request.target == "/v1/orders/chance?market=KRW-BTC"
    assert (fees.maker_rate, fees.taker_rate, fees.source) == (Decimal("0.0005"), Decimal("0.0005"), "venue")


def test_wallet_is_open_where_any_network_is():
    request = ACCOUNT.wallets_request(STAMP)

    assert request is not None
    assert request.target == "/v1/status/wallet"
    assert ACCOUNT.parse_wallets(answer(UPBIT["wallets"])) == (
        WalletState(asset=AssetId("USDT"), deposit=False, withdraw=True),
        WalletState(asset=AssetId("BTC"), deposit=True, withdraw=True),
    )


def test_spot_has_nothing_to_set_up_and_no_funding():
    assert ACCOUNT.setup_count == 0
    assert ACCOUNT.setup_requests(BTC, 1, ()) == ()
    assert ACCOUNT.setup_problem(BTC, 1, ()) is None
    assert ACCOUNT.funding_request(0, STAMP) is None
    assert ACCOUNT.parse_funding(answer("[]"), NOW_NS) == ()
