"""HTTP of one venue: a keep-alive httpx client through the dialer port.

Owns: the client and its connections; the seam at which foreign errors become ours.
Never: signs, sends past the rate budget, or repeats what is not safe to repeat (only a GET, once, on a stale line).
Units: `_s` seconds of Trio's clock. Orders do not come this way (`order_http.py`).
"""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import attrs
import httpcore
import httpx
import trio

from arb.domain.errors import CredentialsRefused, RateLimited, VenueUnavailable
from arb.domain.ids import VenueId
from arb.ports import Clock, Dialer, Endpoint
from arb.venues.spec import HttpRequest, HttpResponse, Priority, unauthorised
from arb.venues.wire.dial import host_header
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.tls import TlsStream

_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_MAX_CONNECTIONS: Final = 8
_STALE: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_DEFAULT_RETRY_AFTER_S: Final = 10.0


@attrs.frozen(kw_only=True)
class HttpTarget:
    """Where the requests of a venue go."""

    venue: VenueId
    endpoint: Endpoint
    prefix: str = ""
    """Path of the base URL, put in front of every request's own."""
    answer_within_s: float = 10.0
    """A request that takes longer, connecting included, is `VenueUnavailable`."""
    max_retry: int = 0
    """How often a read that failed is asked again before it is `VenueUnavailable`; a venue that limits us is not."""
    base_backoff_s: float = 0.5
    """Before the first of these; doubled for each further one."""
    is_key_refused: Callable[[HttpResponse], bool] = unauthorised
    """The venue's own (`VenueSpec.is_key_refused`)."""


class TimedAnswer(NamedTuple):
    """An answer and when its request left and it came, waiting for a rate token not counted."""

    answer: HttpResponse
    sent_ns: int
    received_ns: int


class HttpClient:
    """Requests to one venue; made by `open_http`."""

    def __init__(self, target: HttpTarget, client: httpx.AsyncClient, limiter: RateLimiter, clock: Clock) -> None:
        self._target = target
        self._client = client
        self._limiter = limiter
        self._clock = clock
        # Always http: the dialer brings the TLS.
        self._base = f"http://{host_header(target.endpoint)}{target.prefix}"
        self._host = host_header(target.endpoint)

    async def request(self, request: HttpRequest, priority: Priority = Priority.ENTRY) -> HttpResponse:
        """Send it when the rate budget allows; any answer is a value, whatever its status.

        Raises:
            RateLimited: the venue wants silence; nothing was sent.
            VenueUnavailable: no answer.
        """
        return (await self._timed(request, priority)).answer

    async def read(self, request: HttpRequest, priority: Priority = Priority.ENTRY) -> HttpResponse:
        """As `request`, but only a success is an answer.

        Raises:
            RateLimited: 429 or 418, or the venue wants silence.
            CredentialsRefused: the venue does not accept our key.
            VenueUnavailable: any other status but 2xx, or no answer.
        """
        return (await self.read_timed(request, priority)).answer

    async def read_timed(self, request: HttpRequest, priority: Priority = Priority.ENTRY) -> TimedAnswer:
        """As `read`, with the times of sending and receiving.

        Raises:
            RateLimited: 429 or 418, or the venue wants silence.
            CredentialsRefused: the venue does not accept our key.
            VenueUnavailable: any other status but 2xx, or no answer.
        """
        for retry in range(self._target.max_retry):
            try:
                return await self._read_once(request, priority)
            except (RateLimited, CredentialsRefused):
                raise
            except VenueUnavailable:
                await trio.sleep(self._target.base_backoff_s * 2**retry)
        return await self._read_once(request, priority)

    async def _read_once(self, request: HttpRequest, priority: Priority) -> TimedAnswer:
        timed = await self._timed(request, priority)
        answer = timed.answer
        if 200 <= answer.status < 300:
            return timed
        words = answer.body[:200].decode(errors="replace")
        detail = f"{request.method} {request.path}: {answer.status} {words}".rstrip()
        if answer.status in (418, 429):
            self._limiter.check_back_off()
            raise RateLimited(self._target.venue, detail, _DEFAULT_RETRY_AFTER_S)
        if self._target.is_key_refused(answer):
            raise CredentialsRefused(self._target.venue, detail)
        raise VenueUnavailable(self._target.venue, detail)

    async def _timed(self, request: HttpRequest, priority: Priority) -> TimedAnswer:
        attempts = 2 if request.method == "GET" else 1
        while True:
            attempts -= 1
            self._limiter.check_back_off()
            await self._limiter.take(request.bucket, request.weight, priority)
            sent_ns = self._clock.monotonic_ns()
            try:
                with trio.fail_after(self._target.answer_within_s):
                    answer = await self._exchange(request)
            except trio.TooSlowError as error:
                detail = f"{request.method} {request.path}: no answer in {self._target.answer_within_s:g} s"
                raise VenueUnavailable(self._target.venue, detail) from error
            except (httpx.HTTPError, httpx.StreamError) as error:
                if attempts and isinstance(error, _STALE):
                    continue
                detail = f"{request.method} {request.path}: {type(error).__name__} {error}".rstrip()
                raise VenueUnavailable(self._target.venue, detail) from error
            self._limiter.learn(answer)
            return TimedAnswer(answer, sent_ns, self._clock.monotonic_ns())

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        message = self._client.build_request(
            request.method,
            f"{self._base}{request.target}",
            headers=[("Host", self._host), *request.headers],
            content=request.body or None,
        )
        answer = await self._client.send(message, stream=True)
        try:
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    raise VenueUnavailable(self._target.venue, f"{request.path}: more than {_MAX_BODY_BYTES} bytes")
        finally:
            with trio.move_on_after(0.2, shield=True):
                await answer.aclose()
        return HttpResponse(status=answer.status_code, headers=dict(answer.headers), body=bytes(body))


