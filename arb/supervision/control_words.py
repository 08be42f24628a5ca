"""The protocol of the control socket: one JSON line with a request, one with the answer.

Owns: both shapes, which requests are lawful, and what an answer says about causes.
Never: waits, or touches a socket.
Units: `exit_a` KRW, `exit_b` USDT, per base unit; quantities in base units, signed as held; times UTC nanoseconds.

1. Request: `{"command":"pause","pair":"BTC","reason":"news","operator":"kim@desk","dry_run":true}`; all but `command`
   and `operator` may be left out.
2. Answer: `{"ok":true,"applied":"…","seq":812,"state":"REDUCING","causes":[…]}`, `seq` being the journal's sequence of
   the step that consumed the command; or `{"ok":false,"why":"…"}`. A field that has nothing to say is left out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.events import CommandKind
from arb.risk.trading_state import OPERATOR, RULES, Cause, CauseInForce, Causes

MAX_LINE_BYTES: Final = 4_096
"""Of a request; answers are as long as what they tell."""
MAX_WORDS: Final = 200
"""Letters of a reason or a name."""
STATUS: Final = "status"
RECONCILE: Final = "reconcile"
KINDS: Final = {
    kind.value: kind
    for kind in (
        CommandKind.PAUSE,
        CommandKind.RESUME,
        CommandKind.FREEZE,
        CommandKind.FLATTEN,
        CommandKind.ARM,
        CommandKind.DISARM,
        CommandKind.ADOPT,
        CommandKind.IGNORE,
    )
}
"""Requests that the core consumes; the drain is the shell's own."""
COMMANDS: Final = (STATUS, RECONCILE, *KINDS)
WHOLE_ENGINE: Final = frozenset({"freeze", "arm", "disarm", RECONCILE})
"""Requests that no pair can be named with."""


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator asks."""

    command: str
    operator: str
    pair: str | None = None
    reason: str = ""
    dry_run: bool = False


class CauseTold(msgspec.Struct, frozen=True, kw_only=True):
    """One cause in force."""

    cause: str
    detail: str
    state: str
    text: str
    ends: str
    """How it ends, in words."""


class PositionTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One open pair position and what closing it now would mean."""

    pair: str
    direction: str
    qty_a: Decimal
    qty_b: Decimal
    exit_a: Decimal | None = None
    """Average price of closing leg A on the book as it is; None: there is no book, or it is too thin."""
    exit_b: Decimal | None = None
    cost_krw: Decimal | None = None
    """Fees of both exits and the way from the mids to the exit prices."""
    result_krw: Decimal | None = None
    """What the whole position would have brought then, entry included."""
    waits_for: str = ""
    """Why a close that must be has no order out: the gate's or the strategy's reason."""


class OrderTold(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours not known to be finished."""

    instrument: str
    client_order_id: str
    side: str
    state: str
    open_qty: Decimal


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a request, and how the engine stands after it."""

    ok: bool
    why: str = ""
    applied: str = ""
    seq: int | None = None
    run_id: str = ""
    state: str = ""
    causes: tuple[CauseTold, ...] | None = None
    cleared: tuple[str, ...] | None = None
    """After `resume`: the causes that ended."""
    is_armed: bool | None = None
    missing: tuple[str, ...] | None = None
    """What keeps real orders from being sent."""
    positions: tuple[PositionTold, ...] | None = None
    orders: tuple[OrderTold, ...] | None = None
    unbalanced: tuple[str, ...] | None = None
    differences: tuple[str, ...] | None = None
    """Where venues and books disagree, in words."""
    seen_ns: int | None = None
    """When the newest event was consumed that the numbers come from."""


def refused(why: str) -> ControlAnswer:
    """Nothing was done."""
    return ControlAnswer(ok=False, why=why)


def read_request(line: bytes, pairs: tuple[str, ...]) -> ControlRequest | ControlAnswer:
    """The lawful request in a line, or the answer that refuses it."""
    if len(line) > MAX_LINE_BYTES:
        return refused(f"the request is longer than {MAX_LINE_BYTES} bytes")
    try:
        request = msgspec.json.decode(line, type=ControlRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return refused(f"this is not a request: {error}")
    return request if (why := _fault(request, pairs)) is None else refused(why)


def _fault(request: ControlRequest, pairs: tuple[str, ...]) -> str | None:
    if request.command not in COMMANDS:
        return f"there is no command {request.command[:MAX_WORDS]!r}; known are {', '.join(COMMANDS)}"
    for name, text in (("reason", request.reason), ("operator", request.operator)):
        if len(text) > MAX_WORDS or not text.isprintable():
            return f"{name}: at most {MAX_WORDS} letters that can be printed"
    if not request.operator.strip():
        return "operator: say who asks"
    if request.pair is None:
        return None
    if request.command in WHOLE_ENGINE:
        return f"{request.command} concerns the whole engine; leave the pair out"
    if request.pair not in pairs:
        return f"there is no pair {request.pair[:MAX_WORDS]!r}; configured are {', '.join(pairs)}"
    return None


def encoded(message: ControlRequest | ControlAnswer) -> bytes:
    """A message as its line."""
    return msgspec.json.encode(message) + b"\n"


def read_answer(line: bytes) -> ControlAnswer:
    """The answer in a line.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(line, type=ControlAnswer)


def cause_told(item: CauseInForce, causes: Causes) -> CauseTold:
    """A cause, and how it ends."""
    rule = RULES[item.cause]
    if item.cause is Cause.DRAIN:
        ends = "with the run"
    elif rule.is_automatic:
        ends = "by 'arb arm'" if (item.cause, item.detail) == (Cause.UNARMED, OPERATOR) else "by itself"
    elif not rule.needs_clean:
        ends = "by 'arb resume'"
    elif causes.may_resume(item):
        ends = "by 'arb resume': venues and books have agreed since"
    else:
        ends = "by 'arb resume', after an 'arb reconcile' without differences"
    return CauseTold(
        cause=item.cause.value, detail=item.detail, state=rule.state.name, text=item.text, ends=ends
    )  # fmt: skip


def cause_name(told: CauseTold) -> str:
    """`pause`, or `pause:BTC` where it is about something."""
    return f"{told.cause}:{told.detail}" if told.detail else told.cause


def resumable(causes: Causes, pair: str) -> tuple[str, ...]:
    """Names of the causes that `resume` would end now."""
    after = Causes(causes.in_force, causes.clean_ns)
    return tuple(cause_name(cause_told(item, causes)) for item in after.resume(pair))


def applied_words(request: ControlRequest, cleared: tuple[str, ...], open_count: int) -> str:
    """What a command did, or (dry) would do, in one clause."""
    where = f" on {request.pair}" if request.pair is not None else ""
    match request.command:
        case "pause":
            return f"nothing opens{where} until resume"
        case "freeze":
            return "cancels only, until resume"
        case "resume":
            return f"ends {', '.join(cleared)}" if cleared else f"no cause{where} that resume could end now"
        case "flatten":
            positions = f"closing {open_count} open position{'' if open_count == 1 else 's'}"
            return f"{positions if open_count else 'nothing is open'}{where}; nothing opens until resume"
        case "arm":
            return "the operator permits real orders"
        case "disarm":
            return "nothing opens until arm"
        case "adopt":
            return f"the venues' quantities{where} are in the books; what then stands unbalanced is worked"
        case "ignore":
            return f"the differences{where} belong to somebody else from now on"
        case "reconcile":
            return "every venue was read again"
    return "nothing is changed"
