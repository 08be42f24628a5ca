"""Upbit's private stream, and the account reads of REST.

Owns: the opening of the stream, balances, open orders, fee rates, wallet states, when the key expires. Frames are read
by `private.py`.
Never: keeps state between frames; the stream sends no snapshot, so REST is read again after every connect.
Units: amounts Decimal from text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.events import FundingPaid, TransferSeen, WalletState
from arb.domain.fees import FeeSchedule
from arb.domain.ids import AssetId
from arb.domain.instrument import Instrument
from arb.domain.order import OrderUpdate
from arb.venues.answers import decoded
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
from arb.venues.upbit.errors import judge
from arb.venues.upbit.orders import DEFAULT_BUCKET, UpbitOrderBody, UpbitOrders, korean_ns, order_facts
from arb.venues.upbit.private import UpbitHolding, frame_facts, held_balances
from arb.venues.upbit.signing import UpbitSigner
from arb.venues.upbit.transfers import TRANSFER_PATHS, TRANSFERS_QUERY, parse_transfers

_OPENING: Final = '[{{"ticket":"{ticket}"}},{{"type":"myOrder"}},{{"type":"myAsset"}},{{"format":"DEFAULT"}}]'
_OPEN_ORDERS_LIMIT: Final = 100
_CLOSED_ORDERS_LIMIT: Final = 1000


class UpbitChance(msgspec.Struct):
    """GET /v1/orders/chance, as far as fees go."""

    bid_fee: Decimal
    ask_fee: Decimal
    maker_bid_fee: Decimal
    maker_ask_fee: Decimal

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitWallet(msgspec.Struct):
    """One network of one asset in GET /v1/status/wallet."""

    currency: str
    wallet_state: str


class UpbitKey(msgspec.Struct):
    """One key of GET /v1/api_keys."""

    access_key: str
    expire_at: str = ""


_HOLDINGS: Final = msgspec.json.Decoder(list[UpbitHolding])
_CLOSED_ORDERS: Final = msgspec.json.Decoder(list[UpbitOrderBody])
_OPEN_ORDERS: Final = msgspec.json.Decoder(list[UpbitOrderBody])
_CHANCE: Final = msgspec.json.Decoder(UpbitChance)
_WALLETS: Final = msgspec.json.Decoder(list[UpbitWallet])
_KEYS: Final = msgspec.json.Decoder(list[UpbitKey])


class UpbitAccount:
    """AccountProtocol of Upbit. Events of instruments that are not ours are only signs of life."""

    ws_private_url: Final = "wss://api.upbit.com/websocket/v1/private"
    keepalive_s: Final = None
    setup_count: Final = 0
    transfers_count: Final = len(TRANSFER_PATHS)
    executions_window_ms: Final = 7 * 86_400_000

    def __init__(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> None:
        self._signer = UpbitSigner(credentials)
        self._key = credentials.key
        self._instruments = frozenset(instrument.id for instrument in instruments)

    def prepare_request(self, stamp: Stamp) -> HttpRequest | None:
        """None: the token goes with the handshake."""
        return None

    def target(self, prepared: HttpResponse | None, stamp: Stamp) -> PrivateTarget:
        """One socket for both types; the token has no query hash."""
        return PrivateTarget(
            headers=(("Authorization", f"Bearer {self._signer.token(stamp.nonce)}"),),
            opening=(_OPENING.format(ticket=stamp.nonce),),
        )

    def keepalive_request(self, stamp: Stamp) -> HttpRequest | None:
        """None: a token need not be renewed while the connection lives."""
        return None

    def receive(self, frame: bytes, received_ns: int) -> tuple[AccountInbound, ...]:
        """One frame in either spelling; what cannot be read is a Fault."""
        try:
            return frame_facts(frame, self._instruments, received_ns)
        except ProtocolError as error:
            return (Fault(error.detail),)

    def snapshot_requests(
        self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Balances, then the open orders of each instrument."""
        open_orders = tuple(
            self._read("/v1/orders/open", _open_orders_query(instrument), stamp)
            for instrument, stamp in zip(instruments, stamps[1:], strict=True)
        )
        return (self._read("/v1/accounts", "", stamps[0]), *open_orders)

    def snapshot_count(self, instruments: tuple[Instrument, ...]) -> int:
        """One for the balances and one for each instrument."""
        return 1 + len(instruments)

    def parse_snapshot(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[AccountInbound, ...]:
        """Balances (full) and one update per open order."""
        for answer in answers:
            require_success("upbit", judge, answer)
        balances = held_balances(decoded("upbit", answers[0].body, _HOLDINGS))
        facts: list[AccountInbound] = [BalancesSeen(balances=balances, is_full=True)]
        for instrument, answer in zip(instruments, answers[1:], strict=True):
            bodies = decoded("upbit", answer.body, _OPEN_ORDERS)
            for body in bodies:
                facts.extend(order_facts(body, received_ns))
            if len(bodies) == _OPEN_ORDERS_LIMIT:
                facts.append(Fault(f"{instrument.id}: {_OPEN_ORDERS_LIMIT} open orders listed, there may be more"))
        return tuple(facts)

    def fees_requests(self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """GET /v1/orders/chance per instrument."""
        return tuple(
            self._read("/v1/orders/chance", f"market={instrument.symbol}", stamp)
            for instrument, stamp in zip(instruments, stamps, strict=True)
        )

    def parse_fees(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...]
    ) -> tuple[FeeSchedule, ...]:
        """The dearer of both sides."""
        return tuple(_fees(answer) for _, answer in zip(instruments, answers, strict=True))

    def setup_requests(
        self, instrument: Instrument, leverage: int, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Spot: there is nothing to set up."""
        return ()

    def setup_problem(self, instrument: Instrument, leverage: int, answers: tuple[HttpResponse, ...]) -> str | None:
        """Spot: nothing can be wrong."""
        return None

    def permission_request(self, stamp: Stamp) -> HttpRequest | None:
        """GET /v1/api_keys: when keys expire; what they may do, the venue does not tell."""
        return self._read("/v1/api_keys", "", stamp)

    def parse_permission(self, answer: HttpResponse) -> KeyPermissions:
        """When this key expires."""
        require_success("upbit", judge, answer)
        return _permissions(decoded("upbit", answer.body, _KEYS), self._key)

    def funding_request(self, since_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Spot: nothing is funded."""
        return None

    def parse_funding(self, answer: HttpResponse, received_ns: int) -> tuple[FundingPaid, ...]:
        """Spot: nothing is funded."""
        return ()

    def transfers_requests(self, since_ms: int, stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """The newest deposits and withdrawals; the venue takes no time to begin from."""
        return tuple(
            self._read(path, TRANSFERS_QUERY, stamp) for path, stamp in zip(TRANSFER_PATHS, stamps, strict=True)
        )

    def parse_transfers(
        self, answers: tuple[HttpResponse, ...], since_ms: int, received_ns: int
    ) -> tuple[TransferSeen, ...]:
        """What was done since then."""
        for answer in answers:
            require_success("upbit", judge, answer)
        return parse_transfers(answers, since_ms, received_ns)

    def executions_count(self, instruments: tuple[Instrument, ...]) -> int:
        """One for each instrument."""
        return len(instruments)

    def executions_requests(
        self, instruments: tuple[Instrument, ...], since_ms: int, until_ms: int | None, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """GET /v1/orders/closed of each instrument: there is no list of executions."""
        return tuple(
            self._read("/v1/orders/closed", _closed_orders_query(instrument, since_ms, until_ms), stamp)
            for instrument, stamp in zip(instruments, stamps, strict=True)
        )

    def parse_executions(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> ExecutionsSeen:
        """The orders that have traded; one by one they tell their executions."""
        orders, ends_ms = list[OrderUpdate](), list[int]()
        for _, answer in zip(instruments, answers, strict=True):
            require_success("upbit", judge, answer)
            bodies = decoded("upbit", answer.body, _CLOSED_ORDERS)
            for body in bodies:
                *_, update = order_facts(body, received_ns)
                if isinstance(update, OrderUpdate) and update.filled_qty:
                    orders.append(update)
            if len(bodies) >= _CLOSED_ORDERS_LIMIT:
                ends_ms.append(max(_created_ms(body) for body in bodies))
        return ExecutionsSeen(orders=tuple(orders), more_from_ms=min(ends_ms, default=None))

    def wallets_request(self, stamp: Stamp) -> HttpRequest | None:
        """GET /v1/status/wallet; the venue says that it lags by minutes."""
        return self._read("/v1/status/wallet", "", stamp)

    def parse_wallets(self, answer: HttpResponse) -> tuple[WalletState, ...]:
        """One state per asset, open where any network is."""
        require_success("upbit", judge, answer)
        states: dict[str, set[str]] = {}
        for wallet in decoded("upbit", answer.body, _WALLETS):
            states.setdefault(wallet.currency, set()).add(wallet.wallet_state)
        return tuple(
            WalletState(
                asset=AssetId(currency),
                deposit=not found.isdisjoint(("working", "deposit_only")),
                withdraw=not found.isdisjoint(("working", "withdraw_only")),
            )
            for currency, found in states.items()
        )

    def _read(self, path: str, query: str, stamp: Stamp) -> HttpRequest:
        token = self._signer.token_for(stamp.nonce, query) if query else self._signer.token(stamp.nonce)
        headers = (("Authorization", f"Bearer {token}"),)
        return HttpRequest(method="GET", path=path, query=query, headers=headers, bucket=DEFAULT_BUCKET)


class UpbitAccounts:
    """AccountSpec of Upbit."""

    def account(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> UpbitAccount:
        """A fresh private stream."""
        return UpbitAccount(credentials, instruments)

    def orders(self, credentials: Credentials) -> UpbitOrders:
        """An order codec."""
        return UpbitOrders(credentials)


def _open_orders_query(instrument: Instrument) -> str:
    # Brackets stay literal both in the hashed text and on the wire.
    return f"market={instrument.symbol}&states[]=wait&states[]=watch&limit={_OPEN_ORDERS_LIMIT}"


def _closed_orders_query(instrument: Instrument, since_ms: int, until_ms: int | None) -> str:
    end = "" if until_ms is None else f"&end_time={until_ms}"
    return (
        f"market={instrument.symbol}&states[]=done&states[]=cancel&start_time={since_ms}{end}"
        f"&limit={_CLOSED_ORDERS_LIMIT}&order_by=asc"
    )


def _created_ms(body: UpbitOrderBody) -> int:
    return (korean_ns(body.created_at) or 0) // 1_000_000


def _fees(answer: HttpResponse) -> FeeSchedule:
    require_success("upbit", judge, answer)
    chance = decoded("upbit", answer.body, _CHANCE)
    return FeeSchedule(
        maker_rate=max(chance.maker_bid_fee, chance.maker_ask_fee),
        taker_rate=max(chance.bid_fee, chance.ask_fee),
        source="venue",
    )


def _permissions(keys: list[UpbitKey], ours: str) -> KeyPermissions:
    row = next((key for key in keys if key.access_key == ours), None)
    expires_ns = None if row is None else korean_ns(row.expire_at)
    expiry = "not told" if row is None or expires_ns is None else row.expire_at
    return KeyPermissions(
        may_trade=None,
        may_withdraw=None,
        is_ip_restricted=None,
        is_sub_account=None,
        expires_ms=None if expires_ns is None else expires_ns // 1_000_000,
        words=f"expires {expiry}; Upbit does not tell what a key may do",
    )
