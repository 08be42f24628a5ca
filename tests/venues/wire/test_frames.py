from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import ParseFailed

from arb.venues.wire.frames import FrameReader


def frame(first: int, payload: bytes, *, mask: bool = False, width: int | None = None) -> bytes:
    size = len(payload)
    bit = 0x80 if mask else 0
    if width == 8 or (width is None and size > 0xFFFF):
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    elif width == 2 or (width is None and size > 125):
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | size))
    return head + (b"\0\0\0\0" if mask else b"") + payload


def by_wsproto(data: bytes) -> tuple[list[bytes], list[tuple[str, bytes]], bool]:
    """Data messages, control events and whether it refused, up to the first close."""
    connection = Connection(ConnectionType.CLIENT)
    connection.receive_data(data)
    messages: list[bytes] = []
    controls: list[tuple[str, bytes]] = []
    parts: list[bytes] = []
    for event in connection.events():
        if isinstance(event, CloseConnection):
            if connection.state is ConnectionState.OPEN:  # wsproto's own verdict, not the peer's farewell
                return messages, controls, True
            controls.append(("close", b""))
            return messages, controls, False
        if isinstance(event, Ping | Pong):
            controls.append((type(event).__name__.lower(), bytes(event.payload)))
        elif isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data.encode() if isinstance(event, TextMessage) else bytes(event.data))
            if event.message_finished:
                messages.append(b"".join(parts))
                parts = []
    return messages, controls, False


NAMES = {0x8: "close", 0x9: "ping", 0xA: "pong"}


def by_us(data: bytes, cuts: list[int]) -> tuple[list[bytes], list[tuple[str, bytes]], bool]:
    reader = FrameReader()
    messages: list[bytes] = []
    controls: list[tuple[str, bytes]] = []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for left, right in pairwise(edges):
        messages += reader.feed(data[left:right])
        controls += [(NAMES[op], b"" if op == 0x8 else payload) for op, payload in reader.controls]
        reader.controls = []
    return messages, controls, reader.fault is not None


payloads = st.one_of(
    st.text(max_size=40).map(str.encode),
    st.binary(max_size=20),
    st.integers(120, 140).map(lambda n: b"x" * n),
    st.integers(65530, 65540).map(lambda n: b"y" * n),
)
opcodes = st.one_of(
    st.sampled_from((0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A)),
    st.sampled_from((0x81, 0x82, 0x80, 0x00, 0x01)),
    st.integers(0, 255).filter(lambda first: first & 0x0F != 8),
)


def one_frame(first: int, payload: bytes, mask: bool, width: int | None) -> bytes:
    if first & 0x08:
        payload, width = payload[:130], None
    return frame(first, payload, mask=mask, width=width if width != 2 or len(payload) <= 0xFFFF else None)


frames = st.builds(
    one_frame,
    opcodes,
    payloads,
    st.integers(0, 30).map(lambda n: n == 0),
    st.integers(0, 40).map({0: 2, 1: 8}.get),
)


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 70_000), max_size=6), st.booleans())
def test_any_chunking_gives_what_wsproto_gives(parts, cuts, with_close):
    data = b"".join(parts) + (frame(0x88, b"\x03\xe8bye") + frame(0x81, b"after") if with_close else b"")
    assert by_us(data, cuts) == by_wsproto(data)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_arbitrary_bytes_never_raise_and_chunking_changes_nothing(data, cuts):
    assert by_us(data, cuts) == by_us(data, [])


@given(st.lists(st.text(max_size=50), max_size=6))
def test_one_byte_at_a_time_gives_the_same(texts):
    data = b"".join(frame(0x81, text.encode()) for text in texts)
    assert by_us(data, list(range(len(data)))) == ([text.encode() for text in texts], [], False)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame(0xC1, b"x"), "reserved bits"),
        (frame(0x83, b"x"), "reserved opcode"),
        (frame(0x81, b"x", mask=True), "must not mask"),
        (frame(0x89, b"x" * 126), "control frame of more"),
        (frame(0x09, b"x"), "fragmented control"),
        (frame(0x81, b"x" * 200, width=8), "longer than needed"),
        (bytes((0x81, 127)) + (1 << 62).to_bytes(8, "big"), "more than"),
        (frame(0x81, b"\xff\xfe"), "decode"),
        (frame(0x80, b"x"), "out of order"),
        (frame(0x01, b"a") + frame(0x81, b"b"), "out of order"),
        (frame(0x01, b"x" * 60) + frame(0x80, b"x" * 60), "message of more"),
    ],
)
def test_what_no_server_may_send_is_refused(data, words):
    reader = FrameReader(max_message_bytes=100 if "message" in words else 1 << 20)
    assert reader.feed(data) == []
    assert isinstance(reader.fault, ParseFailed)
    assert words in str(reader.fault)


def test_messages_before_a_violation_are_not_lost():
    reader = FrameReader()
    assert reader.feed(frame(0x81, b"one") + frame(0x83, b"?") + frame(0x81, b"two")) == [b"one"]
    assert reader.fault is not None
    assert reader.feed(frame(0x81, b"three")) == []


def test_a_too_big_frame_is_refused_by_its_header_alone():
    reader = FrameReader(max_message_bytes=1000)
    reader.feed(bytes((0x82, 126)) + (1001).to_bytes(2, "big"))
    assert reader.fault is not None
