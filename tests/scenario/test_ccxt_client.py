"""A client that is not ours: ccxt, with nothing but its URLs and keys changed, trades on the simulated venues."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ccxt
import pytest

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
HOSTS = {"api.upbit.com": "upbit", "{hostname}": "upbit", "fapi.binance.com": "binance_usdm"}

Served = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "arb", "sim", str(LIVE), "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.terminate()
    process.communicate(timeout=20)


def moved(url: object, served: Served) -> object:
    """The same URL on the simulator's host."""
    if isinstance(url, dict):
        return {name: moved(one, served) for name, one in url.items()}
    if not isinstance(url, str) or "://" not in url:
        return url
    parts = urlsplit(url)
    venue = HOSTS.get(parts.netloc, "binance_spot")
    return served[venue]["rest"] + parts.path


def client(name: str, venue: str, served: Served) -> Any:
    exchange = getattr(ccxt, name)(
        {"apiKey": served[venue]["key"], "secret": served[venue]["secret"], "enableRateLimit": False}
    )
    exchange.urls["api"] = moved(exchange.urls["api"], served)
    return exchange


@pytest.mark.parametrize(
    ("name", "venue", "symbol", "quote"),
    [
        ("upbit", "upbit", "BTC/KRW", "KRW"),
        ("binance", "binance_spot", "BTC/USDT", "USDT"),
        ("binanceusdm", "binance_usdm", "BTC/USDT:USDT", "USDT"),
    ],
)
def test_ccxt_trades_with_only_urls_and_keys_changed(
    served: Served, name: str, venue: str, symbol: str, quote: str
) -> None:
    exchange = client(name, venue, served)

    assert symbol in exchange.load_markets()
    book = exchange.fetch_order_book(symbol, 5)
    ticker = exchange.fetch_ticker(symbol)
    assert 0 < book["bids"][0][0] < book["asks"][0][0]
    assert ticker["last"] == pytest.approx(book["asks"][0][0], rel=0.01)
    assert exchange.fetch_balance()[quote]["free"] > 1_000

    tick = 1_000 if quote == "KRW" else 0.1
    resting = exchange.create_order(symbol, "limit", "buy", 0.002, round(book["bids"][0][0] * 0.98 / tick) * tick)
    assert exchange.fetch_order(resting["id"], symbol)["status"] == "open"
    assert [one["id"] for one in exchange.fetch_open_orders(symbol)] == [resting["id"]]
    exchange.cancel_order(resting["id"], symbol)
    assert exchange.fetch_order(resting["id"], symbol)["status"] == "canceled"
    assert exchange.fetch_open_orders(symbol) == []

    taking = exchange.create_order(symbol, "limit", "buy", 0.002, round(book["asks"][0][0] * 1.005 / tick) * tick)
    filled = exchange.fetch_order(taking["id"], symbol)
    assert (filled["status"], filled["filled"]) == ("closed", 0.002)


def test_ccxt_understands_a_refusal(served: Served) -> None:
    upbit, binance = client("upbit", "upbit", served), client("binance", "binance_spot", served)
    upbit.load_markets()
    binance.load_markets()

    with pytest.raises(ccxt.InsufficientFunds):
        upbit.create_order("BTC/KRW", "limit", "buy", 5, 100_000_000)
    with pytest.raises(ccxt.InsufficientFunds):
        binance.create_order("BTC/USDT", "limit", "buy", 5, 100_000)
    with pytest.raises(ccxt.OrderNotFound):
        binance.fetch_order("987654", "BTC/USDT")


def test_a_wrong_secret_is_an_authentication_error(served: Served) -> None:
    upbit, binance = client("upbit", "upbit", served), client("binance", "binance_spot", served)
    upbit.secret = binance.secret = "wrong"

    with pytest.raises(ccxt.AuthenticationError):
        upbit.private_get_accounts()
    with pytest.raises(ccxt.AuthenticationError):
        binance.private_get_account()
