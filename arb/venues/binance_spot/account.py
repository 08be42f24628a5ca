"""Binance spot's private stream over the WebSocket API, and the account reads of REST.

Owns: the signed subscription, balances, open orders, fee rates, wallets. Frames of the stream are read by `private.py`.
Never: keeps state; REST is read again after every connect.
Units: amounts Decimal from text.

Opening: `{"id":…,"method":"userDataStream.subscribe.signature","params":{apiKey,recvWindow,timestamp,signature}}`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.events import FundingPaid, TransferSeen, WalletState
from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.ids import AssetId
from arb.domain.instrument import Instrument
from arb.domain.order import Balance
from arb.venues.answers import decoded
from arb.venues.binance_codec import BinanceOrders
from arb.venues.binance_executions import BinanceExecutions
from arb.venues.binance_keys import permission_request, read_permissions
from arb.venues.binance_orders import WEIGHT_BUCKET
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.binance_spot.errors import judge
from arb.venues.binance_spot.orders import SPOT_ORDERS, SpotOrderBody, spot_facts
from arb.venues.binance_spot.private import frame_facts
from arb.venues.binance_transfers import TRANSFERS_COUNT, parse_transfers, transfers_requests
from arb.venues.exact import check_amounts
from arb.venues.refusals import require_success
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

_SUBSCRIBE: Final = "userDataStream.subscribe.signature"


class SpotBalance(msgspec.Struct):
    """One asset of GET /api/v3/account."""

    asset: str
    free: Decimal
    locked: Decimal

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotAccountBody(msgspec.Struct):
    """GET /api/v3/account, as far as balances go."""

    balances: list[SpotBalance]


class SpotRates(msgspec.Struct):
    """One kind of commission."""

    maker: Decimal = Decimal(0)
    taker: Decimal = Decimal(0)
    buyer: Decimal = Decimal(0)
    seller: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotDiscount(msgspec.Struct, rename="camel"):
    """What paying in BNB makes of the standard commission: `discount` is the factor that remains."""

    enabled_for_account: bool = False
    enabled_for_symbol: bool = False
    discount: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotCommission(msgspec.Struct, rename="camel"):
    """GET /api/v3/account/commission."""

    symbol: str
    standard_commission: SpotRates
    special_commission: SpotRates = msgspec.field(default_factory=SpotRates)
    tax_commission: SpotRates = msgspec.field(default_factory=SpotRates)
    discount: SpotDiscount = msgspec.field(default_factory=SpotDiscount)


class SpotNetwork(msgspec.Struct, rename="camel"):
    """One network of one coin."""

    deposit_enable: bool = False
    withdraw_enable: bool = False


class SpotCoin(msgspec.Struct, rename="camel"):
    """One coin of GET /sapi/v1/capital/config/getall."""

    coin: str
    network_list: list[SpotNetwork] = []


_ACCOUNT: Final = msgspec.json.Decoder(SpotAccountBody)
_OPEN_ORDERS: Final = msgspec.json.Decoder(list[SpotOrderBody])
_COMMISSION: Final = msgspec.json.Decoder(SpotCommission)
_COINS: Final = msgspec.json.Decoder(list[SpotCoin])


class BinanceSpotAccount:
    """AccountProtocol of Binance spot. Events of instruments that are not ours are only signs of life."""

    ws_private_url: Final = "wss://ws-api.binance.com:443/ws-api/v3"
    keepalive_s: Final = None
    setup_count: Final = 0
    transfers_count: Final = TRANSFERS_COUNT

    def __init__(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> None:
        self._signer = BinanceSigner(credentials)
        self._executions = BinanceExecutions(self._signer, SPOT_ORDERS)
        self.executions_window_ms: Final = self._executions.window_ms
        self._instruments = frozenset(instrument.id for instrument in instruments)

    def prepare_request(self, stamp: Stamp) -> HttpRequest | None:
        """None: the subscription is signed; there are no listen keys any more."""
        return None

    def target(self, prepared: HttpResponse | None, stamp: Stamp) -> PrivateTarget:
        """The WebSocket API and one signed subscription."""
        request = {"id": stamp.nonce, "method": _SUBSCRIBE, "params": self._signer.signed_params({}, stamp)}
        return PrivateTarget(opening=(msgspec.json.encode(request).decode(),))

    def keepalive_request(self, stamp: Stamp) -> HttpRequest | None:
        """None: the subscription lives as long as the connection."""
        return None

    def receive(self, frame: bytes, received_ns: int) -> tuple[AccountInbound, ...]:
        """One frame in any envelope; what cannot be read is a Fault."""
        try:
            return frame_facts(frame, self._instruments, received_ns)
        except ProtocolError as error:
            return (Fault(error.detail),)

    def snapshot_requests(
        self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Balances, then the open orders of each instrument."""
        open_orders = tuple(
            self._read("/api/v3/openOrders", f"symbol={encoded(instrument.symbol)}", stamp, 6)
            for instrument, stamp in zip(instruments, stamps[1:], strict=True)
        )
        return (self._read("/api/v3/account", "omitZeroBalances=true", stamps[0], 20), *open_orders)

    def snapshot_count(self, instruments: tuple[Instrument, ...]) -> int:
        """One for the balances and one for each instrument."""
        return 1 + len(instruments)

    def parse_snapshot(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[AccountInbound, ...]:
        """Balances (full) and one update per open order."""
        for answer in answers:
            require_success("binance_spot", judge, answer)
        held = decoded("binance_spot", answers[0].body, _ACCOUNT).balances
        balances = tuple(Balance(AssetId(row.asset), row.free, row.locked) for row in held)
        facts: list[AccountInbound] = [BalancesSeen(balances=balances, is_full=True)]
        for _, answer in zip(instruments, answers[1:], strict=True):
            for body in decoded("binance_spot", answer.body, _OPEN_ORDERS):
                facts.extend(spot_facts(body, received_ns))
        return tuple(facts)

    def fees_requests(self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """GET /api/v3/account/commission per instrument."""
        return tuple(
            self._read("/api/v3/account/commission", f"symbol={encoded(instrument.symbol)}", stamp, 20)
            for instrument, stamp in zip(instruments, stamps, strict=True)
        )

    def parse_fees(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...]
    ) -> tuple[FeeSchedule, ...]:
        """Standard, special and tax together; the standard one discounted where BNB pays."""
        return tuple(_fees(instrument, answer) for instrument, answer in zip(instruments, answers, strict=True))

    def setup_requests(
        self, instrument: Instrument, leverage: int, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Spot: there is nothing to set up."""
        return ()

    def setup_problem(self, instrument: Instrument, leverage: int, answers: tuple[HttpResponse, ...]) -> str | None:
        """Spot: nothing can be wrong."""
        return None

    def permission_request(self, stamp: Stamp) -> HttpRequest | None:
        """GET /sapi/v1/account/apiRestrictions."""
        return permission_request(self._signer, stamp)

    def parse_permission(self, answer: HttpResponse) -> KeyPermissions:
        """What the key may do on spot."""
        require_success("binance_spot", judge, answer)
        return read_permissions("binance_spot", answer, lambda told: told.enable_spot_and_margin_trading)

    def funding_request(self, since_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Spot: nothing is funded."""
        return None

    def parse_funding(self, answer: HttpResponse, received_ns: int) -> tuple[FundingPaid, ...]:
        """Spot: nothing is funded."""
        return ()

    def transfers_requests(self, since_ms: int, stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """Deposits, withdrawals, and both directions between spot and futures."""
        return transfers_requests(self._signer, since_ms, stamps)

    def parse_transfers(
        self, answers: tuple[HttpResponse, ...], since_ms: int, received_ns: int
    ) -> tuple[TransferSeen, ...]:
        """What has moved the spot balance since then."""
        for answer in answers:
            require_success("binance_spot", judge, answer)
        return parse_transfers(answers, since_ms, received_ns)

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
        """GET /sapi/v1/capital/config/getall, on the spot host."""
        return self._read("/sapi/v1/capital/config/getall", "", stamp, 10)

    def parse_wallets(self, answer: HttpResponse) -> tuple[WalletState, ...]:
        """One state per coin, open where any network is."""
        require_success("binance_spot", judge, answer)
        return tuple(
            WalletState(
                asset=AssetId(coin.coin),
                deposit=any(network.deposit_enable for network in coin.network_list),
                withdraw=any(network.withdraw_enable for network in coin.network_list),
            )
            for coin in decoded("binance_spot", answer.body, _COINS)
        )

    def _read(self, path: str, query: str, stamp: Stamp, weight: int) -> HttpRequest:
        return self._signer.signed("GET", path, query, stamp, bucket=WEIGHT_BUCKET, weight=weight)


class BinanceSpotAccounts:
    """AccountSpec of Binance spot."""

    def account(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> BinanceSpotAccount:
        """A fresh private stream."""
        return BinanceSpotAccount(credentials, instruments)

    def orders(self, credentials: Credentials) -> BinanceOrders:
        """An order codec."""
        return BinanceOrders(credentials, SPOT_ORDERS)


def _fees(instrument: Instrument, answer: HttpResponse) -> FeeSchedule:
    require_success("binance_spot", judge, answer)
    body = decoded("binance_spot", answer.body, _COMMISSION)
    if body.symbol != instrument.symbol:
        raise ProtocolError("binance_spot", f"asked about {instrument.symbol}, answered about {body.symbol}")
    pays_bnb = body.discount.enabled_for_account and body.discount.enabled_for_symbol
    factor = body.discount.discount if pays_bnb else Decimal(1)
    extra = (body.special_commission, body.tax_commission)
    standard = body.standard_commission
    return FeeSchedule(
        maker_rate=(standard.maker + _dearer_side(standard)) * factor
        + sum((rates.maker + _dearer_side(rates) for rates in extra), Decimal(0)),
        taker_rate=(standard.taker + _dearer_side(standard)) * factor
        + sum((rates.taker + _dearer_side(rates) for rates in extra), Decimal(0)),
        fee_asset=FeeAsset.BNB if pays_bnb else FeeAsset.RECEIVED,
        source="venue",
    )


def _dearer_side(rates: SpotRates) -> Decimal:
    return max(rates.buyer, rates.seller)
