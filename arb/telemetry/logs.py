"""Logs: one file per component, written by one thread off the event loop.

Owns: handlers, formats, redaction and the listener thread.
Never: blocks the caller: a full queue drops the line, counts it, and says so with the next line that fits.
Units: line `2025-11-15 20:56:14,510 [INFO    ] [arb.live_loop] event key=value …`, local time; files roll at midnight
UTC, seven days kept.
"""

from __future__ import annotations

import copy
import logging
import queue
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler, TimedRotatingFileHandler
from pathlib import Path
from typing import Final

import msgspec

COMPONENTS: Final = ("health", "safety", "watchdog", "sys_monitor")
"""Loggers `arb.<component>` with a file of their own; everything else of `arb` is told in `live_loop.log`."""
QUEUE_LINES: Final = 20_000
KEPT_DAYS: Final = 7
FAULTS_BYTES: Final = 4 * 1024 * 1024
"""Frames that could not be understood are kept in two files of this size."""
_PLAIN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "dropped_lines"}
_SENSITIVE: Final = re.compile(
    r"(?i)(signature|secret|listenkey|x-mbx-apikey|authorization|api_?key)(\"?\s*[=:]\s*\"?)(bearer\s+)?[^\s&\"',}]+"
)


class Redaction:
    """Blanks known secrets and whatever looks like a credential."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 4)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _SENSITIVE.sub(r"\1\2***", text)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}


class LineFormatter(logging.Formatter):
    """Event name and `key=value` pairs."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(asctime)s [%(levelname)-8s] [%(name)s] %(message)s")
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the stack below it where there is one."""
        pairs = "".join(f" {key}={_quoted(value)}" for key, value in _fields(record).items())
        line = copy.copy(record)
        line.msg, line.args = record.getMessage() + pairs, ()
        return self._redaction(super().format(line))


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, component, event and the keys of the line."""
        values: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "component": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            values["stack"] = self.formatException(record.exc_info)
        return self._redaction(msgspec.json.encode(values, enc_hook=str).decode())


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text


class _Screen:
    """Standard output as it is when a line is written: a live display stands in front of it while there is one."""

    def write(self, text: str) -> None:
        """Write a piece of a line."""
        sys.stdout.write(text)

    def flush(self) -> None:
        """Let it be seen."""
        sys.stdout.flush()


class _DroppingQueueHandler(QueueHandler):
    """Puts lines on the bounded queue; the caller never waits."""

    def __init__(self, lines: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(lines)
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Fix the message and the stack now; objects in it may change later."""
        line = copy.copy(record)
        line.msg, line.args = record.getMessage(), ()
        if record.exc_info:
            line.exc_text = logging.Formatter().formatException(record.exc_info)
            line.exc_info = None
        return line

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue the line, or count it as dropped."""
        if self._dropped:
            record.dropped_before = self._dropped
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1
        else:
            self._dropped = 0


class _Component(logging.Filter):
    """Passes lines of one component."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is the component's own."""
        return record.name == self.name or record.name.startswith(f"{self.name}.")


class _Rest(logging.Filter):
    """Passes what has no file of its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line belongs to the story of the run."""
        return record.name.split(".")[1:2] not in ([name] for name in (*COMPONENTS, "faults"))


class _NotFrames(logging.Filter):
    """Keeps raw frames out of everything but their own file."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is for people."""
        return record.name != "arb.faults"


@contextmanager
def open_logs(
    directory: Path,
    *,
    level: str,
    as_json: bool,
    secrets: Sequence[str],
    console_level: int | None,
    faults: Path | None = None,
) -> Iterator[None]:
    """Install the handlers of the `arb` loggers; on leaving write what waits and remove them.

    `console_level` None: nothing goes to the console. `faults`: where raw frames of `arb.faults` are kept, bounded.

    Raises:
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    redaction = Redaction(secrets)
    formatter: logging.Formatter = JsonFormatter(redaction) if as_json else LineFormatter(redaction)
    handlers: list[logging.Handler] = [
        _file(directory / f"{name}.log", logging.DEBUG, f"arb.{name}") for name in COMPONENTS
    ]
    handlers.append(_file(directory / "live_loop.log", logging.DEBUG, "arb"))
    handlers[-1].addFilter(_Rest())
    handlers.append(_file(directory / "errors.log", logging.WARNING, "arb"))
    if console_level is not None:
        console = logging.StreamHandler(_Screen())
        console.setLevel(console_level)
        console.addFilter(_NotFrames())
        handlers.append(console)
    for handler in handlers:
        handler.setFormatter(formatter)
    if faults is not None:
        handlers.append(_frames_file(faults, redaction))
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LINES)
    listener = QueueListener(lines, *handlers, respect_handler_level=True)
    root, sender = logging.getLogger("arb"), _DroppingQueueHandler(lines)
    before = root.level, root.propagate
    root.setLevel(level)
    root.propagate = False
    root.addHandler(sender)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(sender)
        root.level, root.propagate = before
        listener.stop()
        for handler in handlers:
            handler.close()


class _FrameFormatter(logging.Formatter):
    """The frame's own JSON line, redacted."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(message)s")
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return self._redaction(record.getMessage())


def _frames_file(directory: Path, redaction: Redaction) -> logging.Handler:
    handler = RotatingFileHandler(
        directory / "frames.jsonl", maxBytes=FAULTS_BYTES, backupCount=1, delay=True, encoding="utf-8"
    )
    handler.addFilter(_Component("arb.faults"))
    handler.setFormatter(_FrameFormatter(redaction))
    return handler


def _file(path: Path, level: int, logger: str) -> logging.Handler:
    handler = TimedRotatingFileHandler(
        path, when="midnight", utc=True, backupCount=KEPT_DAYS, delay=True, encoding="utf-8"
    )
    handler.setLevel(level)
    handler.addFilter(_Component(logger))
    return handler
