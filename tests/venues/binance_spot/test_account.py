import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import attrs
import pytest

from arb.domain.events import WalletState
from arb.domain.fees import Fee, FeeAsset
from arb.domain.ids import AssetId, InstrumentId, TradeId, VenueOrderId
from arb.domain.order import Balance, Fill, Liquidity, OrderState, OrderUpdate, Side
from arb.venues.binance_spot.account import BinanceSpotAccount
from arb.venues.spec import Alive, BalancesSeen, Fault, Reconnect, Reread
from tests.venues.goldens import BINANCE_SPOT
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer

BTC = INSTRUMENTS["binance_spot"]
ACCOUNT: Any = BinanceSpotAccount(KEYS, (BTC,))


def heard(name: str):
    return ACCOUNT.receive(BINANCE_SPOT[name].encode(), NOW_NS)


def test_subscription_is_signed_over_its_sorted_parameters():
    target = ACCOUNT.target(None, STAMP)
    (text,) = target.opening
    request = json.loads(text)

    payload = f"apiKey={KEYS.key}&recvWindow=5000&timestamp={STAMP.wall_ms}"
    assert target.path == ""
    assert request["method"] == "userDataStream.subscribe.signature"
    assert request["params"] == {
        "apiKey": KEYS.key,
        "recvWindow": 5000,
        "timestamp": STAMP.wall_ms,
        "signature": hmac.new(KEYS.secret.encode(), payload.encode(), hashlib.sha256).hexdigest(),
    }
    assert ACCOUNT.prepare_request(STAMP) is None
    assert ACCOUNT.keepalive_request(STAMP) is None


@pytest.mark.parametrize("name", ["trade_wrapped", "trade_bare", "trade_streamed"])
def test_execution_is_told_from_any_envelope(name):
    fill, update = heard(name)

    assert fill == Fill(
        instrument=BTC.id,
        trade_id=TradeId("88685053"),
        client_order_id=NAME,
        venue_order_id=VenueOrderId("4293153"),
        side=Side.BUY,
        qty=Decimal("0.004"),
        price=Decimal("99990"),
        fee=Fee(Decimal("0.000004"), AssetId("BTC")),
        liquidity=Liquidity.TAKER,
        received_ns=NOW_NS,
        venue_ns=1_795_000_000_123_000_000,
    )
    assert update == OrderUpdate(
        client_order_id=NAME,
        instrument=BTC.id,
        state=OrderState.OPEN,
        filled_qty=Decimal("0.004"),
        avg_price=Decimal("99990"),
        venue_order_id=VenueOrderId("4293153"),
        received_ns=NOW_NS,
        venue_ns=1_795_000_000_123_000_000,
    )


def test_cancel_is_told_under_our_name_and_not_under_its_own():
    (update,) = heard("canceled")

    assert (update.client_order_id, update.state, update.filled_qty) == (NAME, OrderState.CANCELED, Decimal("0.004"))


def test_expired_remainder_says_why():
    (update,) = heard("expired")

    assert (update.state, update.reason) == (OrderState.CANCELED, "unfilled_ioc_quantity_expired")


def test_rejection_says_why():
    frame = BINANCE_SPOT["expired"].replace('"EXPIRED"', '"REJECTED"').replace('"r":"NONE"', '"r":"BAD"')

    (update,) = ACCOUNT.receive(frame.encode(), NOW_NS)

    assert (update.state, update.reason) == (OrderState.REJECTED, "rejected: BAD")


@pytest.mark.parametrize(
    ("old", "new"), [('"t":88685053', '"t":-1'), ('"l":"0.00400000"', '"l":"0"'), ('"TRADE"', '"TRADE_PREVENTION"')]
)
def test_report_without_an_execution_is_only_an_update(old, new):
    (update,) = ACCOUNT.receive(BINANCE_SPOT["trade_bare"].replace(old, new).encode(), NOW_NS)

    assert isinstance(update, OrderUpdate)


def test_execution_whose_fee_is_null_leaves_it_open():
    fill, _ = ACCOUNT.receive(BINANCE_SPOT["trade_bare"].replace('"N":"BTC"', '"N":null').encode(), NOW_NS)

    assert fill.fee is None


