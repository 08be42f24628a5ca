"""What the venues tell of a key, from their documented answers and from simulated venues over the real wire."""

from __future__ import annotations

import pytest
import trio

from arb.domain.errors import CredentialsRefused, ProtocolError, VenueUnavailable
from arb.venues import load_venue
from arb.venues.simulated.models import FaultKind
from arb.venues.spec import AccountProtocol, KeyPermissions
from arb.venues.wire.setup import read_permission
from tests.venues.private import INSTRUMENTS, KEYS, STAMP, answer
from tests.venues.town import fault, open_town

VENUES = ("upbit", "binance_spot", "binance_usdm")
RESTRICTIONS = {
    "ipRestrict": False,
    "createTime": 1_698_645_219_000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": True,
    "enableMargin": False,
    "enableFutures": False,
    "permitsUniversalTransfer": True,
    "enableSpotAndMarginTrading": True,
    "tradingAuthorityExpirationTime": 1_800_000_000_000,
}


def protocol(venue: str) -> AccountProtocol:
    half = load_venue(venue).account
    assert half is not None
    return half.account(KEYS, (INSTRUMENTS[venue],))


def told(venue: str, **changed: object) -> KeyPermissions:
    return protocol(venue).parse_permission(answer({**RESTRICTIONS, **changed}))


def test_binance_tells_every_permission_of_a_spot_key() -> None:
    request = protocol("binance_spot").permission_request(STAMP)

    assert request is not None
    assert (request.method, request.path) == ("GET", "/sapi/v1/account/apiRestrictions")
    assert told("binance_spot") == KeyPermissions(
        may_trade=True,
        may_withdraw=False,
        is_ip_restricted=False,
        is_sub_account=None,
        expires_ms=1_800_000_000_000,
        words="granted: enableReading, enableInternalTransfer, permitsUniversalTransfer, enableSpotAndMarginTrading;"
        " addresses any",
    )


def test_a_futures_key_trades_where_futures_are_enabled() -> None:
    assert told("binance_usdm").may_trade is False
    assert told("binance_usdm", enableFutures=True).may_trade is True
    assert told("binance_spot", enableSpotAndMarginTrading=False).may_trade is False


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
def test_a_key_that_may_withdraw_is_told_as_such(venue: str) -> None:
    assert told(venue, enableWithdrawals=True).may_withdraw is True


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
def test_an_answer_that_does_not_speak_of_withdrawals_is_not_understood(venue: str) -> None:
    with pytest.raises(ProtocolError):
        protocol(venue).parse_permission(answer({"ipRestrict": True}))


def test_upbit_tells_the_expiry_of_our_own_key_and_no_permission() -> None:
    rows = [
        {"access_key": "another", "expire_at": "2026-01-01T00:00:00+09:00"},
        {"access_key": KEYS.key, "expire_at": "2027-03-01T09:00:00+09:00"},
    ]

    permissions = protocol("upbit").parse_permission(answer(rows))

    assert (permissions.may_trade, permissions.may_withdraw, permissions.is_sub_account) == (None, None, None)
    assert permissions.expires_ms == 1_803_859_200_000
    assert permissions.words == "expires 2027-03-01T09:00:00+09:00; Upbit does not tell what a key may do"


def test_upbit_that_does_not_list_our_key_tells_no_expiry() -> None:
    assert protocol("upbit").parse_permission(answer([])).expires_ms is None


@pytest.mark.parametrize("venue", VENUES)
def test_a_refusal_is_no_permission(venue: str) -> None:
    with pytest.raises(VenueUnavailable):
        protocol(venue).parse_permission(answer({}, 400))


@pytest.mark.parametrize(("kinds", "may_withdraw"), [((), False), ((FaultKind.KEY_WITHDRAWS,), True)])
@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
async def test_the_spot_host_tells_for_both_markets(
    venue: str, kinds: tuple[FaultKind, ...], may_withdraw: bool, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_town(*(fault("binance_spot", kind) for kind in kinds)) as town:
        teller = load_venue(venue).wallets_at or venue
        permissions = await read_permission(town.account(venue), town.http[teller], town.stamp)

    assert teller == "binance_spot"
    assert permissions is not None
    assert (permissions.may_trade, permissions.may_withdraw) == (True, may_withdraw)


async def test_upbits_key_expires_in_a_year(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        permissions = await read_permission(town.account("upbit"), town.http["upbit"], town.stamp)
        assert permissions is not None
        assert permissions.expires_ms is not None
        days = (permissions.expires_ms - town.clock.wall_ns() // 1_000_000) / 86_400_000

    assert days == pytest.approx(365, abs=0.01)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_refused_key_is_no_passing_trouble(venue: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_town(*(fault(each, FaultKind.KEY_REFUSED) for each in VENUES)) as town:
        teller = load_venue(venue).wallets_at or venue
        with pytest.raises(CredentialsRefused):
            await read_permission(town.account(venue), town.http[teller], town.stamp)
