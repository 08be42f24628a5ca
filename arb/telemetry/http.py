"""`/health` and `/metrics` over hypercorn and quart-trio.

Owns: the routes and the server's socket.
Never: computes anything; it shows what the health board and the metrics hold.
"""

from __future__ import annotations

import logging
import socket

import hypercorn.trio
import msgspec
from hypercorn.config import Config
from prometheus_client.exposition import choose_encoder
from quart import Response, request
from quart_trio import QuartTrio

from arb.domain.errors import ConfigError, TransientError
from arb.telemetry.health import HealthBoard
from arb.telemetry.metrics import Metrics


class MonitoringLost(TransientError):
    """The monitoring socket failed while serving: bind it again."""


def make_app(board: HealthBoard, metrics: Metrics, default_format: str) -> QuartTrio:
    """The routes of the contract."""
    app = QuartTrio("arb")

    @app.get("/health")
    async def health() -> Response:
        status = 200 if board.status() in ("ok", "warn") else 503
        return _json(board.report(), status)

    @app.get("/health/live")
    async def live() -> Response:
        return _json({"live": board.is_live}, 200 if board.is_live else 503)

    @app.get("/health/ready")
    async def ready() -> Response:
        return _json({"ready": board.is_ready}, 200 if board.is_ready else 503)

    @app.get("/metrics")
    async def exposition() -> Response:
        if request.args.get("format", default_format) == "json":
            return _json(metrics.as_json(), 200)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(metrics.registry), content_type=content_type)

    return app


def _json(body: object, status: int) -> Response:
    return Response(msgspec.json.encode(body), status=status, content_type="application/json")


async def serve_http(app: QuartTrio, listener: socket.socket) -> None:
    """Serve on a bound socket until cancelled; the socket is closed with it.

    Raises:
        MonitoringLost: the socket failed; the trading goes on without.
    """
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("arb.http")
    config.accesslog = None
    config.graceful_timeout = 0.2
    try:
        await hypercorn.trio.serve(app, config)
    except* OSError as failure:
        raise MonitoringLost(str(failure.exceptions[0])) from failure


def listen(host: str, port: int) -> socket.socket:
    """Bind ourselves: hypercorn forgets to close its socket when the port is taken.

    Raises:
        ConfigError: the port is taken or the address is not ours.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(100)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"monitoring.metrics_port: {host}:{port} cannot be served ({error.strerror}); free it or choose another"
        ) from error
    return listener
