"""The ordinary answer, read at one glance: status line, plain headers, a counted body, and nothing after it.

Owns: what counts as ordinary.
Never: guesses: whatever is incomplete, chunked, closing, informational or merely unusual is left to h11.

The tests hold that h11 reads everything that is read here, and reads it so.
"""

from __future__ import annotations

import re
from typing import Final

from arb.venues.spec import HttpResponse

_HEAD: Final = re.compile(
    rb"HTTP/1\.1 [2-5][0-9][0-9] [ -~]*"
    rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+: (?:[!-~][ -~]*)?)+"
)
_NO_BODY: Final = (204, 304)
_MAX_DIGITS: Final = 7


def plain_answer(data: bytes) -> HttpResponse | None:
    """The answer that `data` is from its first byte to its last; None: h11 has to look at it."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or _HEAD.fullmatch(data, 0, end) is None:
        return None
    first, *rows = data[:end].decode("ascii").split("\r\n")
    headers = {}
    for row in rows:
        name, _, value = row.partition(": ")
        headers[name.lower()] = value.rstrip()
    length, status = headers.get("content-length", ""), int(first[9:12])
    is_counted = length.isdecimal() and len(length) <= _MAX_DIGITS and len(data) == end + 4 + int(length)
    is_lasting = headers.get("connection", "keep-alive").lower() == "keep-alive"
    if not is_counted or not is_lasting or len(headers) != len(rows) or status in _NO_BODY:
        return None
    if "transfer-encoding" in headers:
        return None
    return HttpResponse(status=status, headers=headers, body=data[end + 4 :])
