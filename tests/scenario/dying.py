"""A run of the engine as a process that can be killed: its disk, its connections, its threads.

Owns: the moments at which it may die, and what is left of it on disk and network when it does.
Never: replaces a part of the engine by a double.
Units: virtual seconds.

A kill is what SIGKILL is: from that moment on nothing the run does has an effect on disk or network, and none of its
ending is done.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from arb.cli.assembly import Assembly
from arb.domain.effects import Submit
from arb.domain.errors import JournalFull
from arb.engine import Engine
from arb.ports import Endpoint
from arb.storage.codec import decode_record, decode_step
from arb.supervision.stopping import Reason
from arb.venues.wire.memory import MemoryNetwork, MemoryStream

T = TypeVar("T")

LAZY_SYNC_S = 0.2
SYNC_S = 0.0005


class Keep(Enum):
    """What of the bytes that were not synced is on the disk after a kill."""

    NONE = "none"
    ALL = "all"
    TORN = "torn"
    """The first half of them, which ends somewhere inside a record."""


@attrs.frozen
class Moment:
    """Something a run did or was told, at which it may die."""

    index: int
    at_s: float
    name: str


class CrashDisk:
    """Implements `journal.Writer`: bytes reach their file when they are synced, or when a kill leaves them there."""

    def __init__(self, moment: Callable[[str], None]) -> None:
        self._moment = moment
        self._waiting: deque[Path | bytes] = deque()
        self._path: Path | None = None
        self._put_seq = 0
        self._synced_seq = 0
        self._lazy_at_s = 0.0
        self.is_dead = False

    @property
    def synced_seq(self) -> int:
        """Highest sequence on disk."""
        return self._synced_seq

    def open_segment(self, path: Path) -> None:
        """What follows belongs to another file."""
        self._waiting.append(path)

    def put(self, record: bytes, seq: int) -> None:
        """Take a record; what has waited for long is written by the way."""
        purpose = _purpose_in(record)
        self._happens(purpose, "decided")
        if self.is_dead:
            return
        self._waiting.append(record)
        self._put_seq = seq
        self._happens(purpose, "queued")
        if trio.current_time() - self._lazy_at_s >= LAZY_SYNC_S:
            self._sync()

    def _happens(self, purpose: str, what: str) -> None:
        if purpose and not self.is_dead:
            self._moment(f"{purpose} {what}")

    def sync_soon(self) -> None:
        """Whoever waits begins it."""

    async def synced(self, seq: int) -> None:
        """Wait for the disk."""
        if self._synced_seq >= seq:
            await trio.lowlevel.checkpoint()
            return
        await trio.sleep(SYNC_S)
        if self.is_dead:
            raise JournalFull("the process is dead")
        self._sync()
        self._moment("synced")

    def close(self) -> None:
        """Write what is left."""
        self._sync()

    def crash(self, keep: Keep) -> None:
        """The process is gone; `keep` of what waited is on the disk."""
        if keep is not Keep.NONE:
            size = sum(len(one) for one in self._waiting if isinstance(one, bytes))
            self._write(size if keep is Keep.ALL else size // 2)
        self._waiting.clear()
        self.is_dead = True

    def _sync(self) -> None:
        if self.is_dead:
            return
        self._lazy_at_s = trio.current_time()
        self._write(None)
        self._synced_seq = self._put_seq

    def _write(self, limit: int | None) -> None:
        while self._waiting and (limit is None or limit > 0):
            one = self._waiting.popleft()
            if isinstance(one, Path):
                self._path = one
                one.touch(0o600)
                continue
            piece = one if limit is None else one[:limit]
            limit = None if limit is None else limit - len(piece)
            assert self._path is not None
            with self._path.open("ab") as file:
                file.write(piece)


def _purpose_in(record: bytes) -> str:
    """What the orders of a framed step are for; empty: it has none."""
    if record[8:9] != b"S" or Submit.__name__.encode() not in record:
        return ""
    bodies = [body for tag, body in decode_step(record[9:]).effects if tag == Submit.__name__]
    return str(decode_record(bodies[0])["orders"][0]["request"]["purpose"]) if bodies else ""


@attrs.define(eq=False)
class Wire(trio.abc.HalfCloseableStream):
    """A connection of a run: what it says and hears about orders is a moment."""

    inner: MemoryStream
    host: str
    moment: Callable[[str], None]
    carries_orders: bool = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; an order's bytes are a moment before and after."""
        words = bytes(data[:400])
        is_order = words.startswith((b"POST /v1/orders", b"POST /fapi/v1/order")) or b'"order.place"' in words
        if is_order:
            self.carries_orders = True
            self.moment(f"{self.host} order leaves")
        elif words.startswith((b"GET /websocket/v1/private", b"GET /private", b"GET /ws/")):
            self.carries_orders = True
        await self.inner.send_all(data)
        if is_order:
            self.moment(f"{self.host} order left")

    async def wait_send_all_might_not_block(self) -> None:
        """As TCP."""
        await self.inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """As TCP."""
        await self.inner.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive; on a connection that has carried an order, or the account's stream, it is a moment."""
        found = await self.inner.receive_some(max_bytes)
        if self.carries_orders and found:
            self.moment(f"{self.host} answer")
        return found

    async def aclose(self) -> None:
        """As TCP."""
        await self.inner.aclose()


@attrs.define(eq=False)
class Life:
    """One run of the engine, from its start to its end or its death."""

    network: MemoryNetwork
    is_fatal: Callable[[Moment, Assembly], bool]
    keep: Keep
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    moments: list[Moment] = attrs.field(factory=list)
    wires: list[MemoryStream] = attrs.field(factory=list)
    disk: CrashDisk = attrs.field(init=False)
    parts: Assembly = attrs.field(init=False)
    is_dead: bool = False
    reason: Reason | None = None
    """None: it was killed."""
    began_s: float = attrs.field(factory=trio.current_time)
    began_trading_s: float | None = None
    """When it had settled."""
    ended_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.disk = CrashDisk(self.moment)

    @property
    def engine(self) -> Engine:
        """As the run left it."""
        return self.parts.engine

    def moment(self, name: str) -> None:
        """Something happens; perhaps it is the last thing."""
        if self.is_dead:
            return
        now = Moment(len(self.moments), trio.current_time(), name)
        self.moments.append(now)
        if self.is_fatal(now, self.parts):
            self.kill()

    def kill(self) -> None:
        """SIGKILL: no effect from now on."""
        if self.is_dead:
            return
        self.is_dead = True
        self.disk.crash(self.keep)
        for wire in self.wires:
            wire.close()
        self.scope.cancel(reason="killed")

    async def dial(self, endpoint: Endpoint) -> trio.abc.Stream:
        """Connect."""
        if self.is_dead:
            raise OSError(errno.ENETDOWN, "the process is dead")
        stream = await self.network(endpoint)
        assert isinstance(stream, MemoryStream)
        self.wires.append(stream)
        return Wire(stream, endpoint.host.partition(".")[0], self.moment)

    async def thread(self, function: Callable[[], T], /) -> T:
        """Run where we stand; a dead process runs nothing."""
        await trio.lowlevel.checkpoint()
        if self.is_dead:
            raise OSError(errno.EIO, "the process is dead")
        return function()


def never(_moment: Moment, _parts: Assembly) -> bool:
    """Nothing is fatal."""
    return False
