"""Upbit's ticks and what its answers say of limits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.venues.spec import RateReport
from arb.venues.upbit.rules import QUOTES, UpbitRate, ticks_with
from tests.venues.markets import answer

D = Decimal
KRW = QUOTES["KRW"].ticks


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        ("150000000", "1000"), ("2000000", "1000"), ("1000000", "1000"), ("999999", "500"), ("100000", "100"),
        ("50000", "50"), ("10000", "10"), ("5000", "5"), ("1450", "1"), ("100", "1"), ("99", "0.1"), ("1", "0.01"),
        ("0.5", "0.001"), ("0.05", "0.0001"), ("0.005", "0.00001"), ("0.0005", "0.000001"), ("0.00005", "0.0000001"),
        ("0.000005", "0.00000001"),
    ],
)  # fmt: skip
def test_published_krw_ticks(price: str, tick: str) -> None:
    assert KRW.tick_at(D(price)) == D(tick)


def test_usdt_and_btc_markets_have_their_own_ticks() -> None:
    assert QUOTES["USDT"].ticks.tick_at(D("100000")) == D("0.01")
    assert QUOTES["USDT"].ticks.tick_at(D("0.5")) == D("0.0001")
    assert QUOTES["BTC"].ticks.tick_at(D("0.05")) == D("0.00000001")


def test_a_tick_as_published_leaves_the_table_as_it_is() -> None:
    assert ticks_with(KRW, D("1000"), D("149000000")) is KRW


def test_a_stated_tick_replaces_the_band_of_the_present_price() -> None:
    table = ticks_with(KRW, D("0.5"), D("1450"))
    assert table.tick_at(D("1450")) == D("0.5")
    assert table.tick_at(D("6000")) == D("5")
    assert table.tick_at(D("50")) == D("0.1")


@given(st.sampled_from(["0.1", "0.5", "1", "5", "10"]), st.integers(1, 3_000_000))
def test_corrected_ticks_never_shrink_with_the_price(tick: str, price: int) -> None:
    table = ticks_with(KRW, D(tick), D(price))
    steps = [band.tick for band in table.bands]
    assert steps == sorted(steps, reverse=True)
    assert table.tick_at(D(price)) == D(tick)


def test_remaining_requests_are_read_per_group() -> None:
    reports = UpbitRate().reports(answer([], remaining_req="group=order; min=1800; sec=7"))
    assert reports == (RateReport(bucket="order", remaining=7),)
    assert UpbitRate().reports(answer([])) == ()
    assert UpbitRate().reports(answer([], remaining_req="nonsense")) == ()


def test_429_waits_for_the_next_second() -> None:
    wait = UpbitRate().back_off(answer({}, 429), 1795000000250)
    assert wait is not None
    assert (wait.wait_s, wait.is_ban) == (0.75, False)


@pytest.mark.parametrize(
    ("body", "headers", "wait_s"),
    [
        (b'{"error":{"message":"blocked for 40 seconds."}}', {}, 40.0),
        (b'{"error":{"message":"blocked for 3 minutes"}}', {}, 180.0),
        (b"{}", {"retry_after": "12"}, 12.0),
        (b"\xff\xfe", {}, 60.0),
    ],
)
def test_418_is_silent_for_as_long_as_it_says(body: bytes, headers: dict[str, str], wait_s: float) -> None:
    wait = UpbitRate().back_off(answer(body, 418, **headers), 0)
    assert wait is not None
    assert (wait.wait_s, wait.is_ban) == (wait_s, True)
    assert UpbitRate().back_off(answer(body, 500), 0) is None
