"""`arb inspect VENUE FILE`: captured raw frames in, normalised events out, one JSON line each.

Owns: reading lines (plain, gzip, standard input), unwrapping `raw`, numbering, and the summary on stderr.
Never: knows a venue's message; that is the venue folder's inspector. A line that cannot be decoded gives a line with
`error`.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import attrs
import msgspec

from arb.domain.errors import ConfigError, ProtocolError
from arb.venues import load_venue
from arb.venues.spec import Inspector

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BATCH_LINES: Final = 512


class _Captured(msgspec.Struct):
    """A line of a capture: an object whose `raw` holds the frame as text."""

    raw: str | msgspec.UnsetType = msgspec.UNSET


_CAPTURED: Final = msgspec.json.Decoder(_Captured)
_ENCODER: Final = msgspec.json.Encoder()


@attrs.define
class Tally:
    """What a file held."""

    lines: int = 0
    events: int = 0
    errors: int = 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Two arguments."""
    parser.epilog = "Example: arb inspect upbit frames.jsonl | head"
    parser.add_argument("venue", metavar="VENUE", help="upbit, binance_spot or binance_usdm")
    parser.add_argument("file", metavar="FILE", help="JSON Lines, plain or gzip; - for standard input")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity: the output is JSON Lines anyway")


def run(args: argparse.Namespace) -> int:
    """Decode every line; 0 as soon as the file could be read, whatever it holds."""
    inspector = load_venue(args.venue).inspect
    if inspector is None:
        raise ConfigError(f"venue {args.venue!r} has no messages to inspect: use upbit, binance_spot or binance_usdm")
    tally = Tally()
    with _opened(args.file) as lines:
        _write(sys.stdout.buffer, decoded_lines(inspector, lines, tally))
    sys.stderr.write(f"{tally.lines} lines, {tally.events} events, {tally.errors} lines with error\n")
    return 0


def decoded_lines(inspector: Inspector, lines: Iterable[bytes], tally: Tally) -> Iterator[bytes]:
    """One JSON line per event; blank lines are counted and skipped."""
    for number, line in enumerate(lines, start=1):
        tally.lines += 1
        text = line.strip()
        if not text:
            continue
        try:
            events = inspector.decode(_frame(text))
        except ProtocolError as error:
            tally.errors += 1
            yield _ENCODER.encode({"line": number, "error": error.detail}) + b"\n"
            continue
        tally.events += len(events)
        for event in events:
            yield _ENCODER.encode({"line": number, **event.values}) + b"\n"


def _frame(text: bytes) -> str:
    """The frame of a line: what `raw` holds, else the line itself."""
    try:
        captured = _CAPTURED.decode(text)
        if isinstance(captured.raw, str):
            return captured.raw
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return text.decode("utf-8", "replace")


def _write(out: BinaryIO, lines: Iterator[bytes]) -> None:
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _BATCH_LINES:
            out.write(b"".join(batch))
            batch.clear()
    out.write(b"".join(batch))
    out.flush()


@contextmanager
def _opened(name: str) -> Iterator[Iterable[bytes]]:
    """The file's lines.

    Raises:
        ConfigError: it cannot be opened or read.
    """
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as plain:
            is_packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if is_packed else plain
    except (OSError, EOFError) as error:
        raise ConfigError(f"cannot read {name}: {error}") from error