@asynccontextmanager
async def open_http(
    target: HttpTarget, *, dialer: Dialer, limiter: RateLimiter, clock: Clock
) -> AsyncIterator[HttpClient]:
    """A client for as long as the block lasts; its connections are closed at the end, within a bound."""
    pool = httpcore.AsyncConnectionPool(
        max_connections=_MAX_CONNECTIONS,
        keepalive_expiry=30.0,
        network_backend=_DialerBackend(dialer, target.endpoint),
    )
    client = httpx.AsyncClient(transport=_PoolTransport(pool), timeout=None, follow_redirects=False, trust_env=False)
    try:
        yield HttpClient(target, client, limiter, clock)
    finally:
        with trio.move_on_after(1.0, shield=True):
            await client.aclose()


class _PoolTransport(httpx.AsyncBaseTransport):
    """httpx over a pool whose connections the dialer opens."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        message = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=_Content(await request.aread()),
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(message)
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _as_httpx(error, request) from error
        body = _Body(answer, request)
        return httpx.Response(answer.status, headers=answer.headers, stream=body, extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Content:
    """A request's body in one piece; no generator, which a broken connection would leave half-read."""

    def __init__(self, body: bytes) -> None:
        self._pieces = [body] if body else []

    def __aiter__(self) -> _Content:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class _Body(httpx.AsyncByteStream):
    """A response's body, its errors translated."""

    def __init__(self, answer: httpcore.Response, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:  # noqa: ASYNC900  httpx asks for one
        try:
            async for chunk in self._answer.aiter_stream():
                yield chunk
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _as_httpx(error, self._request) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def _as_httpx(error: Exception, request: httpx.Request) -> httpx.HTTPError:
    words = str(error) or type(error).__name__
    match error:
        case httpcore.ConnectError():
            return httpx.ConnectError(words, request=request)
        case httpcore.RemoteProtocolError():
            return httpx.RemoteProtocolError(words, request=request)
        case httpcore.WriteError():
            return httpx.WriteError(words, request=request)
        case httpcore.ReadError():
            return httpx.ReadError(words, request=request)
    return httpx.NetworkError(words, request=request)


class _DialerBackend(httpcore.AsyncNetworkBackend):
    """Opens the pool's connections, all to one endpoint; deadlines are the caller's."""

    def __init__(self, dialer: Dialer, endpoint: Endpoint) -> None:
        self._dialer = dialer
        self._endpoint = endpoint

    async def connect_tcp(self, *_where: object, **_how: object) -> httpcore.AsyncNetworkStream:
        try:
            return _PoolStream(await self._dialer(self._endpoint))
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _PoolStream(httpcore.AsyncNetworkStream):
    """A Trio stream as httpcore wants it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, *_limits: object, **_named_limits: object) -> bytes:
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, *_limits: object, **_named_limits: object) -> None:
        try:
            await self._stream.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)

    def get_extra_info(self, info: str) -> object:
        """`is_readable`: an idle connection with bytes or an end to read is not to be used again."""
        return _is_readable(self._stream) if info == "is_readable" else None


def _is_readable(stream: trio.abc.Stream) -> bool:
    """Whether a socket has something to read now; a stream without a socket never tells."""
    if isinstance(stream, TlsStream):
        return _is_readable(stream.transport)
    if not isinstance(stream, trio.SocketStream):
        return False
    poll = select.poll()
    poll.register(stream.socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))
