"""What others need for the same work, beside this program, in one run with interleaved rounds: ratios.

    tools/env python tools/bench.py                 every comparison whose peers are installed
    tools/env python tools/bench.py --only feed     those that begin so
    tools/env python tools/bench.py --json          one document

Of the peers trio-websocket, httpx, httpcore and msgspec come with the program, ccxt and aiohttp with its development
tools. PyJWT is measured where it is installed (`pip install pyjwt`); this program installs nothing.

Owns: how the peers are driven: as their own documentation says, over the same frames from the same sender process.
Never: times a test, or compares numbers of two runs. Columns: median, p99, how many times slower than this program.
"""

import argparse
import asyncio
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpcore
import httpx
import msgspec
import trio
import trio_websocket
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from arb.cli.bench import machine
from arb.cli.measures.decode import KRW_BTC, synced_spot
from arb.cli.measures.feed import latency, saturated, sending
from arb.cli.measures.frames import binance_diffs, binance_snapshot, upbit_books
from arb.cli.measures.process import environment
from arb.cli.measures.sender import SenderPlan, client_context
from arb.cli.measures.timing import Effort, cpu_ns, interleaved, now_ns, quantile, timed_each
from arb.domain.ids import FeedId
from arb.venues.spec import Credentials
from arb.venues.upbit.frames import UpbitBook
from arb.venues.upbit.protocol import UpbitStream
from arb.venues.upbit.signing import UpbitSigner

CONFIG = Path(__file__).resolve().parents[1] / "config" / "live.toml"
OURS = "arb"
MESSAGES = 2_000
Samples = dict[str, list[float]]


class Comparison(NamedTuple):
    name: str
    unit: str
    run: Callable[[int], Samples]


# --- decode ---------------------------------------------------------------------------------------------------------


def ccxt_upbit() -> Any:
    """Give ccxt.pro's Upbit with one market and an order book, as after its first message."""
    exchange = importlib.import_module("ccxt.pro").upbit()
    exchange.markets = {"BTC/KRW": {"id": "KRW-BTC", "symbol": "BTC/KRW", "base": "BTC", "quote": "KRW", "spot": True}}
    exchange.markets_by_id = {"KRW-BTC": [exchange.markets["BTC/KRW"]]}
    exchange.symbols = ["BTC/KRW"]
    exchange.orderbooks["BTC/KRW"] = exchange.order_book({}, 30)
    return exchange


class NoClient:
    """What ccxt resolves its futures with."""

    def resolve(self, result: object, message_hash: str) -> None:
        return None


def decode_upbit(units: int, rounds: int) -> Samples:
    frames = upbit_books(200, units)
    exchange, client = ccxt_upbit(), NoClient()
    typed = msgspec.json.Decoder(UpbitBook[float]).decode
    stream = UpbitStream(FeedId("upbit/public/0"), ("KRW-BTC",))

    def ours(frame: bytes) -> None:
        stream.receive(frame, 1)
        stream.depth(KRW_BTC, units)

    def ccxt(frame: bytes) -> None:
        exchange.handle_order_book(client, exchange.parse_json(frame.decode()))

    candidates = {OURS: ours, "msgspec typed decode alone": typed, "ccxt.pro": ccxt}
    return interleaved({name: partial(timed_each, each, frames) for name, each in candidates.items()}, rounds * 3)


def depth_update(rounds: int) -> Samples:
    first_id = 1_000_000
    frames = list(binance_diffs(200, 30, first_id))

    def ours() -> list[float]:
        stream = synced_spot(1_000, first_id)
        return timed_each(lambda frame: stream.receive(frame, 1), frames)

    def ccxt() -> list[float]:
        exchange = importlib.import_module("ccxt.pro").binance()
        book = exchange.order_book({}, 1_000)
        book.reset(
            exchange.parse_order_book(exchange.parse_json(binance_snapshot(first_id, 1_000).decode()), "BTC/USDT")
        )

        def apply(frame: bytes) -> None:
            exchange.handle_order_book_message(NoClient(), exchange.parse_json(frame.decode())["data"], book)

        return timed_each(apply, frames)

    return interleaved({OURS: ours, "ccxt.pro": ccxt}, rounds * 2)


