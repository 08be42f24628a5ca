"""Upbit's private stream, and the account reads of REST.

Owns: `myOrder` and `myAsset` frames, balances, open orders, fee rates, wallet states.
Never: keeps state between frames; the stream sends no snapshot, so REST is read again after every connect.
Units: amounts Decimal from text; `venue_ns` UTC.

`{"type":"myOrder","code":"KRW-BTC","uuid":"…","ask_bid":"BID","state":"trade","trade_uuid":"…","price":…,"volume":…,
"executed_volume":…,"trade_fee":…,"is_maker":false,"identifier":"…",…}` — while `state` is `trade`, price and volume are
those of the execution; nulls are sent. SIMPLE spells the same keys short. `trade_uuid` is the `uuid` of the REST trade:
an execution seen both ways has one trade id, with its fee here and possibly without there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.events import FundingPaid, WalletState
from arb.domain.fees import Fee, FeeSchedule
from arb.domain.ids import AssetId, TradeId, VenueOrderId, instrument_id
from arb.domain.instrument import Instrument
from arb.domain.order import Balance, Fill, Liquidity, OrderUpdate
from arb.venues.answers import decoded, ns_of, shown
from arb.venues.exact import check_amounts
from arb.venues.spec import (
    AccountInbound,
    Alive,
    BalancesSeen,
    Credentials,
    Fault,
    HttpRequest,
    HttpResponse,
    PrivateTarget,
    Reconnect,
    Stamp,
)
from arb.venues.upbit.errors import UpbitRefusalDetail, require_success
from arb.venues.upbit.orders import DEFAULT_BUCKET, SIDES, STATES, UpbitOrderBody, UpbitOrders, known_name, order_facts
from arb.venues.upbit.signing import UpbitSigner

_OPENING: Final = '[{{"ticket":"{ticket}"}},{{"type":"myOrder"}},{{"type":"myAsset"}},{{"format":"DEFAULT"}}]'
_OPEN_ORDERS_LIMIT: Final = 100

_LONG_NAMES: Final = {
    "ty": "type",
    "cd": "code",
    "uid": "uuid",
    "ab": "ask_bid",
    "s": "state",
    "tuid": "trade_uuid",
    "p": "price",
    "ap": "avg_price",
    "v": "volume",
    "ev": "executed_volume",
    "tf": "trade_fee",
    "im": "is_maker",
    "id": "identifier",
    "ttms": "trade_timestamp",
    "tms": "timestamp",
    "ast": "assets",
    "asttms": "asset_timestamp",
}
"""SIMPLE spelling of the keys that are read."""

_LONG_HOLDING_NAMES: Final = {"cu": "currency", "b": "balance", "l": "locked"}


class UpbitFrameKind(msgspec.Struct):
    """What a frame is, whichever spelling it has."""

    type: str | None = None
    ty: str | None = None
    status: str | None = None
    error: UpbitRefusalDetail | None = None


class UpbitMyOrder(msgspec.Struct):
    """A `myOrder` frame."""

    code: str
    uuid: str
    ask_bid: str
    state: str
    executed_volume: Decimal
    timestamp: int
    trade_uuid: str | None = None
    price: Decimal | None = None
    avg_price: Decimal | None = None
    volume: Decimal | None = None
    trade_fee: Decimal | None = None
    is_maker: bool | None = None
    identifier: str | None = None
    trade_timestamp: int | None = None

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitHolding(msgspec.Struct):
    """One asset, on the stream and in GET /v1/accounts."""

    currency: str
    balance: Decimal
    locked: Decimal

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitMyAsset(msgspec.Struct):
    """A `myAsset` frame."""

    assets: list[UpbitHolding]


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


_KIND: Final = msgspec.json.Decoder(UpbitFrameKind)
_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MY_ORDER: Final = msgspec.json.Decoder(UpbitMyOrder)
_MY_ASSET: Final = msgspec.json.Decoder(UpbitMyAsset)
_RAW_LIST: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_HOLDINGS: Final = msgspec.json.Decoder(list[UpbitHolding])
_OPEN_ORDERS: Final = msgspec.json.Decoder(list[UpbitOrderBody])
_CHANCE: Final = msgspec.json.Decoder(UpbitChance)
_WALLETS: Final = msgspec.json.Decoder(list[UpbitWallet])


class UpbitAccount:
    """AccountProtocol of Upbit. Events of instruments that are not ours are only signs of life."""

    ws_private_url: Final = "wss://api.upbit.com/websocket/v1/private"
    keepalive_s: Final = None
    setup_count: Final = 0

    def __init__(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> None:
        self._signer = UpbitSigner(credentials)
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
            return self._facts(frame, received_ns)
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
            require_success(answer)
        balances = _balances(decoded("upbit", answers[0].body, _HOLDINGS))
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

    def funding_request(self, since_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Spot: nothing is funded."""
        return None

    def parse_funding(self, answer: HttpResponse, received_ns: int) -> tuple[FundingPaid, ...]:
        """Spot: nothing is funded."""
        return ()

    def wallets_request(self, stamp: Stamp) -> HttpRequest | None:
        """GET /v1/status/wallet; the venue says that it lags by minutes."""
        return self._read("/v1/status/wallet", "", stamp)

    def parse_wallets(self, answer: HttpResponse) -> tuple[WalletState, ...]:
        """One state per asset, open where any network is."""
        require_success(answer)
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

    def _facts(self, frame: bytes, received_ns: int) -> tuple[AccountInbound, ...]:
        kind = decoded("upbit", frame, _KIND)
        if kind.error is not None:
            detail = f"{kind.error.name}: {kind.error.message or ''}"
            return (Fault(detail), Reconnect(detail))
        if kind.ty is not None:
            frame = _lengthened(frame)
        match kind.type or kind.ty:
            case "myOrder":
                return self._order_facts(decoded("upbit", frame, _MY_ORDER), received_ns)
            case "myAsset":
                return (BalancesSeen(balances=_balances(decoded("upbit", frame, _MY_ASSET).assets), is_full=False),)
            case None if kind.status is not None:
                return (Alive(),)
        return (Fault(f"unexpected frame: {shown(frame)}"),)

    def _order_facts(self, order: UpbitMyOrder, received_ns: int) -> tuple[AccountInbound, ...]:
        if order.state not in STATES or order.ask_bid not in SIDES:
            raise ProtocolError("upbit", f"order {order.uuid} has state {order.state!r} and side {order.ask_bid!r}")
        instrument = instrument_id("upbit", order.code)
        if instrument not in self._instruments:
            return (Alive(),)
        update = OrderUpdate(
            client_order_id=known_name(order.identifier, order.uuid),
            instrument=instrument,
            state=STATES[order.state],
            filled_qty=order.executed_volume,
            avg_price=order.avg_price if order.executed_volume else None,
            venue_order_id=VenueOrderId(order.uuid),
            received_ns=received_ns,
            venue_ns=ns_of(order.timestamp),
        )
        return (_fill(order, update), update) if order.state == "trade" else (update,)


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


