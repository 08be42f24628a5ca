"""Byte streams and a dialer inside one process, for simulations on a virtual clock.

Owns: bounded pipes that behave like TCP (end of file, reset, back pressure) and the table of who listens where.
Never: opens a socket, draws a random number or reads a clock.
Units: buffer sizes in bytes. A full buffer makes the sender wait, as TCP does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from arb.ports import Endpoint

BUFFER_BYTES = 262_144

Accept = Callable[[trio.abc.Stream], Awaitable[None]]


@attrs.define(eq=False)
class Pipe:
    """One direction of a connection: a bounded buffer with a sender and a receiver."""

    buffer: bytearray = attrs.field(factory=bytearray)
    is_finished: bool = False
    is_broken: bool = False
    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def wake(self) -> None:
        """Something changed: everyone who waits looks again."""
        self.changed.unpark_all()


@attrs.define(eq=False)
class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of an in-memory connection."""

    incoming: Pipe
    outgoing: Pipe
    is_closed: bool = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Queue `data`, waiting while the peer does not read."""
        await trio.lowlevel.checkpoint()
        rest = memoryview(bytes(data))
        while True:
            self._check_open_for_sending()
            room = BUFFER_BYTES - len(self.outgoing.buffer)
            if room > 0 and len(rest) > 0:
                self.outgoing.buffer += rest[:room]
                rest = rest[room:]
                self.outgoing.wake()
            if not len(rest):
                return
            await self.outgoing.changed.park()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the buffer has room."""
        await trio.lowlevel.checkpoint()
        while not self.is_closed and not self.outgoing.is_broken and len(self.outgoing.buffer) >= BUFFER_BYTES:
            await self.outgoing.changed.park()
        self._check_open_for_sending()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await trio.lowlevel.checkpoint()
        self.outgoing.is_finished = True
        self.outgoing.wake()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Up to `max_bytes`; empty at the end of file."""
        await trio.lowlevel.checkpoint()
        pipe = self.incoming
        while True:
            if self.is_closed:
                raise trio.ClosedResourceError
            if pipe.is_broken:
                raise trio.BrokenResourceError("connection reset by peer")
            if pipe.buffer:
                chunk = bytes(pipe.buffer[:max_bytes] if max_bytes else pipe.buffer)
                del pipe.buffer[: len(chunk)]
                pipe.wake()
                return chunk
            if pipe.is_finished:
                return b""
            await pipe.changed.park()

    def close(self) -> None:
        """Close this end: the peer reads what is left, then the end of file."""
        if self.is_closed:
            return
        self.is_closed = True
        self.outgoing.is_finished = True
        self.incoming.is_broken = True
        self.incoming.wake()
        self.outgoing.wake()

    async def aclose(self) -> None:
        """Close, as `close`, with a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Reset the connection: both ends fail at once and what was buffered is lost."""
        self.is_closed = True
        for pipe in (self.incoming, self.outgoing):
            pipe.buffer.clear()
            pipe.is_broken = True
            pipe.wake()

    def _check_open_for_sending(self) -> None:
        if self.is_closed:
            raise trio.ClosedResourceError
        if self.outgoing.is_finished or self.outgoing.is_broken:
            raise trio.BrokenResourceError("the peer is gone")


def memory_pair() -> tuple[MemoryStream, MemoryStream]:
    """Two connected ends."""
    there, back = Pipe(), Pipe()
    return MemoryStream(back, there), MemoryStream(there, back)


@attrs.define(eq=False)
class MemoryNetwork:
    """Listeners by host and port, and the dialer that connects to them; TLS is taken as done."""

    nursery: trio.Nursery
    listeners: dict[tuple[str, int], Accept] = attrs.field(factory=dict)

    def listen(self, host: str, port: int, accept: Accept) -> None:
        """Serve every connection to `host:port` with `accept`, one task each."""
        if (host, port) in self.listeners:
            raise OSError(f"{host}:{port} is already in use")
        self.listeners[host, port] = accept

    def ignore(self, host: str, port: int) -> None:
        """Stop listening; open connections go on."""
        del self.listeners[host, port]

    async def __call__(self, endpoint: Endpoint) -> trio.abc.Stream:
        """Connect.

        Raises:
            OSError: nothing listens there.
        """
        await trio.lowlevel.checkpoint()
        accept = self.listeners.get((endpoint.host, endpoint.port))
        if accept is None:
            raise ConnectionRefusedError(f"nothing listens on {endpoint.host}:{endpoint.port}")
        ours, theirs = memory_pair()
        self.nursery.start_soon(accept, theirs)
        return ours


@asynccontextmanager
async def open_memory_network() -> AsyncIterator[MemoryNetwork]:
    """A network whose server tasks live as long as the block."""
    async with trio.open_nursery() as nursery:
        try:
            yield MemoryNetwork(nursery)
        finally:
            nursery.cancel_scope.cancel()
