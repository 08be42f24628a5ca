"""RFC 6455 frames of a server, many at a time: every complete data message of a chunk in one call.

Owns: the bytes of an unfinished frame and the parts of an unfinished message.
Never: waits, sends, unmasks (a server never masks) or knows extensions (none are offered).
Units: sizes in bytes.

Control frames are set aside whole, for wsproto to judge. A violation is kept in `fault` and ends the reading, so that
the messages before it are not lost.

Invariant: whatever way the bytes are cut, the messages are those wsproto finds, and both refuse the same streams
(`test_any_chunking_gives_what_wsproto_gives`).
"""

from __future__ import annotations

import codecs
from typing import Final

from wsproto.frame_protocol import CloseReason, ParseFailed

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024

_FIN_TEXT: Final = 0x81
_FIN_BINARY: Final = 0x82
_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_CONTROLS: Final = frozenset((0x8, 0x9, 0xA))


class FrameReader:
    """Cuts a server's byte stream into data messages and control frames."""

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.controls: list[tuple[int, bytes]] = []
        """Control frames of the last `feed`: opcode and payload."""
        self.fault: ParseFailed | None = None
        """Why reading ended; nothing is read after it."""
        self._max_bytes = max_message_bytes
        self._tail: list[bytes] = []
        self._have = 0
        self._need = 2
        self._opcode = 0
        self._parts: list[bytes] = []
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_closed = False

    def feed(self, data: bytes) -> list[bytes]:
        """Every data message that `data` completes, in order; control frames of the chunk are in `controls`."""
        self.controls = []
        out: list[bytes] = []
        if self._is_closed or self.fault is not None:
            return out
        if self._tail:
            self._tail.append(data)
            self._have += len(data)
            if self._have < self._need:
                return out
            data = b"".join(self._tail)
            self._tail = []
        try:
            rest = self._cut(data, out)
        except ParseFailed as fault:
            self.fault = fault
            return out
        if rest < len(data):
            self._tail.append(data[rest:])
            self._have = len(data) - rest
        return out

    def _cut(self, data: bytes, out: list[bytes]) -> int:
        """Take whole frames off the front of `data`; return where the unfinished one begins."""
        pos, end, limit = 0, len(data), self._max_bytes
        while end - pos >= 2:
            first = data[pos]
            size = data[pos + 1]
            if size < 126:
                start = pos + 2
            elif size == 126 and first == _FIN_TEXT and end - pos >= 4 and data[pos + 2]:  # what nearly all books are
                start = pos + 4
                size = data[pos + 2] << 8 | data[pos + 3]
            else:
                if (header := self._long_size(data, pos, size)) is None:
                    return pos
                start, size = header
            if size > limit:
                raise ParseFailed(f"a frame of {size} bytes, more than {limit}", CloseReason.MESSAGE_TOO_BIG)
            if (stop := start + size) > end:
                if first not in (_FIN_TEXT, _FIN_BINARY):
                    self._check_header(first, size)
                self._need = stop - pos
                return pos
            payload = data[start:stop]
            pos = stop
            if first == _FIN_TEXT and not self._opcode:
                if not payload.isascii():
                    _check_utf8(payload)
                out.append(payload)
            elif first == _FIN_BINARY and not self._opcode:
                out.append(payload)
            elif self._other(first, payload, out):
                return end
        self._need = 2
        return pos

    def _long_size(self, data: bytes, pos: int, size: int) -> tuple[int, int] | None:
        """Start of the payload and its size, from an extended header; None: the header is not whole yet."""
        if size > 127:
            raise ParseFailed("a server must not mask its frames")
        if data[pos] & 0x0F in _CONTROLS:
            raise ParseFailed("a control frame of more than 125 bytes")
        width = 2 if size == 126 else 8
        start = pos + 2 + width
        if start > len(data):
            self._need = 2 + width
            return None
        size = int.from_bytes(data[pos + 2 : start], "big")
        if size < (126 if width == 2 else 65536):
            raise ParseFailed("a length written longer than needed")
        return start, size

    def _check_header(self, first: int, size: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise ParseFailed("reserved bits are set")
        if opcode in _CONTROLS:
            if not first & 0x80:
                raise ParseFailed("a fragmented control frame")
        elif opcode > _BINARY:
            raise ParseFailed(f"reserved opcode {opcode:#x}")
        elif sum(map(len, self._parts)) + size > self._max_bytes:
            raise ParseFailed(f"a message of more than {self._max_bytes} bytes", CloseReason.MESSAGE_TOO_BIG)

    def _other(self, first: int, payload: bytes, out: list[bytes]) -> bool:
        """Control frames and fragments, the rare ones; True: the peer has said its last word."""
        self._check_header(first, len(payload))
        opcode = first & 0x0F
        if opcode in _CONTROLS:
            self.controls.append((opcode, payload))
            self._is_closed = opcode == _CLOSE
            return self._is_closed
        if (opcode == _CONTINUATION) is not bool(self._opcode):
            raise ParseFailed("a fragment out of order")
        if opcode:
            self._opcode = opcode
            self._decoder = codecs.getincrementaldecoder("utf-8")() if opcode == _TEXT else None
        is_last = bool(first & 0x80)
        self._check_fragment(payload, is_last)
        self._parts.append(payload)
        if is_last:
            out.append(b"".join(self._parts))
            self._parts = []
            self._opcode = 0
        return False

    def _check_fragment(self, payload: bytes, is_last: bool) -> None:
        if self._decoder is None:
            return
        try:
            self._decoder.decode(payload, is_last)
        except UnicodeDecodeError as error:
            raise ParseFailed(str(error), CloseReason.INVALID_FRAME_PAYLOAD_DATA) from error


def _check_utf8(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise ParseFailed(str(error), CloseReason.INVALID_FRAME_PAYLOAD_DATA) from error
