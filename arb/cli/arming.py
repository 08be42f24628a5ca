"""Whether real orders may be sent: the conditions, the verdict at start, and the watch over them during the run.

Owns: the list of conditions and their names, which are what banner, log, `/health` and `arb why` show.
Never: reads the environment (its caller hands it in), sends an order, or turns a running live engine into anything but
an unarmed one.
Units: intervals in seconds.

1. All conditions met: real orders, armed.
2. Something missing, nothing real open: the run is a shadow until it ends.
3. Something missing while something real is open: live, unarmed: nothing opens, everything else goes on.
4. Keys that fail while something real is open, or a quantity nobody can explain: refused before the first order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from enum import Enum
from typing import Final, Never

import attrs
import trio

from arb.cli.permission import NoPermission, Permission, permission_words
from arb.cli.schema import Mode
from arb.domain.events import ArmingSeen
from arb.domain.ids import VenueId
from arb.ports import Clock, EventSink
from arb.risk.limits import RiskLimits
from arb.venues.spec import KeyPermissions

ENVIRONMENT_NAME: Final = "LIVE_TRADING"
FILE_EVERY_S: Final = 2.0
KEYS_EVERY_S: Final = 86_400.0
KEYS_AGAIN_S: Final = 300.0
"""After a look at the keys that a venue did not answer."""
_KEYS_FAILED: Final = ("credentials_missing", "credentials_refused", "trading_not_permitted")
_LIMITS: Final = (
    "max_position_krw",
    "max_pair_krw",
    "max_total_krw",
    "max_net_delta_krw",
    "daily_loss_krw",
    "max_drawdown_krw",
    "max_fx_exposure_usdt",
    "max_open_positions",
)


@attrs.frozen(kw_only=True)
class KeyFacts:
    """What is known of the key of one traded venue."""

    venue: VenueId
    is_configured: bool
    is_accepted: bool | None = None
    """Whether the venue authenticated it; None: it has not answered."""
    may_trade: bool | None = None
    """None: the venue does not tell; it says so at the first order."""
    may_withdraw: bool | None = None
    """None: the venue does not tell."""


@attrs.frozen(kw_only=True)
class ArmingFacts:
    """Everything that the conditions look at."""

    mode: Mode
    live_trading: str | None
    """The environment's LIVE_TRADING; None: not set."""
    permission: Permission | NoPermission
    limits: RiskLimits
    keys: tuple[KeyFacts, ...]
    """One per traded venue."""
    unverified_modes: tuple[VenueId, ...]
    """Venues whose account mode, margin and leverage have not been read back as they must be."""
    is_reconciled: bool
    has_unexplained: bool
    is_disarmed: bool
    """By the operator, until `arb arm`."""


def key_facts(venue: VenueId, told: KeyPermissions | None, *, is_accepted: bool | None) -> KeyFacts:
    """A configured key, with what its venue tells of it: a key of a sub-account reaches only that account's money and
    is proof enough where the venue does not tell of withdrawals."""
    if told is None:
        return KeyFacts(venue=venue, is_configured=True, is_accepted=is_accepted)
    is_confined = told.may_withdraw is None and told.is_sub_account is True
    return KeyFacts(
        venue=venue,
        is_configured=True,
        is_accepted=is_accepted,
        may_trade=told.may_trade,
        may_withdraw=False if is_confined else told.may_withdraw,
    )


class Start(Enum):
    """Where orders go, decided once."""

    ARMED = "armed"
    UNARMED = "unarmed"
    SHADOW = "shadow"
    REFUSED = "refused"


@attrs.frozen
class StartVerdict:
    """How a live run begins, and why not better."""

    start: Start
    words: tuple[str, ...] = ()


def arming_conditions(facts: ArmingFacts) -> tuple[str, ...]:
    """Names of what is missing for real orders, in a fixed order; empty: nothing."""
    missing = []
    if facts.mode is not Mode.LIVE:
        missing.append("mode_not_live")
    if facts.live_trading != "1":
        missing.append("live_trading_env_not_set")
    missing += _permission_missing(facts)
    for key in facts.keys:
        missing += _key_missing(key, facts.permission)
    zero = [name for name in _LIMITS if not getattr(facts.limits, name) > Decimal(0)]
    if zero:
        missing.append(f"limits_unverified: {', '.join(zero)} not above 0")
    missing += [f"account_mode_unverified:{venue}" for venue in facts.unverified_modes]
    if not facts.is_reconciled:
        missing.append("not_reconciled")
    if facts.has_unexplained:
        missing.append("unexplained_quantity")
    if facts.is_disarmed:
        missing.append("disarmed_by_operator")
    return tuple(missing)


