"""Open real sockets: TCP, and TLS over it.

Owns: nothing after it has returned. Never: retries, or waits longer than its caller allows.
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import trio

from arb.domain.errors import ConfigError
from arb.ports import Endpoint
from arb.venues.wire.tls import TlsStream


class SocketDialer:
    """A `Dialer` over the network; small messages leave at once (TCP_NODELAY)."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    @property
    def _trusted(self) -> ssl.SSLContext:
        """What is trusted by default is read when the first TLS connection needs it: it takes some 30 ms."""
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context

    async def __call__(self, endpoint: Endpoint) -> trio.abc.Stream:
        """Connect (TLS included). The caller sets the deadline.

        Raises:
            OSError: nothing answers there, or the certificate is not to be trusted.
        """
        socket_stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
        socket_stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        if not endpoint.is_tls:
            return socket_stream
        try:
            stream = TlsStream(socket_stream, self._trusted, endpoint.host)
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(socket_stream)
            raise ConnectionError(f"{endpoint.host}: closed during the TLS handshake") from error
        except BaseException:
            await trio.aclose_forcefully(socket_stream)
            raise
        return stream


def split_url(url: str) -> tuple[Endpoint, str]:
    """Where a base URL leads, and the path in front of every path under it (no slash at its end).

    Raises:
        ConfigError: it is no absolute URL of http, https, ws or wss.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ConfigError(f"{url!r} is no URL of a venue: write https://host[:port] or wss://host[:port]")
    is_tls = parts.scheme in ("https", "wss")
    endpoint = Endpoint(host=parts.hostname, port=parts.port or (443 if is_tls else 80), is_tls=is_tls)
    return endpoint, parts.path.rstrip("/")


def host_header(endpoint: Endpoint) -> str:
    """The `Host` of requests to it."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return host if endpoint.port == (443 if endpoint.is_tls else 80) else f"{host}:{endpoint.port}"
