"""h11 is the oracle: what is read at one glance is what it reads, to the last byte, and the connection lasts."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arb.venues.spec import HttpResponse
from arb.venues.wire.plain_answer import plain_answer

BODY = b'{"code":-2019,"msg":"Margin is insufficient."}'
ORDINARY = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n" + BODY

NAMES = (
    *("Content-Length", "content-length", "Transfer-Encoding", "Connection", "Remaining-Req", "X-MBX-USED-WEIGHT-1M"),
    *("Upgrade", "Date", "Keep-Alive", "Set-Cookie"),
)
VALUES = (
    "0",
    "2",
    "047",
    "chunked",
    "identity",
    "close",
    "keep-alive",
    "Keep-Alive",
    "",
    " ",
    "a b",
    "2 ",
    "min=1; sec=8",
)
ODD_VALUES = ("+2", "2, 2", "-1", "\t2", "a\tb", "\xe9", "a\r\n folded", "a\x00b", "9" * 30)
COMMON = ("Date: now\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Transfer-Encoding: chunked\r\n")
STATUS = ("200", "201", "204", "304", "400", "429", "503")
BODIES = (b"", b"{}", BODY, b"{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n")


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Heads put together of pieces, tidy ones or odd ones, and bodies of the length told, or not."""

    def of(usual: tuple[str, ...], *odd: str) -> str:
        return draw(st.sampled_from(usual if is_tidy else usual + odd))

    is_tidy = draw(st.booleans())
    body = draw(st.sampled_from(BODIES))
    rows = draw(st.lists(st.sampled_from(COMMON), max_size=2))
    for _ in range(draw(st.integers(0, 2))):
        name, separator = of(NAMES, "", "Bad Name", "\xe9"), of((": ",), ":", ":  ", " : ", "=")
        rows.append(name + separator + of(VALUES, *ODD_VALUES) + of(("\r\n",), "\n"))
    if draw(st.integers(0, 3)):
        told = len(body) + (0 if is_tidy else draw(st.sampled_from([0, 1, -1])))
        rows.insert(draw(st.integers(0, len(rows))), f"Content-Length: {max(told, 0)}\r\n")
    status = of(STATUS, "100", "101", "099", "600", "20", "2000") + of((" OK", " ", ""), "\tOK", " \xe9", " a\x00")
    head = of(("HTTP/1.1",), "HTTP/1.0", "HTTP/2", "http/1.1") + f" {status}\r\n{''.join(rows)}\r\n"
    return head.encode("latin-1") + body


def as_h11_reads(data: bytes) -> HttpResponse | None:
    """The one whole answer that it is, after which the connection can carry the next; None: anything else."""
    line = h11.Connection(h11.CLIENT)
    line.send(h11.Request(method="POST", target="/", headers=[("Host", "venue"), ("Content-Length", "0")]))
    line.send(h11.EndOfMessage())
    line.receive_data(data)
    head, body = None, b""
    try:
        while (event := line.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
    except h11.RemoteProtocolError:
        return None
    if head is None or line.their_state is not h11.DONE or line.our_state is not h11.DONE or line.trailing_data[0]:
        return None
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return HttpResponse(status=head.status_code, headers=headers, body=body)


@given(data=answers())
@example(data=ORDINARY)
def test_what_is_read_at_one_glance_is_what_h11_reads(data: bytes) -> None:
    found = plain_answer(data)

    assert found is None or found == as_h11_reads(data)


@given(at=st.integers(0, len(ORDINARY) - 1), byte=st.binary(max_size=2), cut=st.integers(0, 2))
def test_a_damaged_answer_is_read_as_h11_reads_it_or_left_to_it(at: int, byte: bytes, cut: int) -> None:
    data = ORDINARY[:at] + byte + ORDINARY[at + cut :]
    found = plain_answer(data)

    assert found is None or found == as_h11_reads(data)


@pytest.mark.parametrize(
    "answer",
    [
        ORDINARY,
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: keep-alive\r\nRemaining-Req: sec=7\r\n\r\n{}",
        b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_the_ordinary_answer_is_read(answer: bytes) -> None:
    assert plain_answer(answer) == as_h11_reads(answer) is not None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        ORDINARY[:-1],
        ORDINARY + b"H",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ORDINARY,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_every_other_answer_is_left_to_h11(answer: bytes) -> None:
    assert plain_answer(answer) is None