def decide_start(
    missing: tuple[str, ...], *, has_open: bool, has_unexplained: bool, credentials_failed: bool
) -> StartVerdict:
    """Where orders go; `has_open`: orders, positions or incidents that are real, by the journal or a venue."""
    if has_unexplained:
        return StartVerdict(Start.REFUSED, _with("unexplained_quantity", missing))
    if credentials_failed and has_open:
        return StartVerdict(Start.REFUSED, missing)
    if not missing:
        return StartVerdict(Start.ARMED)
    return StartVerdict(Start.UNARMED if has_open else Start.SHADOW, missing)


def has_failed_credentials(missing: tuple[str, ...]) -> bool:
    """Whether a key is missing, refused or not allowed to trade."""
    return any(word.partition(":")[0] in _KEYS_FAILED for word in missing)


def arming_words(missing: tuple[str, ...]) -> str:
    """One line for people when it is decided, and at every change."""
    if not missing:
        return "ARMED: real orders leave from now on"
    return f"NOT ARMED, nothing is opened: {'; '.join(missing)}"


@attrs.frozen(kw_only=True)
class ArmingWatch:
    """What the watch over a running engine asks, and whom it tells."""

    permission: Callable[[], Permission | NoPermission]
    keys: Callable[[], Awaitable[tuple[KeyFacts, ...]]]
    facts: Callable[[Permission | NoPermission, tuple[KeyFacts, ...]], ArmingFacts]
    """Both put into the rest of what is known now: mode, environment, reconciliation, the operator's disarm."""
    on_change: Callable[[tuple[str, ...]], None]
    """Told what is missing, before the core is."""
    file_every_s: float = FILE_EVERY_S
    keys_every_s: float = KEYS_EVERY_S
    keys_again_s: float = KEYS_AGAIN_S


async def watch_arming(
    watch: ArmingWatch, clock: Clock, sink: EventSink, *, keys: tuple[KeyFacts, ...], missing: tuple[str, ...]
) -> Never:
    """Look again at everything and tell the core of each change: what is lost makes it unarmed, what comes back arms.

    `keys` and `missing` are what the start found. A venue that does not answer leaves its key as it was.
    """
    keys_due_ns = clock.monotonic_ns() + round(watch.keys_every_s * 1e9)
    while True:
        await trio.sleep(watch.file_every_s)
        if clock.monotonic_ns() >= keys_due_ns:
            answers = await watch.keys()
            keys = known_keys(keys, answers)
            has_silent = any(key.is_configured and key.is_accepted is None for key in answers)
            wait_s = watch.keys_again_s if has_silent else watch.keys_every_s
            keys_due_ns = clock.monotonic_ns() + round(wait_s * 1e9)
        found = arming_conditions(watch.facts(watch.permission(), keys))
        if found != missing:
            missing = found
            watch.on_change(found)
            sink.put_account(ArmingSeen(at_ns=clock.monotonic_ns(), is_armed=not found, missing=found))


def known_keys(before: tuple[KeyFacts, ...], now: tuple[KeyFacts, ...]) -> tuple[KeyFacts, ...]:
    """The newest word on each key; one that could not be asked stays as it was."""
    old = {key.venue: key for key in before}
    return tuple(old.get(key.venue, key) if key.is_configured and key.is_accepted is None else key for key in now)


def _permission_missing(facts: ArmingFacts) -> tuple[str, ...]:
    if isinstance(facts.permission, NoPermission):
        return (facts.permission.word,)
    venues = [key.venue for key in facts.keys]
    return permission_words(facts.permission, venues, facts.limits.max_total_krw)


def _key_missing(key: KeyFacts, permission: Permission | NoPermission) -> list[str]:
    if not key.is_configured:
        return [f"credentials_missing:{key.venue}"]
    if key.is_accepted is None:
        return [f"credentials_unverified:{key.venue}"]
    if not key.is_accepted:
        return [f"credentials_refused:{key.venue}"]
    missing = [] if key.may_trade is not False else [f"trading_not_permitted:{key.venue}"]
    if key.may_withdraw:
        missing.append(f"withdrawal_permitted:{key.venue}")
    elif key.may_withdraw is None and not _is_stated(key.venue, permission):
        missing.append(f"withdrawal_unstated:{key.venue}")
    return missing


def _is_stated(venue: VenueId, permission: Permission | NoPermission) -> bool:
    """Whether the operator vouches for the key; where there is no file, its absence alone is what is missing."""
    return venue == "upbit" and (isinstance(permission, NoPermission) or permission.upbit_no_withdrawal)


def _with(word: str, missing: tuple[str, ...]) -> tuple[str, ...]:
    return missing if word in missing else (*missing, word)
