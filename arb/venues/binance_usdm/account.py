"""Binance USD-M futures' private stream, and the account reads and settings of REST.

Owns: the listen key, balances, positions, open orders, fee rates, funding. Frames of the stream are read by
`private.py`; settings of the account are in `setup.py`.
Never: keeps state; the stream names only what changed, so REST is read again after every connect.
Units: amounts Decimal from text; `venue_ns` UTC; a short position is negative.

The socket is `/private/ws?listenKey=…&events=A/B`: `events` is an allow-list, and what it leaves out is never said.
A wallet balance includes margin in use; free is what the venue calls available.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.events import FundingPaid, TransferSeen, WalletState
from arb.domain.fees import FeeSchedule
from arb.domain.ids import AssetId, VenueId, instrument_id
from arb.domain.instrument import Instrument
from arb.domain.order import Position
from arb.venues.answers import decoded
from arb.venues.binance_codec import BinanceOrders
from arb.venues.binance_executions import BinanceExecutions
from arb.venues.binance_keys import permission_request, read_permissions
from arb.venues.binance_orders import WEIGHT_BUCKET
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.binance_usdm.errors import judge
from arb.venues.binance_usdm.orders import USDM_ORDERS, UsdmOrderBody, usdm_update
from arb.venues.binance_usdm.private import frame_facts, wallet_balance
from arb.venues.binance_usdm.setup import POSITIONS, SETUP_COUNT, UsdmPositionBody, setup_problem, setup_requests
from arb.venues.exact import check_amounts
from arb.venues.refusals import require_success, worded
from arb.venues.spec import (
    AccountInbound,
    BalancesSeen,
    Credentials,
    ExecutionsSeen,
    Fault,
    HttpRequest,
    HttpResponse,
    KeyPermissions,
    PrivateTarget,
    Stamp,
)

_EVENTS: Final = "ORDER_TRADE_UPDATE/ACCOUNT_UPDATE/MARGIN_CALL/ACCOUNT_CONFIG_UPDATE/TRADE_LITE/listenKeyExpired"
_LISTEN_KEY_PATH: Final = "/fapi/v1/listenKey"
_FUNDING_LIMIT: Final = 1000


class ListenKeyBody(msgspec.Struct, rename="camel"):
    """POST /fapi/v1/listenKey."""

    listen_key: str


class UsdmBalanceBody(msgspec.Struct, rename="camel"):
    """One row of GET /fapi/v3/balance."""

    asset: str
    balance: Decimal
    available_balance: Decimal

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmCommissionBody(msgspec.Struct, rename="camel"):
    """GET /fapi/v1/commissionRate."""

    symbol: str
    maker_commission_rate: Decimal
    taker_commission_rate: Decimal

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmIncomeBody(msgspec.Struct, rename="camel"):
    """One row of GET /fapi/v1/income."""

    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int | str
    symbol: str = ""

    def __post_init__(self) -> None:
        check_amounts(self)


_LISTEN_KEY: Final = msgspec.json.Decoder(ListenKeyBody)
_BALANCES: Final = msgspec.json.Decoder(list[UsdmBalanceBody])
_OPEN_ORDERS: Final = msgspec.json.Decoder(list[UsdmOrderBody])
_COMMISSION: Final = msgspec.json.Decoder(UsdmCommissionBody)
_INCOME: Final = msgspec.json.Decoder(list[UsdmIncomeBody])


class BinanceUsdmAccount:
    """AccountProtocol of Binance USD-M futures. Events of instruments that are not ours are only signs of life."""

    ws_private_url: Final = "wss://fstream.binance.com"
    keepalive_s: Final = 1800.0
    setup_count: Final = SETUP_COUNT
    transfers_count: Final = 1

    def __init__(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> None:
        self._signer = BinanceSigner(credentials)
        self._executions = BinanceExecutions(self._signer, USDM_ORDERS)
        self.executions_window_ms: Final = self._executions.window_ms
        self._instruments = frozenset(instrument.id for instrument in instruments)

    def prepare_request(self, stamp: Stamp) -> HttpRequest | None:
        """POST /fapi/v1/listenKey; returns the running key where there is one, and extends it."""
        return self._signer.keyed("POST", _LISTEN_KEY_PATH, "", bucket=WEIGHT_BUCKET, weight=1)

    def target(self, prepared: HttpResponse | None, stamp: Stamp) -> PrivateTarget:
        """The private socket of the listen key."""
        if prepared is None:
            raise ProtocolError("binance_usdm", "there is no listen key to connect with")
        if prepared.status != 200:
            raise ProtocolError("binance_usdm", f"no listen key: {worded(*judge(prepared))}")
        key = decoded("binance_usdm", prepared.body, _LISTEN_KEY).listen_key
        return PrivateTarget(path=f"/private/ws?listenKey={encoded(key)}&events={_EVENTS}")

    def keepalive_request(self, stamp: Stamp) -> HttpRequest | None:
        """PUT /fapi/v1/listenKey."""
        return self._signer.keyed("PUT", _LISTEN_KEY_PATH, "", bucket=WEIGHT_BUCKET, weight=1)

    def receive(self, frame: bytes, received_ns: int) -> tuple[AccountInbound, ...]:
        """One frame; what cannot be read is a Fault."""
        try:
            return frame_facts(frame, self._instruments, received_ns)
        except ProtocolError as error:
            return (Fault(error.detail),)

    def snapshot_requests(
        self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Balances, then position and open orders of each instrument."""
        requests = [self._read("/fapi/v3/balance", "", stamps[0], 5)]
        for instrument, first, second in zip(instruments, stamps[1::2], stamps[2::2], strict=True):
            requests.append(self._read("/fapi/v2/positionRisk", _named(instrument), first, 5))
            requests.append(self._read("/fapi/v1/openOrders", _named(instrument), second, 1))
        return tuple(requests)

    def snapshot_count(self, instruments: tuple[Instrument, ...]) -> int:
        """One for the balances and two for each instrument."""
        return 1 + 2 * len(instruments)

    def parse_snapshot(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[AccountInbound, ...]:
        """Balances (full), one position per instrument (zero where there is none), one update per open order."""
        for answer in answers:
            require_success("binance_usdm", judge, answer)
        rows = decoded("binance_usdm", answers[0].body, _BALANCES)
        balances = tuple(wallet_balance(row.asset, row.balance, row.available_balance) for row in rows)
        facts: list[AccountInbound] = [BalancesSeen(balances=balances, is_full=True)]
        for instrument, held, resting in zip(instruments, answers[1::2], answers[2::2], strict=True):
            facts.extend(_position_facts(instrument, decoded("binance_usdm", held.body, POSITIONS)))
            for body in decoded("binance_usdm", resting.body, _OPEN_ORDERS):
                facts.append(usdm_update(body, received_ns))
        return tuple(facts)

    def fees_requests(self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """GET /fapi/v1/commissionRate per instrument."""
        return tuple(
            self._read("/fapi/v1/commissionRate", _named(instrument), stamp, 20)
            for instrument, stamp in zip(instruments, stamps, strict=True)
        )

    def parse_fees(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...]
    ) -> tuple[FeeSchedule, ...]:
        """Taken in the margin asset."""
        return tuple(_fees(instrument, answer) for instrument, answer in zip(instruments, answers, strict=True))

    def setup_requests(
        self, instrument: Instrument, leverage: int, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Four settings and their read-back (`setup.py`)."""
        return setup_requests(self._signer, instrument, leverage, stamps)

    def setup_problem(self, instrument: Instrument, leverage: int, answers: tuple[HttpResponse, ...]) -> str | None:
        """The first setting that was refused, else the first that does not read back as wished."""
        return setup_problem(instrument, leverage, answers)

    def permission_request(self, stamp: Stamp) -> HttpRequest | None:
        """GET /sapi/v1/account/apiRestrictions, which only the spot host has."""
        return permission_request(self._signer, stamp)

    def parse_permission(self, answer: HttpResponse) -> KeyPermissions:
        """What the key may do on futures."""
        require_success("binance_usdm", judge, answer)
        return read_permissions("binance_usdm", answer, lambda told: told.enable_futures)

    def funding_request(self, since_ms: int, stamp: Stamp) -> HttpRequest | None:
        """GET /fapi/v1/income of funding fees."""
        query = f"incomeType=FUNDING_FEE&startTime={since_ms}&limit={_FUNDING_LIMIT}"
        return self._read("/fapi/v1/income", query, stamp, 30)

    def parse_funding(self, answer: HttpResponse, received_ns: int) -> tuple[FundingPaid, ...]:
        """The bookings of our instruments, oldest first."""
        require_success("binance_usdm", judge, answer)
        rows = decoded("binance_usdm", answer.body, _INCOME)
        rows.sort(key=lambda row: (row.time, str(row.tran_id)))
        return tuple(
            FundingPaid(
                at_ns=received_ns,
                instrument=instrument_id("binance_usdm", row.symbol),
                income_id=f"{row.tran_id}/{row.symbol}",
                amount=row.income,
                asset=AssetId(row.asset),
                rate=None,
                settled_ms=row.time,
            )
            for row in rows
            if row.income_type == "FUNDING_FEE" and instrument_id("binance_usdm", row.symbol) in self._instruments
        )

    def transfers_requests(self, since_ms: int, stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """GET /fapi/v1/income of transfers to and from this wallet."""
        query = f"incomeType=TRANSFER&startTime={since_ms}&limit={_FUNDING_LIMIT}"
        return tuple(self._read("/fapi/v1/income", query, stamp, 30) for stamp in stamps)

    def parse_transfers(
        self, answers: tuple[HttpResponse, ...], since_ms: int, received_ns: int
    ) -> tuple[TransferSeen, ...]:
        """What has moved the wallet since then."""
        (answer,) = answers
        require_success("binance_usdm", judge, answer)
        rows = decoded("binance_usdm", answer.body, _INCOME)
        rows.sort(key=lambda row: row.time)
        return tuple(
            TransferSeen(
                at_ns=received_ns,
                venue=VenueId("binance_usdm"),
                transfer_id=str(row.tran_id),
                asset=AssetId(row.asset),
                amount=row.income,
                done_ms=row.time,
            )
            for row in rows
            if row.income_type == "TRANSFER" and row.time >= since_ms
        )

    def executions_count(self, instruments: tuple[Instrument, ...]) -> int:
        """Two for each instrument."""
        return 2 * len(instruments)

    def executions_requests(
        self, instruments: tuple[Instrument, ...], since_ms: int, until_ms: int | None, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Executions and the names of their orders."""
        return self._executions.requests(instruments, since_ms, until_ms, stamps)

    def parse_executions(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> ExecutionsSeen:
        """Every execution, forced ones included."""
        return self._executions.parsed(instruments, answers, received_ns)

    def wallets_request(self, stamp: Stamp) -> HttpRequest | None:
        """None: the spot venue tells."""
        return None

    def parse_wallets(self, answer: HttpResponse) -> tuple[WalletState, ...]:
        """The spot venue tells."""
        return ()

    def _read(self, path: str, query: str, stamp: Stamp, weight: int) -> HttpRequest:
        return self._signer.signed("GET", path, query, stamp, bucket=WEIGHT_BUCKET, weight=weight)


class BinanceUsdmAccounts:
    """AccountSpec of Binance USD-M futures."""

    def account(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> BinanceUsdmAccount:
        """A fresh private stream."""
        return BinanceUsdmAccount(credentials, instruments)

    def orders(self, credentials: Credentials) -> BinanceOrders:
        """An order codec."""
        return BinanceOrders(credentials, USDM_ORDERS)


def _named(instrument: Instrument) -> str:
    return f"symbol={encoded(instrument.symbol)}"


def _fees(instrument: Instrument, answer: HttpResponse) -> FeeSchedule:
    require_success("binance_usdm", judge, answer)
    body = decoded("binance_usdm", answer.body, _COMMISSION)
    if body.symbol != instrument.symbol:
        raise ProtocolError("binance_usdm", f"asked about {instrument.symbol}, answered about {body.symbol}")
    return FeeSchedule(maker_rate=body.maker_commission_rate, taker_rate=body.taker_commission_rate, source="venue")


def _position_facts(instrument: Instrument, rows: list[UsdmPositionBody]) -> tuple[AccountInbound, ...]:
    ours = [row for row in rows if row.symbol == instrument.symbol]
    hedged = [row.position_side for row in ours if row.position_side != "BOTH" and row.position_amt]
    if hedged:
        return (Fault(f"{instrument.id} is held in hedge mode ({', '.join(hedged)})"),)
    row = next((row for row in ours if row.position_side == "BOTH"), None)
    if row is None:
        nothing = Decimal(0)
        return (
            Position(
                instrument=instrument.id, qty=nothing, entry_price=nothing, mark_price=None, liquidation_price=None
            ),
        )
    return (
        Position(
            instrument=instrument.id,
            qty=row.position_amt,
            entry_price=row.entry_price,
            mark_price=row.mark_price or None,
            liquidation_price=row.liquidation_price or None,
            leverage=row.leverage,
            is_isolated=row.margin_type == "isolated",
        ),
    )