def test_order_of_an_instrument_that_is_not_ours_is_a_sign_of_life():
    other: Any = BinanceSpotAccount(KEYS, (attrs.evolve(BTC, id=InstrumentId("binance_spot:ETHUSDT")),))

    assert other.receive(BINANCE_SPOT["trade_bare"].encode(), NOW_NS) == (Alive(),)


def test_changed_assets_are_told_as_part_of_the_balances():
    assert heard("position") == (
        BalancesSeen(
            balances=(
                Balance(AssetId("BTC"), Decimal("0.503996"), Decimal(0)),
                Balance(AssetId("USDT"), Decimal("9600.04"), Decimal("12.5")),
            ),
            is_full=False,
        ),
    )


def test_transfer_is_read_again_and_endings_ask_for_a_new_connection():
    assert isinstance(heard("balance_update")[0], Reread)
    assert heard("terminated") == (Reconnect("eventStreamTerminated"),)
    assert heard("shutdown") == (Reconnect("serverShutdown"),)
    assert heard("list_status") == heard("subscribed") == (Alive(),)


def test_refused_subscription_asks_for_a_new_connection():
    fault, again = heard("refused")

    assert isinstance(fault, Fault)
    assert isinstance(again, Reconnect)
    assert fault.detail.startswith("-1021")


def test_snapshot_reads_balances_and_the_open_orders_of_each_instrument():
    requests = ACCOUNT.snapshot_requests((BTC,), (STAMP,) * ACCOUNT.snapshot_count((BTC,)))
    facts = ACCOUNT.parse_snapshot(
        (BTC,), (answer(BINANCE_SPOT["account"]), answer(f"[{BINANCE_SPOT['queried']}]")), NOW_NS
    )

    assert [(request.path, request.weight) for request in requests] == [
        ("/api/v3/account", 20),
        ("/api/v3/openOrders", 6),
    ]
    assert requests[1].query.startswith("symbol=BTCUSDT&")
    assert facts[0] == BalancesSeen(
        balances=(
            Balance(AssetId("BTC"), Decimal("4723846.89208129"), Decimal(0)),
            Balance(AssetId("USDT"), Decimal(100), Decimal("1.5")),
        ),
        is_full=True,
    )
    assert [fact.client_order_id for fact in facts[1:]] == [NAME]


def test_commission_adds_up_and_only_its_standard_part_is_discounted():
    (request,) = ACCOUNT.fees_requests((BTC,), (STAMP,))
    (fees,) = ACCOUNT.parse_fees((BTC,), (answer(BINANCE_SPOT["commission"]),))

    assert request.path == "/api/v3/account/commission"
    assert (fees.maker_rate, fees.taker_rate) == (Decimal("0.00075001"), Decimal("0.00160002"))
    assert (fees.fee_asset, fees.source) == (FeeAsset.BNB, "venue")


def test_commission_without_bnb_is_taken_from_what_is_received():
    body = BINANCE_SPOT["commission"].replace('"enabledForSymbol":true', '"enabledForSymbol":false')

    (fees,) = ACCOUNT.parse_fees((BTC,), (answer(body),))

    assert (fees.maker_rate, fees.fee_asset) == (Decimal("0.00100001"), FeeAsset.RECEIVED)


def test_wallet_is_open_where_any_network_is():
    request = ACCOUNT.wallets_request(STAMP)

    assert request is not None
    assert request.path == "/sapi/v1/capital/config/getall"
    assert ACCOUNT.parse_wallets(answer(BINANCE_SPOT["coins"])) == (
        WalletState(asset=AssetId("USDT"), deposit=True, withdraw=True),
        WalletState(asset=AssetId("OLD"), deposit=False, withdraw=False),
    )


def test_spot_has_nothing_to_set_up_and_no_funding():
    assert ACCOUNT.setup_count == 0
    assert ACCOUNT.setup_requests(BTC, 1, ()) == ()
    assert ACCOUNT.setup_problem(BTC, 1, ()) is None
    assert ACCOUNT.funding_request(0, STAMP) is None
    assert ACCOUNT.parse_funding(answer("[]"), NOW_NS) == ()
