"""TLS over any Trio stream, batching: one socket read, then every record at hand in one answer.

Owns: the TLS state of one connection. Never: connects, or chooses what to trust (the context is given).

`trio.SSLStream` answers with one record per call and pays its locks and retries for each; exchanges send one record per
message. Truncation is an error: an end of stream without `close_notify` raises `trio.BrokenResourceError`.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Final

import trio

READ_BYTES: Final = 256 * 1024
_CLOSE_NOTIFY_S: Final = 0.2
"""How long closing waits for the peer to take our farewell."""


class TlsStream(trio.abc.Stream):
    """The client side of TLS on `transport`; call `do_handshake` first."""

    def __init__(self, transport: trio.abc.Stream, context: ssl.SSLContext, server_hostname: str) -> None:
        self.transport = transport
        self._inbound = ssl.MemoryBIO()
        self._outbound = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._inbound, self._outbound, server_hostname=server_hostname)
        self._flush_lock = trio.StrictFIFOLock()
        self._ready = b""
        self._is_ended = False
        self._is_closed = False

    async def do_handshake(self) -> None:
        """Agree with the peer. The caller sets the deadline.

        Raises:
            ssl.SSLError: the peer is not who it should be, or speaks no TLS we accept.
            trio.BrokenResourceError: the peer went away.
        """
        is_done = False
        while not is_done:
            try:
                self._tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                with trio.move_on_after(_CLOSE_NOTIFY_S, shield=True):
                    await self._flush()  # tell the peer why
                raise
            await self._flush()
            if not is_done:
                await self._refill()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Everything decrypted at hand; waits only when there is nothing. Empty: the peer said goodbye."""
        if self._has_answer():
            await trio.lowlevel.checkpoint()
            return self._cut(max_bytes)
        has_waited = False
        while True:
            if self._is_closed:
                raise trio.ClosedResourceError("this TLS stream is closed")
            if self._inbound.pending or not has_waited:
                self._drain()
            if self._outbound.pending:
                await self._flush()
            if self._has_answer():
                if not has_waited:
                    await trio.lowlevel.checkpoint()
                return self._cut(max_bytes)
            await self._refill()
            has_waited = True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._is_closed:
            raise trio.ClosedResourceError("this TLS stream is closed")
        try:
            if data:
                self._tls.write(data)
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error
        await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        await self.transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Say goodbye (bounded) and close the stream below."""
        was_closed, self._is_closed = self._is_closed, True
        try:
            if not was_closed:
                with trio.move_on_after(_CLOSE_NOTIFY_S):
                    await self._say_goodbye()
        finally:
            await self.transport.aclose()

    async def _say_goodbye(self) -> None:
        with suppress(ssl.SSLError):  # the usual: our close_notify is written, theirs has not come
            self._tls.unwrap()
        try:
            await self._flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return

    def _has_answer(self) -> bool:
        return bool(self._ready) or self._is_ended

    def _drain(self) -> None:
        """Decrypt every record at hand."""
        parts: list[bytes] = []
        read = self._tls.read
        try:
            while part := read(READ_BYTES):
                parts.append(part)
            self._is_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._is_ended = True
        except ssl.SSLError as error:
            if not parts:
                raise trio.BrokenResourceError from error
            # OpenSSL repeats a fatal error at the next read, after these records have been handed out.
        if parts:
            self._ready = parts[0] if len(parts) == 1 else b"".join(parts)

    def _cut(self, max_bytes: int | None) -> bytes:
        ready = self._ready
        if max_bytes is None or len(ready) <= max_bytes:
            self._ready = b""
            return ready
        self._ready = ready[max_bytes:]
        return ready[:max_bytes]

    async def _refill(self) -> None:
        if not (data := await self.transport.receive_some(READ_BYTES)):
            raise trio.BrokenResourceError("the peer went away without saying goodbye (close_notify)")
        self._inbound.write(data)

    async def _flush(self) -> None:
        """Send what is encrypted; no checkpoint before the bytes leave where nobody else is sending."""
        try:
            self._flush_lock.acquire_nowait()
        except trio.WouldBlock:
            await self._flush_lock.acquire()
        try:
            if data := self._outbound.read():
                await self.transport.send_all(data)
            else:
                await trio.lowlevel.checkpoint()
        finally:
            self._flush_lock.release()
