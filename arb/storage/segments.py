"""Segment files: their framing, their header, and reading them back, torn tails included.

Owns: the file format.
Never: writes a file.
Units: a record is `length u32 | crc32 u32 | payload`, little-endian; the first record is the header (kind `H`), steps
are kind `S`, an event whose step failed is kind `E`.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import msgspec

from arb.domain.errors import ProtocolError
from arb.storage.codec import SCHEMA, Step, decode_step

_HEAD: Final = struct.Struct("<II")


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """First record of every segment: all that a replay needs to begin there."""

    schema: int
    build: str
    run_id: str
    index: int
    first_seq: int
    wall_ns: int
    monotonic_ns: int
    snapshot: bytes
    """The engine's state before `first_seq`, as `encode_value` wrote it; empty at the start of a run without a past."""


def framed(payload: bytes) -> bytes:
    """A payload as it stands in the file."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


@attrs.frozen(kw_only=True)
class Segment:
    """A segment read back."""

    path: Path
    header: SegmentHeader
    steps: tuple[Step, ...]
    failed_event: bytes | None
    """The event whose step failed, encoded; never replayed."""
    is_truncated: bool
    """The tail was cut off (a crash); everything before it is whole."""


def read_records(path: Path) -> Iterator[bytes | None]:
    """Payloads of a file in order; a final None says that the tail is torn."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    position, end = 0, len(data)
    while position + _HEAD.size <= end:
        length, checksum = _HEAD.unpack_from(data, position)
        start = position + _HEAD.size
        payload = data[start : start + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            yield None
            return
        yield payload
        position = start + length
    if position < end:
        yield None


class SegmentReader:
    """A segment read step by step: an hour of a busy market need not fit into memory at once."""

    def __init__(self, path: Path) -> None:
        """Read as far as the header.

        Raises:
            ProtocolError: the file is not a journal segment, or of an unknown schema.
        """
        self.path = path
        self.header: SegmentHeader | None = None
        """None: the file was torn before its header was whole."""
        self.failed_event: bytes | None = None
        """Known when the steps have been read, as is the next."""
        self.is_truncated = False
        self._records = read_records(path)
        first = next(self._records, None)
        if first is not None and first[:1] == b"H":
            self.header = _header(path, first[1:])

    def steps(self) -> Iterator[Step]:
        """Whole steps in order, once.

        Raises:
            ProtocolError: a step of another schema.
        """
        for payload in self._records:
            if payload is None:
                self.is_truncated = True
            elif payload[:1] == b"S":
                yield decode_step(payload[1:])
            else:
                self.failed_event = payload[1:]


def _header(path: Path, payload: bytes) -> SegmentHeader:
    try:
        header = msgspec.msgpack.decode(payload, type=SegmentHeader)
    except msgspec.MsgspecError as error:
        raise ProtocolError("journal", f"{path}: the header cannot be read: {error}") from error
    if header.schema > SCHEMA:
        raise ProtocolError("journal", f"{path}: schema {header.schema} is newer than this program ({SCHEMA})")
    return header


def read_segment(path: Path) -> Segment | None:
    """Read one segment; None when it was torn before its header was whole.

    Raises:
        ProtocolError: the file is not a journal segment, or of an unknown schema.
    """
    reader = SegmentReader(path)
    if reader.header is None:
        return None
    steps = tuple(reader.steps())
    return Segment(
        path=path, header=reader.header, steps=steps, failed_event=reader.failed_event,
        is_truncated=reader.is_truncated,
    )  # fmt: skip


def read_header(path: Path) -> SegmentHeader | None:
    """The header alone; None when the file is torn before its end."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        length, checksum = _HEAD.unpack(head)
        payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload) != checksum or payload[:1] != b"H":
        return None
    return msgspec.msgpack.decode(payload[1:], type=SegmentHeader)


def segment_paths(directory: Path, run_id: str | None = None) -> tuple[Path, ...]:
    """Segments of a run (or of all runs), compressed or not, in the order they were written: run ids sort by their
    start."""
    return tuple(sorted(directory.glob(f"{run_id or '*'}-*.journal*"), key=lambda path: path.name.partition(".")[0]))
