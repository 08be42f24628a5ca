"""`control.sock`: operator commands in, answers out.

Owns: the socket, its clients' limits, and which answer belongs to which consumed command.
Never: decides anything: a command is an event like any other; lets a client wait for what trading waits for.
Units: seconds; `seq` is the journal's.

1. One connection carries one request and one answer (`control_words`). At most `MAX_CLIENTS` at a time, each with a
   limit on every wait, so that whoever hangs hangs alone.
2. Who may speak is decided by the kernel's word on the peer: the engine's own user, or root.
3. A command goes into the inbox and is answered when the decision loop has consumed it (`applied`) and the journal is
   synced up to that step: what was answered survives the next crash.
4. Every request but `status` leaves one line `operator_command` in safety.log, refused and dry ones too.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from arb.domain.errors import ConfigError
from arb.domain.events import Command, Event, Reconciled
from arb.domain.ids import PairId
from arb.ports import Clock
from arb.supervision.control_view import ControlView
from arb.supervision.control_words import (
    KINDS,
    MAX_LINE_BYTES,
    RECONCILE,
    STATUS,
    ControlAnswer,
    ControlRequest,
    applied_words,
    cause_name,
    cause_told,
    encoded,
    read_request,
    refused,
    resumable,
)

SOCKET_NAME: Final = "control.sock"
MAX_CLIENTS: Final = 8
LINE_S: Final = 5.0
"""To send a request, or to take an answer."""
APPLIED_S: Final = 5.0
"""For the decision loop and the disk."""
REREAD_S: Final = 30.0
"""For every venue to tell its account."""
MAX_PATH_BYTES: Final = 107
"""What the kernel takes as the name of a socket."""
safety: Final = logging.getLogger("arb.safety")


@attrs.frozen
class Peer:
    """Who is at the other end, as the kernel knows it."""

    pid: int
    uid: int

    def is_permitted(self, own_uid: int) -> bool:
        """Whether the engine takes commands from it."""
        return self.uid in (0, own_uid)


@attrs.define(eq=False)
class _Waiting:
    """A command on its way through the decision loop."""

    command: Command
    consumed: trio.Event = attrs.field(factory=trio.Event)
    seq: int = 0
    after: ControlView | None = None


@attrs.define(eq=False)
class _Reading:
    """A client that waits for every venue's account."""

    since_ns: int
    complete: trio.Event = attrs.field(factory=trio.Event)