def _balances(holdings: list[UpbitHolding]) -> tuple[Balance, ...]:
    return tuple(Balance(AssetId(held.currency), held.balance, held.locked) for held in holdings)


def _fees(answer: HttpResponse) -> FeeSchedule:
    require_success(answer)
    chance = decoded("upbit", answer.body, _CHANCE)
    return FeeSchedule(
        maker_rate=max(chance.maker_bid_fee, chance.maker_ask_fee),
        taker_rate=max(chance.bid_fee, chance.ask_fee),
        source="venue",
    )


def _fill(order: UpbitMyOrder, update: OrderUpdate) -> Fill:
    if order.trade_uuid is None or order.price is None or order.volume is None:
        raise ProtocolError("upbit", f"order {order.uuid}: an execution without id, price or volume")
    quote_asset = AssetId(order.code.partition("-")[0])
    return Fill(
        instrument=update.instrument,
        trade_id=TradeId(order.trade_uuid),
        client_order_id=update.client_order_id,
        venue_order_id=update.venue_order_id,
        side=SIDES[order.ask_bid],
        qty=order.volume,
        price=order.price,
        fee=None if order.trade_fee is None else Fee(order.trade_fee, quote_asset),
        liquidity=None if order.is_maker is None else Liquidity.MAKER if order.is_maker else Liquidity.TAKER,
        received_ns=update.received_ns,
        venue_ns=update.venue_ns if order.trade_timestamp is None else ns_of(order.trade_timestamp),
    )


def _lengthened(frame: bytes) -> bytes:
    """The same frame in DEFAULT spelling, every number's digits untouched."""
    fields = {_LONG_NAMES[name]: raw for name, raw in decoded("upbit", frame, _RAW).items() if name in _LONG_NAMES}
    if "assets" not in fields:
        return msgspec.json.encode(fields)
    holdings = [
        {_LONG_HOLDING_NAMES[name]: raw for name, raw in holding.items() if name in _LONG_HOLDING_NAMES}
        for holding in decoded("upbit", bytes(fields["assets"]), _RAW_LIST)
    ]
    return msgspec.json.encode({**fields, "assets": holdings})
