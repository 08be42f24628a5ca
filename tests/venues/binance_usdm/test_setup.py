"""The settings of a USD-M account: what is asked, what its answers mean, and a simulated account that changes."""

from __future__ import annotations

import pytest
import trio

from arb.domain.errors import ConfigError
from arb.domain.ids import InstrumentId
from arb.domain.order import Side, TimeInForce
from arb.venues.binance_usdm.account import BinanceUsdmAccount
from arb.venues.spec import HttpResponse
from arb.venues.wire.setup import set_up
from arb.venues.wire.simulation import ACCOUNT as SIMULATED
from tests.venues.goldens import BINANCE_USDM
from tests.venues.private import INSTRUMENTS, KEYS, STAMP, answer, order
from tests.venues.town import Town, open_town

BTC = INSTRUMENTS["binance_usdm"]
ACCOUNT = BinanceUsdmAccount(KEYS, (BTC,))
DONE = answer({"code": 200, "msg": "success"})
POSITION = BINANCE_USDM["position_risk"]


def test_setup_sets_four_things_and_reads_them_back() -> None:
    requests = ACCOUNT.setup_requests(BTC, 10, (STAMP,) * ACCOUNT.setup_count)

    assert [(request.method, request.path, request.weight) for request in requests] == [
        ("POST", "/fapi/v1/multiAssetsMargin", 1),
        ("POST", "/fapi/v1/positionSide/dual", 1),
        ("POST", "/fapi/v1/marginType", 1),
        ("POST", "/fapi/v1/leverage", 1),
        ("GET", "/fapi/v1/multiAssetsMargin", 30),
        ("GET", "/fapi/v1/positionSide/dual", 30),
        ("GET", "/fapi/v2/positionRisk", 5),
    ]
    begun = ("multiAssetsMargin=false&", "dualSidePosition=false&", "symbol=BTCUSDT&marginType=ISOLATED&")
    assert all(request.query.startswith(begins) for request, begins in zip(requests, begun, strict=False))
    assert requests[3].query.startswith("symbol=BTCUSDT&leverage=10&")


def settings(
    joint: HttpResponse = DONE,
    mode: HttpResponse = DONE,
    margin: HttpResponse = DONE,
    single: str = '{"multiAssetsMargin":false}',
    one_way: str = BINANCE_USDM["one_way"],
    position: str = POSITION,
) -> str | None:
    answers = (joint, mode, margin, DONE, answer(single), answer(one_way), answer(position))
    return ACCOUNT.setup_problem(BTC, 10, answers)


def refusal(code: int, words: str = "") -> HttpResponse:
    return answer({"code": code, "msg": words}, 400)


def test_setting_that_is_so_already_is_success() -> None:
    assert settings() is None
    assert settings(joint=refusal(-4171), mode=refusal(-4059), margin=refusal(-4046)) is None


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"joint": refusal(-4170, "open orders")}, "single-asset mode was refused: open_orders_or_position"),
        ({"mode": refusal(-4067, "open orders")}, "one-way mode was refused: open_orders"),
        ({"margin": refusal(-4168, "joint")}, "isolated margin was refused: account_mode"),
        ({"single": '{"multiAssetsMargin":true}'}, "multi-asset mode"),
        ({"one_way": '{"dualSidePosition":true}'}, "hedge mode"),
        ({"one_way": "{}"}, "cannot be read back"),
        ({"position": "[]"}, "does not tell"),
        ({"position": POSITION.replace('"isolated"', '"cross"')}, "margin is cross"),
        ({"position": POSITION.replace('"leverage":"10"', '"leverage":"20"')}, "leverage is 20"),
    ],
)
def test_setting_that_does_not_hold_is_named(answers: dict[str, HttpResponse], words: str) -> None:
    problem = settings(**answers)  # type: ignore[arg-type]  # texts and answers by name

    assert problem is not None
    assert words in problem


PERPETUAL = InstrumentId("binance_usdm:BTCUSDT")


async def wanted(town: Town) -> None:
    await set_up(
        town.account("binance_usdm"),
        town.http["binance_usdm"],
        town.instruments("binance_usdm"),
        5,
        town.stamp,
    )


async def test_an_account_in_every_wrong_mode_is_made_right_and_stays_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        exchange = town.simulation.world.exchange("binance_usdm")
        assert exchange.set_dual(SIMULATED, True) is None
        assert exchange.set_multi_asset(SIMULATED, True) is None

        for _ in range(2):
            await wanted(town)

        view = exchange.position(SIMULATED, PERPETUAL)
        assert (view.leverage, view.is_isolated) == (5, True)
        assert not exchange.is_dual(SIMULATED)
        assert not exchange.is_multi_asset(SIMULATED)


async def test_an_open_order_in_the_way_of_a_mode_is_told_in_words(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        exchange = town.simulation.world.exchange("binance_usdm")
        assert exchange.set_multi_asset(SIMULATED, True) is None
        instrument = town.instruments("binance_usdm")[0]
        image = exchange.book(PERPETUAL)
        assert image is not None
        resting = order("binance_usdm", side=Side.BUY, price=str(image.bids[-1][0]), time_in_force=TimeInForce.GTC)
        request = town.codec("binance_usdm").submit(resting, instrument, town.stamp())
        assert (await town.http["binance_usdm"].request(request)).status == 200

        with pytest.raises(ConfigError, match="single-asset mode was refused: open_orders_or_position"):
            await wanted(town)


async def test_an_open_position_does_not_stand_in_the_way_of_what_is_already_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        await wanted(town)
        exchange = town.simulation.world.exchange("binance_usdm")
        instrument = town.instruments("binance_usdm")[0]
        image = exchange.book(PERPETUAL)
        assert image is not None
        taking = order("binance_usdm", side=Side.SELL, price=str(image.bids[0][0] - 100))
        await town.http["binance_usdm"].request(town.codec("binance_usdm").submit(taking, instrument, town.stamp()))
        assert exchange.position(SIMULATED, PERPETUAL).qty < 0

        await wanted(town)
