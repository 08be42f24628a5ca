"""Arming: the whole negative matrix, the verdict at start, and the watch during the run."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from arb.cli.arming import (
    ArmingFacts,
    ArmingWatch,
    KeyFacts,
    Start,
    StartVerdict,
    arming_conditions,
    decide_start,
    has_failed_credentials,
    key_facts,
    known_keys,
    watch_arming,
)
from arb.cli.permission import NoPermission, Permission
from arb.cli.schema import Mode
from arb.cli.settings import load_settings
from arb.domain.events import ArmingSeen, DepthSeen, Event
from arb.domain.ids import InstrumentId, VenueId
from arb.venues.spec import KeyPermissions
from tests.fakes import TrioClock

UPBIT, USDM = VenueId("upbit"), VenueId("binance_usdm")
LIMITS = load_settings(Path("config/live.toml"), environ={}).settings.risk
PERMISSION = Permission(
    valid_until_ns=2**62,
    venues=("upbit", "binance_usdm"),
    max_total_notional_krw=LIMITS.max_total_krw,
    upbit_no_withdrawal=True,
)
UPBIT_KEY = KeyFacts(venue=UPBIT, is_configured=True, is_accepted=True, may_trade=None, may_withdraw=None)
USDM_KEY = KeyFacts(venue=USDM, is_configured=True, is_accepted=True, may_trade=True, may_withdraw=False)
READY = ArmingFacts(
    mode=Mode.LIVE,
    live_trading="1",
    permission=PERMISSION,
    limits=LIMITS,
    keys=(UPBIT_KEY, USDM_KEY),
    unverified_modes=(),
    is_reconciled=True,
    has_unexplained=False,
    is_disarmed=False,
)


def with_key(facts: ArmingFacts, venue: VenueId, **changes: Any) -> ArmingFacts:
    keys = tuple(attrs.evolve(key, **changes) if key.venue == venue else key for key in facts.keys)
    return attrs.evolve(facts, keys=keys)


def with_limit(facts: ArmingFacts, **changes: Any) -> ArmingFacts:
    return attrs.evolve(facts, limits=attrs.evolve(facts.limits, **changes))


def with_permission(facts: ArmingFacts, **changes: Any) -> ArmingFacts:
    return attrs.evolve(facts, permission=attrs.evolve(PERMISSION, **changes))


LOST = {
    "mode_not_live": lambda facts: attrs.evolve(facts, mode=Mode.SHADOW),
    "live_trading_env_not_set": lambda facts: attrs.evolve(facts, live_trading=None),
    "permission_file_missing": lambda facts: attrs.evolve(facts, permission=NoPermission("permission_file_missing")),
    "permission_file_expired": lambda facts: attrs.evolve(facts, permission=NoPermission("permission_file_expired")),
    "permission_venue_not_named:upbit": lambda facts: with_permission(facts, venues=("binance_usdm",)),
    "permission_total_too_low": lambda facts: with_permission(facts, max_total_notional_krw=Decimal(1)),
    "credentials_missing:upbit": lambda facts: with_key(facts, UPBIT, is_configured=False),
    "credentials_missing:binance_usdm": lambda facts: with_key(facts, USDM, is_configured=False),
    "credentials_refused:upbit": lambda facts: with_key(facts, UPBIT, is_accepted=False),
    "credentials_refused:binance_usdm": lambda facts: with_key(facts, USDM, is_accepted=False),
    "credentials_unverified:binance_usdm": lambda facts: with_key(facts, USDM, is_accepted=None),
    "trading_not_permitted:binance_usdm": lambda facts: with_key(facts, USDM, may_trade=False),
    "withdrawal_permitted:binance_usdm": lambda facts: with_key(facts, USDM, may_withdraw=True),
    "withdrawal_permitted:upbit": lambda facts: with_key(facts, UPBIT, may_withdraw=True),
    "withdrawal_unstated:upbit": lambda facts: with_permission(facts, upbit_no_withdrawal=False),
    "withdrawal_unstated:binance_usdm": lambda facts: with_key(facts, USDM, may_withdraw=None),
    "limits_unverified": lambda facts: with_limit(facts, max_total_krw=Decimal(0)),
    "account_mode_unverified:binance_usdm": lambda facts: attrs.evolve(facts, unverified_modes=(USDM,)),
    "not_reconciled": lambda facts: attrs.evolve(facts, is_reconciled=False),
    "unexplained_quantity": lambda facts: attrs.evolve(facts, has_unexplained=True),
    "disarmed_by_operator": lambda facts: attrs.evolve(facts, is_disarmed=True),
}
"""Name of a condition, and how it is lost from facts that have everything."""
FAILED = {name for name in LOST if name.startswith(("credentials_missing", "credentials_refused", "trading_not"))}


def names(words: tuple[str, ...]) -> list[str]:
    return [word.partition(": ")[0] for word in words]


def start(facts: ArmingFacts, *, has_open: bool) -> StartVerdict:
    missing = arming_conditions(facts)
    return decide_start(
        missing,
        has_open=has_open,
        has_unexplained=facts.has_unexplained,
        credentials_failed=has_failed_credentials(missing),
    )


def test_with_everything_real_orders_are_armed():
    assert arming_conditions(READY) == ()
    assert start(READY, has_open=False) == StartVerdict(Start.ARMED)
    assert start(READY, has_open=True) == StartVerdict(Start.ARMED)


@pytest.mark.parametrize("name", LOST)
def test_each_condition_lost_alone_is_named_alone(name):
    assert names(arming_conditions(LOST[name](READY))) == [name]


@pytest.mark.parametrize(("name", "has_open"), list(product(LOST, (False, True))))
def test_each_condition_lost_alone_leads_where_it_must(name, has_open):
    verdict = start(LOST[name](READY), has_open=has_open)

    if name == "unexplained_quantity" or (name in FAILED and has_open):
        assert verdict.start is Start.REFUSED
    else:
        assert verdict.start is (Start.UNARMED if has_open else Start.SHADOW)
    assert names(verdict.words) == [name]


@pytest.mark.parametrize(("name", "has_open"), list(product(LOST, (False, True))))
def test_unexplained_quantity_refuses_whatever_else_is_missing(name, has_open):
    verdict = start(attrs.evolve(LOST[name](READY), has_unexplained=True), has_open=has_open)

    assert verdict.start is Start.REFUSED
    assert "unexplained_quantity" in verdict.words


@pytest.mark.parametrize(("one", "other"), list(product(LOST, LOST)))
def test_two_lost_conditions_never_arm_and_nothing_else_is_named(one, other):
    facts = LOST[other](LOST[one](READY))

    found = names(arming_conditions(facts))

    assert found
    assert set(found) <= {one, other}
    for has_open in (False, True):
        must_refuse = "unexplained_quantity" in found or (has_open and FAILED & set(found))
        otherwise = Start.UNARMED if has_open else Start.SHADOW
        assert start(facts, has_open=has_open).start is (Start.REFUSED if must_refuse else otherwise)


def test_unexplained_quantity_refuses_even_when_nothing_else_is_said_to_be_missing():
    verdict = decide_start((), has_open=False, has_unexplained=True, credentials_failed=False)

    assert verdict == StartVerdict(Start.REFUSED, ("unexplained_quantity",))


@pytest.mark.parametrize("value", [None, "", "0", "true", " 1", "1 ", "yes", "11"])
def test_nothing_but_exactly_one_in_the_environment_permits_real_orders(value):
    assert arming_conditions(attrs.evolve(READY, live_trading=value)) == ("live_trading_env_not_set",)


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.LIVE])
def test_no_other_mode_is_ever_armed(mode):
    assert arming_conditions(attrs.evolve(READY, mode=mode)) == ("mode_not_live",)


@pytest.mark.parametrize(
    "name",
    ["max_position_krw", "max_pair_krw", "max_total_krw", "max_net_delta_krw", "daily_loss_krw", "max_drawdown_krw"],
)
def test_a_limit_of_nothing_is_no_verified_limit(name):
    assert arming_conditions(with_limit(READY, **{name: Decimal(0)})) == (f"limits_unverified: {name} not above 0",)


def test_the_runbook_says_what_to_do_about_each():
    runbook = Path("docs/runbook.md").read_text(encoding="utf-8")

    for name in LOST:
        assert f"`{name.partition(':')[0]}`" in runbook, name


def permissions(may_withdraw: bool | None, is_sub_account: bool | None) -> KeyPermissions:
    return KeyPermissions(
        may_trade=None,
        may_withdraw=may_withdraw,
        is_ip_restricted=None,
        is_sub_account=is_sub_account,
        expires_ms=None,
        words="",
    )


def test_a_key_of_a_sub_account_is_proof_where_the_venue_does_not_tell():
    confined = key_facts(UPBIT, permissions(None, True), is_accepted=True)
    facts = with_permission(attrs.evolve(READY, keys=(confined, USDM_KEY)), upbit_no_withdrawal=False)

    assert arming_conditions(facts) == ()
    assert key_facts(UPBIT, permissions(None, None), is_accepted=True).may_withdraw is None
    assert key_facts(UPBIT, permissions(True, True), is_accepted=True).may_withdraw is True


def test_a_key_that_could_not_be_asked_stays_as_it_was():
    silent = attrs.evolve(USDM_KEY, is_accepted=None, may_trade=None, may_withdraw=None)
    refused = attrs.evolve(UPBIT_KEY, is_accepted=False)

    assert known_keys((UPBIT_KEY, USDM_KEY), (refused, silent)) == (refused, USDM_KEY)


class World:
    """What a watch asks: a file, keys, an operator; and what it told."""

    def __init__(self) -> None:
        self.file: Permission | NoPermission = PERMISSION
        self.answers = (UPBIT_KEY, USDM_KEY)
        self.is_disarmed = False
        self.asked: list[float] = []
        self.told: list[tuple[float, tuple[str, ...]]] = []
        self.events: list[Event] = []

    async def keys(self) -> tuple[KeyFacts, ...]:
        self.asked.append(trio.current_time())
        return self.answers

    def facts(self, permission: Permission | NoPermission, keys: tuple[KeyFacts, ...]) -> ArmingFacts:
        return attrs.evolve(READY, permission=permission, keys=keys, is_disarmed=self.is_disarmed)

    def put_account(self, event: Event) -> None:
        self.events.append(event)

    def put_depth(self, instrument: InstrumentId, take: Callable[[], DepthSeen | None]) -> None:
        raise AssertionError(instrument)

    def put_latest(self, key: str, event: Event) -> None:
        raise AssertionError(event)

    def watch(self) -> ArmingWatch:
        return ArmingWatch(
            permission=lambda: self.file,
            keys=self.keys,
            facts=self.facts,
            on_change=lambda missing: self.told.append((trio.current_time(), missing)),
            keys_every_s=100,
            keys_again_s=10,
        )


async def test_an_expired_file_disarms_and_a_new_one_arms_again(autojump_clock, nursery):
    world, began = World(), trio.current_time()
    nursery.start_soon(lambda: watch_arming(world.watch(), TrioClock(), world, keys=world.answers, missing=()))

    await trio.sleep(5)
    assert world.events == []
    world.file = NoPermission("permission_file_expired: at noon")
    await trio.sleep(4)
    world.file = PERMISSION
    await trio.sleep(2)

    assert [(at - began, missing) for at, missing in world.told] == [
        (6, ("permission_file_expired: at noon",)),
        (10, ()),
    ]
    lost, back = world.events
    assert isinstance(lost, ArmingSeen)
    assert isinstance(back, ArmingSeen)
    assert (lost.is_armed, lost.missing) == (False, ("permission_file_expired: at noon",))
    assert (back.is_armed, back.missing) == (True, ())
    nursery.cancel_scope.cancel()


async def test_keys_are_looked_at_again_and_sooner_when_a_venue_was_silent(autojump_clock, nursery):
    world, began = World(), trio.current_time()
    nursery.start_soon(lambda: watch_arming(world.watch(), TrioClock(), world, keys=world.answers, missing=()))

    await trio.sleep(99)
    world.answers = (UPBIT_KEY, attrs.evolve(USDM_KEY, is_accepted=None, may_withdraw=None))
    await trio.sleep(6)
    assert world.events == []
    world.answers = (UPBIT_KEY, attrs.evolve(USDM_KEY, may_withdraw=True))
    await trio.sleep(10)

    assert [at - began for at in world.asked] == [100, 110]
    (lost,) = world.events
    assert isinstance(lost, ArmingSeen)
    assert lost.missing == ("withdrawal_permitted:binance_usdm",)
    nursery.cancel_scope.cancel()


async def test_the_operators_disarm_is_seen_within_one_look(autojump_clock, nursery):
    world = World()
    nursery.start_soon(lambda: watch_arming(world.watch(), TrioClock(), world, keys=world.answers, missing=()))

    world.is_disarmed = True
    await trio.sleep(3)

    (lost,) = world.events
    assert isinstance(lost, ArmingSeen)
    assert lost.missing == ("disarmed_by_operator",)
    nursery.cancel_scope.cancel()