class Control:
    """The server's side of the protocol; `applied` is told of every turn."""

    def __init__(
        self,
        *,
        put: Callable[[Command], None],
        clock: Clock,
        view: Callable[[], ControlView],
        reread: Callable[[], None],
        is_read_since: Callable[[int], bool],
        synced: Callable[[int], Awaitable[object]],
    ) -> None:
        self._put = put
        """Into the inbox."""
        self._clock = clock
        self._view = view
        self._reread = reread
        """Asks every venue for its account; what it tells comes back as events, the last of them `Reconciled`."""
        self._is_read_since = is_read_since
        """Whether every venue's account has been read and compared since a monotonic time."""
        self._synced = synced
        self._waiting: dict[int, _Waiting] = {}
        self._readings: list[_Reading] = []
        self._clients = 0

    def applied(self, event: Event, seq: int) -> None:
        """The decision loop consumed `event` as step `seq`; to be called after every turn."""
        if self._readings and type(event) is Reconciled:
            for reading in self._readings:
                if self._is_read_since(reading.since_ns):
                    reading.complete.set()
        if (waiting := self._waiting.get(id(event))) is not None:
            waiting.seq, waiting.after = seq, self._view()
            waiting.consumed.set()

    async def serve(self, path: Path, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. The caller holds the lock of the directory, so that a socket found there is stale.

        Raises:
            ConfigError: the socket cannot be made.
        """
        with control_listener(path) as listener:
            listening = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(trio.serve_listeners, self._attend, [listening]))
                task_status.started()

    async def _attend(self, stream: trio.SocketStream) -> None:
        """One client: a line, an answer, the end."""
        self._clients += 1
        try:
            async with stream:
                with trio.move_on_after(LINE_S + REREAD_S + APPLIED_S + LINE_S):
                    answer = await self._conversation(stream)
                    if answer is not None:
                        with trio.move_on_after(LINE_S):
                            await stream.send_all(encoded(answer))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            self._clients -= 1

    async def _conversation(self, stream: trio.SocketStream) -> ControlAnswer | None:
        """What to answer; None: the client said nothing in time."""
        if self._clients > MAX_CLIENTS:
            return refused(f"{MAX_CLIENTS} other clients are being served; try again")
        peer = peer_of(stream.socket)
        line = None
        with trio.move_on_after(LINE_S):
            line = await _line(stream)
        if line is None:
            return None
        if not peer.is_permitted(os.geteuid()):
            answer = refused(f"uid {peer.uid} may not command an engine of uid {os.geteuid()}")
            audit(ControlRequest(command="unread", operator=f"uid {peer.uid}"), peer, answer)
            return answer
        request = read_request(line, self._view().pairs)
        if isinstance(request, ControlAnswer):
            audit(ControlRequest(command="unread", operator=f"uid {peer.uid}"), peer, request)
            return request
        answer = await self._answer(request, peer)
        if request.command != STATUS:
            audit(request, peer, answer)
        return answer

    async def _answer(self, request: ControlRequest, peer: Peer) -> ControlAnswer:
        view = self._view()
        if request.command == STATUS:
            return view.answer("", view.seq)
        if request.dry_run:
            return would_be(request, view)
        if request.command == RECONCILE:
            return await self._reconcile(request)
        return await self._command(request, peer, view)

    async def _reconcile(self, request: ControlRequest) -> ControlAnswer:
        """Read every venue now; while something is in flight there the engine reads it once more by itself."""
        reading = _Reading(self._clock.monotonic_ns())
        self._readings.append(reading)
        try:
            with trio.fail_after(REREAD_S):
                self._reread()
                await reading.complete.wait()
        except trio.TooSlowError:
            return refused(
                f"not every venue could be read and compared within {REREAD_S:g} s: one does not answer (errors.log), "
                "or orders are in flight; pause, and try again"
            )
        finally:
            self._readings.remove(reading)
        view = self._view()
        return view.answer(applied_words(request, (), 0), view.seq)

    async def _command(self, request: ControlRequest, peer: Peer, before: ControlView) -> ControlAnswer:
        """Through the inbox and the decision loop onto the disk."""
        command = command_of(request, peer, self._clock.monotonic_ns())
        waiting = _Waiting(command)
        self._waiting[id(command)] = waiting
        try:
            with trio.fail_after(APPLIED_S):
                self._put(command)
                await waiting.consumed.wait()
                await self._synced(waiting.seq)
        except trio.TooSlowError:
            if waiting.after is None:
                return refused(
                    f"the decision loop did not take it within {APPLIED_S:g} s; it may still, ask for status"
                )
            return refused(f"step {waiting.seq} took it, but the disk did not within {APPLIED_S:g} s")
        finally:
            del self._waiting[id(command)]
        assert waiting.after is not None
        return command_answer(request, before, waiting.after, waiting.seq)


def command_of(request: ControlRequest, peer: Peer, at_ns: int) -> Command:
    """The request as the core gets it."""
    return Command(
        at_ns=at_ns,
        kind=KINDS[request.command],
        operator=audited_name(request, peer),
        pair=PairId(request.pair) if request.pair is not None else None,
        reason=request.reason,
    )


def command_answer(request: ControlRequest, before: ControlView, after: ControlView, seq: int) -> ControlAnswer:
    """What step `seq` made of a command."""
    cleared = cleared_between(before, after) if request.command == "resume" else None
    return after.answer(applied_words(request, cleared or (), _open_count(request, after)), seq, cleared=cleared)


def would_be(request: ControlRequest, view: ControlView) -> ControlAnswer:
    """What a request would bring about now; nothing is touched."""
    cleared = resumable(view.causes, request.pair or "") if request.command == "resume" else None
    words = applied_words(request, cleared or (), _open_count(request, view))
    return view.answer(f"dry run: {words}", None, cleared=cleared)


def cleared_between(before: ControlView, after: ControlView) -> tuple[str, ...]:
    """Names of the causes that were in force and are no longer."""
    still = {(item.cause, item.detail) for item in after.causes.in_force}
    ended = (item for item in before.causes.in_force if (item.cause, item.detail) not in still)
    return tuple(cause_name(cause_told(item, before.causes)) for item in ended)


def audited_name(request: ControlRequest, peer: Peer) -> str:
    """The operator as journal and log keep them: the name as told, the process as the kernel knows it."""
    return f"{request.operator} pid {peer.pid}"


def _open_count(request: ControlRequest, view: ControlView) -> int:
    return sum(1 for item in view.positions if request.pair in (None, item.pair))


def audit(request: ControlRequest, peer: Peer, answer: ControlAnswer) -> None:
    """One line for each request."""
    safety.warning(
        "operator_command",
        extra={
            "command": request.command,
            "pair": request.pair or "",
            "operator": audited_name(request, peer),
            "uid": peer.uid,
            "reason": request.reason,
            "result": "refused" if not answer.ok else "dry_run" if request.dry_run else "applied",
            "seq": answer.seq if answer.seq is not None else "",
            "trading_state": answer.state,
            "words": answer.applied or answer.why,
        },
    )


async def _line(stream: trio.abc.ReceiveStream) -> bytes | None:
    """The client's line, or as much of it as is too long; None: it left before its end."""
    line = bytearray()
    while b"\n" not in line and len(line) <= MAX_LINE_BYTES:
        chunk = await stream.receive_some(MAX_LINE_BYTES + 1)
        if not chunk:
            return None
        line += chunk
    return bytes(line).partition(b"\n")[0]


def peer_of(connection: trio.socket.SocketType) -> Peer:
    """The process at the other end."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Peer(pid, uid)


@contextmanager
def control_listener(path: Path) -> Iterator[socket.socket]:
    """A listening socket at `path`, mode 0600, in place of a stale one; removed on leaving.

    Raises:
        ConfigError: it cannot be made there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            os.fchmod(listener.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # what bind gives the file
            with socket_address(path) as address:
                path.unlink(missing_ok=True)
                listener.bind(address)
            listener.listen(MAX_CLIENTS)
        except OSError as error:
            raise ConfigError(f"{path}: the control socket cannot be made: {error.strerror}") from error
        listener.setblocking(False)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """What to bind or to connect to: the path, or a short name for a long one, through its directory's descriptor.

    Raises:
        OSError: the directory cannot be opened, or the system offers no such names.
    """
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = Path("/proc/self/fd", str(directory))
        if not short.exists():
            raise OSError(
                errno.ENAMETOOLONG, f"its path is longer than {MAX_PATH_BYTES} bytes; choose a shorter data_dir"
            )
        yield str(short / path.name)
    finally:
        os.close(directory)
