"""The HTTP server, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

from arb.domain.errors import ConfigError
from arb.domain.events import Level
from arb.telemetry.health import ComponentState, HealthBoard, RunFacts
from arb.telemetry.http import listen, make_app, serve_http
from arb.telemetry.metrics import Metrics
from tests.telemetry.test_metrics import HandClock, Turns, published


def board(*, live_enabled: bool = False) -> HealthBoard:
    facts = RunFacts(mode="mock", env="local", data_source="ws", build="b", run_id="r", live_enabled=live_enabled)
    return HealthBoard(HandClock(), facts)


def metrics() -> Metrics:
    return published(
        Metrics(HandClock(), venues=["upbit"], pairs=["BTC"], data_source="ws", buffer_size=3, loop_times=Turns)
    )


@asynccontextmanager
async def serving(health: HealthBoard) -> AsyncIterator[httpx.AsyncClient]:
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, make_app(health, metrics(), "prometheus"), listener)
        async with httpx.AsyncClient(base_url=url) as client:
            yield client
        nursery.cancel_scope.cancel()


def test_health_says_whether_real_orders_may_be_sent_and_what_is_missing() -> None:
    live, simulated = board(live_enabled=True), board()
    assert (live.report()["live_enabled"], live.report()["live_armed"]) == (True, False)

    for each in (live, simulated):
        each.arming(is_armed=True, missing=())
    assert (live.report()["live_armed"], live.report()["arming"]) == (True, {"missing": []})
    assert (simulated.report()["live_enabled"], simulated.report()["live_armed"]) == (False, False)

    live.arming(is_armed=False, missing=("permission_file_missing",))
    assert (live.report()["live_armed"], live.report()["arming"]) == (False, {"missing": ["permission_file_missing"]})


async def test_health_answers_by_status() -> None:
    health = board()
    async with serving(health) as client:
        health.component("upbit", ComponentState.OK)
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["status"], answer.json()["mode"]) == (200, "ok", "mock")
        assert answer.json()["components"] == {"upbit": {"status": "ok", "detail": ""}}

        health.component("upbit", ComponentState.WARN, "rest")
        assert (await client.get("/health")).json()["status"] == "warn"

        health.watchdog(Level.CRITICAL, ("cpu",))
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "critical")

        health.stopping("CRITICAL")
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
        assert (await client.get("/health/live")).status_code == 503


async def test_readiness_is_its_own_question() -> None:
    health = board()
    async with serving(health) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        health.ready(True)
        assert (await client.get("/health/ready")).status_code == 200
        health.watchdog(Level.ERROR, ())
        assert (await client.get("/health/ready")).status_code == 503


async def test_metrics_come_as_text_and_as_json() -> None:
    async with serving(board()) as client:
        text = await client.get("/metrics")
        body = await client.get("/metrics", params={"format": "json"})

    assert text.headers["content-type"].startswith("text/plain")
    assert 'arbitrage_spread_bps{pair="BTC"} 12.0' in text.text
    assert body.json()["arbitrage_total_pnl_krw"] == 1.0


def test_a_port_in_use_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"metrics_port.*{port}"):
            listen("127.0.0.1", port)
