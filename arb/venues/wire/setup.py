"""What is asked and set once, before trading: permissions of the key, fees in force, position mode, margin, leverage.

Owns: the order of those requests.
Never: takes a setting for granted: what was set is read back.
"""

from __future__ import annotations

from collections.abc import Callable

from arb.domain.errors import ConfigError
from arb.domain.fees import FeeSchedule
from arb.domain.instrument import Instrument, InstrumentKind
from arb.venues.spec import AccountProtocol, KeyPermissions, Priority, Stamp
from arb.venues.wire.http import HttpClient


async def read_permission(
    protocol: AccountProtocol, http: HttpClient, stamp: Callable[[], Stamp]
) -> KeyPermissions | None:
    """What the key may do; None: the venue does not tell. `http` is the client of `VenueSpec.wallets_at` where there
    is one.

    Raises:
        CredentialsRefused: the key is not accepted.
        VenueUnavailable: no answer.
        ProtocolError: the answer cannot be understood.
    """
    request = protocol.permission_request(stamp())
    return None if request is None else protocol.parse_permission(await http.read(request, Priority.QUERY))


async def read_fees(
    protocol: AccountProtocol, http: HttpClient, instruments: tuple[Instrument, ...], stamp: Callable[[], Stamp]
) -> tuple[FeeSchedule, ...]:
    """Rates per instrument, as the venue charges this account.

    Raises:
        VenueUnavailable: no answer.
        ProtocolError: an answer cannot be understood.
    """
    requests = protocol.fees_requests(instruments, tuple(stamp() for _ in instruments))
    answers = [await http.read(request, Priority.QUERY) for request in requests]
    return protocol.parse_fees(instruments, tuple(answers))


async def set_up(
    protocol: AccountProtocol,
    http: HttpClient,
    instruments: tuple[Instrument, ...],
    leverage: int,
    stamp: Callable[[], Stamp],
) -> None:
    """Single-asset and one-way mode, isolated margin and leverage of every perpetual, set and read back.

    Raises:
        ConfigError: the venue does not let the account be as it must.
        VenueUnavailable: no answer.
    """
    for instrument in instruments:
        if instrument.kind is not InstrumentKind.PERPETUAL or not protocol.setup_count:
            continue
        stamps = tuple(stamp() for _ in range(protocol.setup_count))
        answers = [
            await http.request(request, Priority.QUERY)
            for request in protocol.setup_requests(instrument, leverage, stamps)
        ]
        problem = protocol.setup_problem(instrument, leverage, tuple(answers))
        if problem is not None:
            raise ConfigError(f"{instrument.id}: the account cannot be set up: {problem}; set it at the venue")
