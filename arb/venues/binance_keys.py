"""What a Binance key may do: one read of the spot host tells it for spot and futures.

Owns: the request and the reading of GET /sapi/v1/account/apiRestrictions.
Never: judges a permission.
Units: times UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from arb.venues.answers import decoded
from arb.venues.binance_orders import WEIGHT_BUCKET
from arb.venues.binance_signing import BinanceSigner
from arb.venues.spec import HttpRequest, HttpResponse, KeyPermissions, Stamp

_PATH: Final = "/sapi/v1/account/apiRestrictions"
_PREFIXES: Final = ("enable", "permits")


class KeyRestrictions(msgspec.Struct, rename="camel"):
    """The answer, as far as it is judged."""

    enable_withdrawals: bool
    enable_spot_and_margin_trading: bool = False
    enable_futures: bool = False
    ip_restrict: bool | None = None
    trading_authority_expiration_time: int | None = None


_RESTRICTIONS: Final = msgspec.json.Decoder(KeyRestrictions)
_FLAGS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def permission_request(signer: BinanceSigner, stamp: Stamp) -> HttpRequest:
    """GET /sapi/v1/account/apiRestrictions, on the spot host."""
    return signer.signed("GET", _PATH, "", stamp, bucket=WEIGHT_BUCKET, weight=1)


def read_permissions(venue: str, answer: HttpResponse, may_trade: Callable[[KeyRestrictions], bool]) -> KeyPermissions:
    """What the key may do in the market that `may_trade` looks at.

    Raises:
        ProtocolError: the answer cannot be understood.
    """
    told = decoded(venue, answer.body, _RESTRICTIONS)
    flags = decoded(venue, answer.body, _FLAGS)
    granted = [name for name, value in flags.items() if name.startswith(_PREFIXES) and bytes(value) == b"true"]
    return KeyPermissions(
        may_trade=may_trade(told),
        may_withdraw=told.enable_withdrawals,
        is_ip_restricted=told.ip_restrict,
        is_sub_account=None,
        expires_ms=told.trading_authority_expiration_time or None,
        words=f"granted: {', '.join(granted) or 'nothing'}; addresses {_addresses(told.ip_restrict)}",
    )


def _addresses(is_restricted: bool | None) -> str:
    if is_restricted is None:
        return "not told"
    return "restricted" if is_restricted else "any"
