"""Money that came to or left an Upbit account.

Owns: the requests for deposits and withdrawals and the reading of their answers.
Never: counts what has not moved the balance (yet).
Units: amounts Decimal from text; times Korean, told as UTC milliseconds.

Neither list takes a time: the newest hundred are read and kept by `done_at`. A withdrawal takes its amount and its fee.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.events import TransferSeen
from arb.domain.ids import AssetId, VenueId
from arb.venues.answers import decoded
from arb.venues.exact import check_amounts
from arb.venues.spec import HttpResponse
from arb.venues.upbit.orders import korean_ns

TRANSFER_PATHS: Final = ("/v1/deposits", "/v1/withdraws")
TRANSFERS_QUERY: Final = "limit=100&order_by=desc"
_DONE: Final = ("ACCEPTED", "DONE")


class UpbitTransfer(msgspec.Struct):
    """One row of either list."""

    uuid: str
    currency: str
    state: str
    amount: Decimal
    fee: Decimal = Decimal(0)
    net_type: str | None = None
    done_at: str | None = None

    def __post_init__(self) -> None:
        check_amounts(self)


_ROWS: Final = msgspec.json.Decoder(list[UpbitTransfer])


def parse_transfers(answers: tuple[HttpResponse, ...], since_ms: int, received_ns: int) -> tuple[TransferSeen, ...]:
    """What was done since then, oldest first.

    Raises:
        ProtocolError: an answer cannot be understood.
    """
    came, left = (decoded("upbit", answer.body, _ROWS) for answer in answers)
    found = [
        *(_seen(row, row.amount - row.fee, received_ns) for row in came if row.state.upper() in _DONE),
        *(_seen(row, -(row.amount + row.fee), received_ns) for row in left if row.state.upper() in _DONE),
    ]
    late = [one for one in found if one.done_ms is None or one.done_ms >= since_ms]
    return tuple(sorted(late, key=lambda one: one.done_ms or 0))


def _seen(row: UpbitTransfer, moved: Decimal, received_ns: int) -> TransferSeen:
    done_ns = None if row.done_at is None else korean_ns(row.done_at)
    return TransferSeen(
        at_ns=received_ns,
        venue=VenueId("upbit"),
        transfer_id=row.uuid,
        asset=AssetId(row.currency),
        amount=moved,
        fee=row.fee,
        network=row.net_type or "",
        done_ms=None if done_ns is None else done_ns // 1_000_000,
    )
