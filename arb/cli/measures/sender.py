"""The other end of a measured socket, in a process of its own: sends WebSocket frames, or answers HTTP requests.

Owns: a listening socket on loopback, one thread per connection, and the send stamps in the frames.
Never: imports the engine; outlives its standard input.
Units: `rate` frames per second; stamps UTC nanoseconds, CLOCK_MONOTONIC plus the offset that the parent gives.

    python -m arb.cli.measures.sender '{"kind":"saturated","is_tls":true,…}'      prints its port

TLS is anonymous Diffie-Hellman over a published group: no certificate, the same record layer (TLS 1.2, AES-256-GCM).
One record per message, as exchanges send them.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator
from random import Random
from time import sleep
from typing import Final, Literal

import msgspec

from arb.cli.measures.frames import upbit_book
from arb.cli.measures.timing import now_ns

CIPHER: Final = "ADH-AES256-GCM-SHA384:@SECLEVEL=0"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BATCH: Final = 64
"""Frames (each a record of its own under TLS) that a saturating sender writes at once."""
_STAMP: Final = 1_787_727_947_526_000_000
_GROUP: Final = """-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
"""ffdhe2048 of RFC 7919: public numbers, nothing secret."""


class SenderPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the process does with each connection."""

    kind: Literal["saturated", "paced", "http"]
    is_tls: bool = False
    symbols: tuple[str, ...] = ("KRW-BTC",)
    units: int = 15
    mid: int = 149_401_500
    rate: float = 1_000.0
    offset_ns: int = 0
    """Added to CLOCK_MONOTONIC to get the stamp."""
    answer: str = ""
    """Body of every HTTP answer, whose status is 400: the order is refused for good."""


def client_context() -> ssl.SSLContext:
    """What connects to a sender with `is_tls`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _anonymous(context)


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(_GROUP)
        file.flush()
        context.load_dh_params(file.name)
    return _anonymous(context)


def _anonymous(context: ssl.SSLContext) -> ssl.SSLContext:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHER)
    return context


class SenderLine:
    """One accepted connection: plain, or TLS by hand so that many records leave in one write."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._sock = sock
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None if context is None else context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self) -> None:
        """TLS first, where there is any."""
        while self._tls is not None:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._sock.sendall(self._outgoing.read())
                self._incoming.write(self._sock.recv(65_536))
        self._sock.sendall(self._outgoing.read())

    def receive(self) -> bytes:
        """Some bytes; empty: the end."""
        if self._tls is None:
            return self._sock.recv(65_536)
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                if not (data := self._sock.recv(65_536)):
                    return b""
                self._incoming.write(data)

    def send(self, messages: list[bytes]) -> None:
        """All of them in one write, each in a record of its own."""
        if self._tls is None:
            self._sock.sendall(b"".join(messages))
            return
        for message in messages:
            self._tls.write(message)
        self._sock.sendall(self._outgoing.read())


def serve(plan: SenderPlan) -> None:
    """Accept until the parent closes our standard input."""
    context = _server_context() if plan.is_tls else None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=_accept, args=(listener, plan, context), daemon=True).start()
        sys.stdin.read()


def _accept(listener: socket.socket, plan: SenderPlan, context: ssl.SSLContext | None) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_run, args=(SenderLine(sock, context), plan), daemon=True).start()


def _run(line: SenderLine, plan: SenderPlan) -> None:
    try:
        line.shake_hands()
        if plan.kind == "http":
            _answer(line, plan.answer.encode())
            return
        _upgrade(line)
        line.receive()  # the subscription
        if plan.kind == "saturated":
            _saturate(line, plan)
        else:
            _pace(line, plan)
    except (OSError, ssl.SSLError):
        return


def _answer(line: SenderLine, body: bytes) -> None:
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    whole, waiting = head + body, b""
    while data := line.receive():
        waiting += data
        while (end := waiting.find(b"\r\n\r\n")) >= 0:
            length = _length(waiting[:end])
            if len(waiting) < end + 4 + length:
                break
            waiting = waiting[end + 4 + length :]
            line.send([whole])


def _length(head: bytes) -> int:
    for row in head.lower().split(b"\r\n"):
        if row.startswith(b"content-length:"):
            return int(row[15:])
    return 0


def _upgrade(line: SenderLine) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.receive()
    rows = dict(row.split(b": ", 1) for row in head.split(b"\r\n")[1:] if b": " in row)
    key = next(value for name, value in rows.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    first = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    line.send([first + b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept])


def framed_text(payload: bytes) -> bytes:
    """A server's text frame."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def _saturate(line: SenderLine, plan: SenderPlan) -> None:
    """As fast as the reader takes them."""
    random = Random(7)
    batches = []
    for _ in range(16):
        symbols = [plan.symbols[i % len(plan.symbols)] for i in range(_BATCH)]
        batches.append([framed_text(upbit_book(symbol, plan.units, _STAMP, random, plan.mid)) for symbol in symbols])
    while True:
        for batch in batches:
            line.send(batch)


def _pace(line: SenderLine, plan: SenderPlan) -> None:
    """One at a time, at the rate; each says when it left."""
    gap_ns = round(1e9 / plan.rate)
    next_ns = now_ns() + gap_ns
    for before, after in _pieces(plan):
        while (left_ns := next_ns - now_ns()) > 0:
            if left_ns > 150_000:
                sleep((left_ns - 100_000) / 1e9)
        next_ns += gap_ns
        line.send([framed_text(before + b"%d" % (now_ns() + plan.offset_ns) + after)])


def _pieces(plan: SenderPlan) -> Iterator[tuple[bytes, bytes]]:
    random, mark = Random(8), b"%d" % _STAMP
    made = [upbit_book(plan.symbols[i % len(plan.symbols)], plan.units, _STAMP, random, plan.mid) for i in range(64)]
    cut = [frame.partition(mark) for frame in made]
    while True:
        for before, _, after in cut:
            yield before, after


def main() -> None:
    """The plan is the only argument."""
    serve(msgspec.json.decode(sys.argv[1], type=SenderPlan))


if __name__ == "__main__":
    main()
