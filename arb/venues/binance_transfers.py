"""Money that came to or left a Binance spot account: deposits, withdrawals, and transfers between our own wallets.

Owns: the requests of the wallet ledger and the reading of their answers.
Never: counts what has not moved the balance (yet): pending deposits, refused withdrawals.
Units: amounts Decimal from text; times UTC milliseconds.

A deposit is listed from its first sight on, days before it may count: rows are asked for from a week back and kept by
the time at which they were credited, where that is told. A withdrawal takes amount and fee when it is asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.events import TransferSeen
from arb.domain.ids import AssetId, VenueId
from arb.venues.answers import decoded
from arb.venues.binance_orders import WEIGHT_BUCKET
from arb.venues.binance_signing import BinanceSigner
from arb.venues.exact import check_amounts
from arb.venues.spec import HttpRequest, HttpResponse, Stamp

_VENUE: Final = "binance_spot"
_DEPOSITS: Final = "/sapi/v1/capital/deposit/hisrec"
_WITHDRAWALS: Final = "/sapi/v1/capital/withdraw/history"
_BETWEEN: Final = "/sapi/v1/asset/transfer"
_OUT: Final = "MAIN_UMFUTURE"
_IN: Final = "UMFUTURE_MAIN"
_WEEK_MS: Final = 7 * 86_400_000
_LIMIT: Final = 1000
_CREDITED: Final = frozenset((1, 6))
_NEVER_LEFT: Final = frozenset((1, 3, 5))
"""Cancelled, rejected, failed."""
TRANSFERS_COUNT: Final = 4


class DepositRow(msgspec.Struct, rename="camel"):
    """One deposit."""

    id: str
    coin: str
    amount: Decimal
    status: int
    insert_time: int
    complete_time: int | None = None
    network: str = ""

    def __post_init__(self) -> None:
        check_amounts(self)


class WithdrawalRow(msgspec.Struct, rename="camel"):
    """One withdrawal; `apply_time` is `2019-10-12 11:12:02`, UTC."""

    id: str
    coin: str
    amount: Decimal
    status: int
    apply_time: str
    transaction_fee: Decimal = Decimal(0)
    network: str = ""

    def __post_init__(self) -> None:
        check_amounts(self)


class BetweenRow(msgspec.Struct, rename="camel"):
    """One transfer between the spot and the futures wallet."""

    tran_id: int
    asset: str
    amount: Decimal
    type: str
    status: str
    timestamp: int

    def __post_init__(self) -> None:
        check_amounts(self)


class BetweenRows(msgspec.Struct):
    """A page of them; `rows` is left out where there are none."""

    rows: list[BetweenRow] = []


_DEPOSIT_ROWS: Final = msgspec.json.Decoder(list[DepositRow])
_WITHDRAWAL_ROWS: Final = msgspec.json.Decoder(list[WithdrawalRow])
_BETWEEN_ROWS: Final = msgspec.json.Decoder(BetweenRows)


def transfers_requests(signer: BinanceSigner, since_ms: int, stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
    """Deposits, withdrawals, then both directions between spot and futures."""
    asked = (
        (_DEPOSITS, f"startTime={max(since_ms - _WEEK_MS, 0)}&limit={_LIMIT}"),
        (_WITHDRAWALS, f"startTime={since_ms}&limit={_LIMIT}"),
        (_BETWEEN, f"type={_OUT}&startTime={since_ms}&size=100"),
        (_BETWEEN, f"type={_IN}&startTime={since_ms}&size=100"),
    )
    return tuple(
        signer.signed("GET", path, query, stamp, bucket=WEIGHT_BUCKET, weight=1)
        for (path, query), stamp in zip(asked, stamps, strict=True)
    )


def parse_transfers(answers: tuple[HttpResponse, ...], since_ms: int, received_ns: int) -> tuple[TransferSeen, ...]:
    """What has moved the balance since then, oldest first.

    Raises:
        ProtocolError: an answer cannot be understood.
    """
    came, left, *between = answers
    deposits = (
        _deposit(row, received_ns) for row in decoded(_VENUE, came.body, _DEPOSIT_ROWS) if row.status in _CREDITED
    )
    withdrawals = (
        _withdrawal(row, received_ns)
        for row in decoded(_VENUE, left.body, _WITHDRAWAL_ROWS)
        if row.status not in _NEVER_LEFT
    )
    transfers = (
        _transfer(row, received_ns)
        for answer in between
        for row in decoded(_VENUE, answer.body, _BETWEEN_ROWS).rows
        if row.status == "CONFIRMED"
    )
    late = (one for one in deposits if (one.done_ms or 0) >= since_ms)
    return tuple(sorted((*late, *withdrawals, *transfers), key=lambda one: one.done_ms or 0))


def _deposit(row: DepositRow, received_ns: int) -> TransferSeen:
    return TransferSeen(
        at_ns=received_ns,
        venue=VenueId(_VENUE),
        transfer_id=f"deposit/{row.id}",
        asset=AssetId(row.coin),
        amount=row.amount,
        network=row.network,
        done_ms=row.complete_time or row.insert_time,
    )


def _withdrawal(row: WithdrawalRow, received_ns: int) -> TransferSeen:
    return TransferSeen(
        at_ns=received_ns,
        venue=VenueId(_VENUE),
        transfer_id=f"withdrawal/{row.id}",
        asset=AssetId(row.coin),
        amount=-(row.amount + row.transaction_fee),
        fee=row.transaction_fee,
        network=row.network,
        done_ms=_utc_ms(row.apply_time),
    )


def _transfer(row: BetweenRow, received_ns: int) -> TransferSeen:
    return TransferSeen(
        at_ns=received_ns,
        venue=VenueId(_VENUE),
        transfer_id=f"transfer/{row.tran_id}",
        asset=AssetId(row.asset),
        amount=-row.amount if row.type == _OUT else row.amount,
        network=row.type,
        done_ms=row.timestamp,
    )


def _utc_ms(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    except (ValueError, OverflowError):
        return None