# --- feed -----------------------------------------------------------------------------------------------------------

_DECODE = msgspec.json.Decoder(UpbitBook[float]).decode


class Marks:
    """CPU per message, a sample every so many messages."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._count = 0
        self._marks: list[int] = []

    def message(self) -> bool:
        """Note one message; True when there are enough."""
        self._count += 1
        if self._count % MESSAGES == 0:
            self._marks.append(cpu_ns())
        return len(self._marks) > self._wanted + 1

    def samples(self) -> list[float]:
        return [(after - before) / 1e3 / MESSAGES for before, after in pairwise(self._marks[1:])]


async def stock_trio(port: int, is_tls: bool, message: Callable[[bytes], bool]) -> None:
    url = f"{'wss' if is_tls else 'ws'}://127.0.0.1:{port}/"
    context = client_context() if is_tls else None
    async with trio.open_nursery() as nursery:
        connection = await trio_websocket.connect_websocket_url(nursery, url, ssl_context=context)
        await connection.send_message("{}")
        while not message(str(await connection.get_message()).encode()):
            pass
        nursery.cancel_scope.cancel()  # without a goodbye, which the sender would not answer


async def stock_aiohttp(port: int, is_tls: bool, message: Callable[[bytes], bool]) -> None:
    url = f"{'wss' if is_tls else 'ws'}://127.0.0.1:{port}/"
    async with aiohttp.ClientSession() as session:
        connection = await session.ws_connect(url, ssl=client_context() if is_tls else False, compress=0)
        await connection.send_str("{}")
        while not message((await connection.receive_str()).encode()):
            pass


def saturated_peers(is_tls: bool, rounds: int) -> Samples:
    def peer(drive: Callable[[int, Callable[[bytes], bool]], None]) -> list[float]:
        marks, newest = Marks(8), dict[str, UpbitBook[float]]()

        def message(frame: bytes) -> bool:
            book = _DECODE(frame)
            newest[book.code] = book
            return marks.message()

        with sending(SenderPlan(kind="saturated", is_tls=is_tls)) as port:
            drive(port, message)
        return marks.samples()

    def ours() -> list[float]:
        found = saturated(is_tls, Effort(is_quick=True))
        return [found[0].median]

    candidates = {
        OURS: ours,
        "trio-websocket, msgspec": lambda: peer(lambda port, message: trio.run(stock_trio, port, is_tls, message)),
        "aiohttp, msgspec": lambda: peer(lambda port, message: asyncio.run(stock_aiohttp(port, is_tls, message))),
    }
    return interleaved(candidates, rounds)


def latency_peers(is_tls: bool, rounds: int) -> Samples:
    """Measure peers from frame to callback, this program from frame to decision."""
    offset_ns = 1_787_727_947_000_000_000 - now_ns()

    def peer(drive: Callable[[int, Callable[[bytes], bool]], None]) -> list[float]:
        delays: list[float] = []

        def message(frame: bytes) -> bool:
            sent_ns = _DECODE(frame).timestamp
            delays.append((now_ns() + offset_ns - sent_ns) / 1e3)
            return len(delays) >= 1_200

        with sending(SenderPlan(kind="paced", is_tls=is_tls, offset_ns=offset_ns)) as port:
            drive(port, message)
        return [quantile(delays[200:], 0.5)]

    candidates = {
        OURS: lambda: [latency(CONFIG, 1_000, is_tls, Effort(is_quick=True))[0].median],
        "trio-websocket": lambda: peer(lambda port, message: trio.run(stock_trio, port, is_tls, message)),
        "aiohttp": lambda: peer(lambda port, message: asyncio.run(stock_aiohttp(port, is_tls, message))),
    }
    return interleaved(candidates, rounds)


# --- orders, signatures, the process --------------------------------------------------------------------------------


def roundtrip(rounds: int) -> Samples:
    from_us = importlib.import_module("arb.cli.measures.orders")
    measure = next(each for each in from_us.measures(CONFIG) if each.names == ("order/roundtrip",))
    with sending(SenderPlan(kind="http", answer="{}")) as port:
        url = f"http://127.0.0.1:{port}/fapi/v1/order?symbol=BTCUSDT&side=SELL&type=LIMIT&signature={'0' * 64}"

        async def over_httpx() -> list[float]:
            found = []
            async with httpx.AsyncClient(trust_env=False) as client:
                for _ in range(150):
                    began_ns = now_ns()
                    await client.post(url)
                    found.append((now_ns() - began_ns) / 1e3)
            return found[20:]

        async def over_httpcore() -> list[float]:
            found = []
            async with httpcore.AsyncConnectionPool() as pool:
                for _ in range(150):
                    began_ns = now_ns()
                    await pool.request("POST", url)
                    found.append((now_ns() - began_ns) / 1e3)
            return found[20:]

        candidates = {
            OURS: lambda: [measure.run(Effort(is_quick=True))[0].median],
            "httpx, unsigned": lambda: trio.run(over_httpx),
            "httpcore, unsigned": lambda: trio.run(over_httpcore),
        }
        return interleaved(candidates, rounds)


def signing(rounds: int) -> Samples:
    signer = UpbitSigner(Credentials(key="k" * 40, secret="s" * 64))
    jwt: Any = importlib.import_module("jwt")
    claims = {"access_key": "k" * 40, "nonce": "n" * 36, "query_hash": "0" * 128, "query_hash_alg": "SHA512"}
    candidates: dict[str, Callable[[object], object]] = {
        OURS: lambda _: signer.token_for("n" * 36, "market=KRW-BTC&side=bid"),
        "PyJWT": lambda _: jwt.encode(claims, "s" * 64, algorithm="HS512"),
    }
    return interleaved({name: partial(timed_each, each, [None] * 500) for name, each in candidates.items()}, rounds * 3)


def imports(rounds: int) -> Samples:
    def took(names: str) -> list[float]:
        words = f"import time; began = time.perf_counter(); import {names}; print((time.perf_counter() - began) * 1e3)"
        line = [sys.executable, "-c", words]
        done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env=environment())
        return [float(done.stdout)]

    took("arb.cli.run, ccxt.pro")  # byte code
    return interleaved({OURS: lambda: took("arb.cli.run"), "ccxt.pro": lambda: took("ccxt.pro")}, rounds)


# --- together -------------------------------------------------------------------------------------------------------


def comparisons() -> list[Comparison]:
    found = [
        Comparison("decode/upbit/orderbook15", "us", partial(decode_upbit, 15)),
        Comparison("decode/upbit/orderbook30", "us", partial(decode_upbit, 30)),
        Comparison("book/binance/depth_update", "us", depth_update),
        Comparison("feed/saturated/plain", "us CPU/message", partial(saturated_peers, False)),
        Comparison("feed/saturated/tls", "us CPU/message", partial(saturated_peers, True)),
        Comparison("feed/latency/1000/plain", "us", partial(latency_peers, False)),
        Comparison("feed/latency/1000/tls", "us", partial(latency_peers, True)),
        Comparison("order/roundtrip", "us", roundtrip),
        Comparison("start/imports", "ms", imports),
    ]
    if importlib.util.find_spec("jwt") is not None:
        found.append(Comparison("sign/upbit", "us", signing))
    return found


def rows_of(comparison: Comparison, samples: Samples) -> list[dict[str, object]]:
    ours = quantile(samples[OURS], 0.5)
    return [
        {
            "name": comparison.name,
            "who": who,
            "unit": comparison.unit,
            "median": round(quantile(found, 0.5), 3),
            "p99": round(quantile(found, 0.99), 3),
            "n": len(found),
            "times_ours": round(quantile(found, 0.5) / ours, 2),
        }
        for who, found in samples.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PREFIX", help="only comparisons that begin so")
    parser.add_argument("--rounds", type=int, default=5, help="how often each candidate has its turn")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    rows: list[dict[str, object]] = []
    for comparison in comparisons():
        if comparison.name.startswith(asked.only):
            print(comparison.name, file=sys.stderr, flush=True)
            rows += rows_of(comparison, comparison.run(asked.rounds))
    if asked.json:
        print(msgspec.json.encode({"machine": machine(), "results": rows}).decode())
        return 0
    table = Table("name", "who", "median", "p99", "unit", "n", "times ours", box=None)
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("name", "who", "median", "p99", "unit", "n", "times_ours")))
    Console().print(table, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
