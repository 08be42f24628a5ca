"""The operator's side of `control.sock`: one request to a running engine, one answer.

Owns: who asks, how long is waited, and how a stopped engine is told from a silent one.
Never: writes anything.
Units: seconds.
"""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path
from typing import Final

import msgspec
import trio

from arb.cli.data_dir import DataDir, lock_holder
from arb.domain.errors import ConfigError, TransientError
from arb.supervision.control import APPLIED_S, LINE_S, REREAD_S, socket_address
from arb.supervision.control_words import ControlAnswer, ControlRequest, encoded, read_answer

ANSWER_S: Final = LINE_S + REREAD_S + APPLIED_S
STARTING_S: Final = 5.0
"""An engine that holds the directory and does not listen yet is given so long."""
AGAIN_S: Final = 0.2
_CHUNK: Final = 65_536


def operator_name() -> str:
    """user@host, as the audit shows it."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"uid-{os.geteuid()}"
    return f"{user}@{socket.gethostname()}"


async def ask(path: Path, request: ControlRequest) -> ControlAnswer | None:
    """The engine's answer; None: nobody listens there.

    Raises:
        ConfigError: the socket is not ours to open.
        TransientError: the engine took the request and did not answer, or is asked by too many.
    """
    try:
        with socket_address(path) as address:
            stream = await trio.open_unix_socket(address)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except BlockingIOError as error:
        raise TransientError(f"{path}: too many others wait there; try again") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; run this as the engine's user") from error
    async with stream:
        try:
            with trio.fail_after(ANSWER_S):
                await stream.send_all(encoded(request))
                return read_answer(await _line(stream))
        except trio.TooSlowError as error:
            raise TransientError(f"{path}: the engine did not answer within {ANSWER_S:g} s") from error
        except (trio.BrokenResourceError, msgspec.MsgspecError) as error:
            raise TransientError(f"{path}: the engine left without an answer; is it stopping?") from error


async def reach(root: Path, request: ControlRequest) -> ControlAnswer | None:
    """The running engine's answer; None: no engine runs. One that is just starting is waited for.

    Raises:
        ConfigError: the directory is not ours to use.
        TransientError: an engine runs, and does not listen or does not answer.
    """
    path = DataDir(root).control
    for _ in range(round(STARTING_S / AGAIN_S)):
        if (answer := await ask(path, request)) is not None:
            return answer
        if lock_holder(root) is None:
            return None
        await trio.sleep(AGAIN_S)
    raise TransientError(
        f"the engine with pid {lock_holder(root)} does not listen on {path}; is it starting or stopping?"
    )


async def _line(stream: trio.abc.ReceiveStream) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = await stream.receive_some(_CHUNK)
        if not chunk:
            break
        line += chunk
    return bytes(line)
