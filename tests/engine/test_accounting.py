"""The account against the books: explained to the last digit over any history, and what is not is told."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.depth import Depth
from arb.domain.effects import Alert, Effect, Publish, QueryAccount, Record, Severity, Table
from arb.domain.events import (
    ArmingSeen,
    Command,
    CommandKind,
    DepthSeen,
    Event,
    FundingPaid,
    InstrumentSeen,
    Reconciled,
    RunStarted,
    Tick,
    TransferSeen,
)
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, FeedId, InstrumentId, RunId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import EXACT
from arb.domain.order import Purpose, Side
from arb.domain.pair import Direction, PairKind
from arb.domain.tables import ACCOUNT_PARTS, COLUMNS
from arb.engine import Engine, EngineConfig
from arb.engine import rows as table_rows
from arb.engine.accounting import GRACE_NS, SETTLED_NS, TOLERANCE_KRW, read_from_ms, reckon, sighting
from arb.engine.memory import Turn
from arb.state.account import AccountState
from arb.storage.codec import decode_value, encode_value
from tests import strategies as make
from tests.engine.exchange import FX, SECOND, START_NS, WALL_NS, A, B, cheap, config, fresh, rules
from tests.engine.test_limits import started
from tests.engine.vault import Vault

D = Decimal
SPOT_B = InstrumentId("binance_spot:BTCUSDT")
BNB_BOOK = "BNBUSDT"
KRW, USDT, BTC, BNB = AssetId("KRW"), AssetId("USDT"), AssetId("BTC"), AssetId("BNB")
UPBIT = VenueId("upbit")
DAY_S = 86_400


def configured(kind: PairKind) -> EngineConfig:
    """One pair of Upbit against a contract or against coins."""
    told = config()
    if kind is PairKind.SPOT_PERP:
        return told
    item = told.pairs[0]
    pair = attrs.evolve(item.pair, b=SPOT_B, kind=kind, directions=frozenset(Direction))
    fees = told.fees | {VenueId("binance_spot"): told.fees[VenueId("binance_usdm")]}
    return attrs.evolve(told, pairs=(attrs.evolve(item, pair=pair),), fees=fees)


@attrs.define
class Account:
    """An engine whose books are moved by hand, beside the truth."""

    kind: PairKind
    engine: Engine
    vault: Vault
    now_ns: int = START_NS
    fx_mid: Decimal = attrs.field(default=D("1450.5"))
    number: int = 0
    effects: list[Effect] = attrs.field(factory=list)

    @property
    def leg_b(self) -> InstrumentId:
        return self.engine.config.pairs[0].pair.b

    def put(self, event: Event) -> None:
        self.effects += self.engine.step(event)

    def book(self, name: InstrumentId, mid: Decimal, half: Decimal) -> None:
        depth = Depth(
            instrument=name, feed=FeedId(f"{venue_of(name)}/public/0"), bids=(float(mid - half), 1.0),
            asks=(float(mid + half), 1.0), received_ns=self.now_ns, venue_ns=None, sequence=self.number,
        )  # fmt: skip
        self.put(DepthSeen(at_ns=self.now_ns, depth=depth))

    def market(self, a: Decimal, b: Decimal, fx: Decimal, bnb: Decimal | None = None) -> None:
        self.now_ns += SECOND
        self.fx_mid = fx
        self.book(A, a, D(1000))
        self.book(self.leg_b, b, D("0.1"))
        self.book(FX, fx, D("0.5"))
        if bnb is not None:
            self.book(InstrumentId(f"{venue_of(self.leg_b)}:{BNB_BOOK}"), bnb, D("0.1"))

    def rules(self, leg: str) -> Instrument:
        return self.engine.memory.market.instruments[A if leg == "a" else self.leg_b]

    def fill(self, leg: str, side: Side, qty: Decimal, price: Decimal, fee_in: str = "quote", mid: str = "600") -> None:
        """Trade: the truth and the books hear of it."""
        ledger, instrument = self.engine.memory.ledger, self.rules(leg)
        pair = self.engine.config.pairs[0].pair.id
        if pair not in ledger.positions:
            made = make.position(is_contract_b=self.kind is PairKind.SPOT_PERP)
            ledger.open_position(attrs.evolve(made, id=f"p{self.number}", opened_wall_ns=self.wall_ns))
        self.number += 1
        self.now_ns += 1000
        cost = qty * price * D("0.0005")
        fee = {
            "quote": Fee(cost, instrument.quote), "base": Fee(qty * D("0.001"), instrument.base),
            "bnb": Fee(cost / D(mid), BNB),
        }[fee_in]  # fmt: skip
        fill = make.fill(instrument.id, f"t{self.number}", side, qty, price, fee=fee, at_ns=self.now_ns)
        self.vault.trade(fill, instrument, fee)
        tag = attrs.evolve(make.tag(leg, price + 1, Purpose.ENTRY), pair=pair)
        ledger.book_fill(
            fill, instrument, tag, fx_mid=self.fx_mid, fee=fee, fee_usdt_mid=D(mid) if fee_in == "bnb" else None
        )
        self.engine.memory.lanes[pair].fill_ns = self.now_ns

    @property
    def wall_ns(self) -> int:
        return WALL_NS + self.now_ns - START_NS

    def close(self) -> None:
        ledger, pair = self.engine.memory.ledger, self.engine.config.pairs[0].pair
        if pair.id not in ledger.positions:
            return
        closed = ledger.close_position(
            pair.id, fx_mid=self.fx_mid, at_ns=self.now_ns, wall_ns=self.wall_ns, reason="reversal"
        )
        turn = self.turn
        table_rows.position_row(turn, pair, closed.position, closed)
        self.effects += turn.effects
        revision = self.engine.memory.lanes[pair.id].position_revision
        ledger.name_trade(closed.position.id, trade_id="x", qty=D(1), revision=revision)

    def fund(self, amount: Decimal, settled_ns: int | None = None) -> None:
        self.number += 1
        venue = venue_of(self.leg_b)
        self.vault.move(venue, USDT, amount)
        self.paid(amount, settled_ns if settled_ns is not None else self.wall_ns, f"i{self.number}")

    def paid(self, amount: Decimal, settled_ns: int, income: str) -> None:
        self.put(
            FundingPaid(
                at_ns=self.now_ns, instrument=self.leg_b, income_id=income, amount=amount, asset=USDT, rate=None,
                settled_ms=settled_ns // 1_000_000,
            )
        )  # fmt: skip

    def transfer(self, venue: VenueId, asset: AssetId, amount: Decimal) -> None:
        self.number += 1
        self.vault.move(venue, asset, amount)
        self.put(
            TransferSeen(at_ns=self.now_ns, venue=venue, transfer_id=f"w{self.number}", amount=amount, asset=asset)
        )

    def tell(self) -> None:
        self.now_ns += SECOND
        for event in self.vault.told(self.now_ns):
            self.put(event)

    def pass_time(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)
        self.put(Tick(at_ns=self.now_ns, wall_ns=self.wall_ns))

    @property
    def turn(self) -> Turn:
        return Turn(config=self.engine.config, memory=self.engine.memory)

    def state(self) -> AccountState:
        found = reckon(self.turn)
        assert found is not None
        return found

    def rows(self, table: Table) -> list[dict[str, object]]:
        newest: dict[str, Record] = {}
        for effect in self.effects:
            if isinstance(effect, Record) and effect.table is table:
                assert effect.id not in newest or effect.rev > newest[effect.id].rev
                newest[effect.id] = effect
        return [dict(record.row) for record in newest.values()]

    def asked(self) -> list[VenueId]:
        return [effect.venue for effect in self.effects if isinstance(effect, QueryAccount)]

    def alerts(self) -> list[Alert]:
        return [effect for effect in self.effects if isinstance(effect, Alert)]


def opened(kind: PairKind = PairKind.SPOT_PERP) -> Account:
    """Started, told everything, priced, and nothing done yet."""
    told = configured(kind)
    other = venue_of(told.pairs[0].pair.b)
    wallets = {UPBIT: {KRW: D(20_000_000), USDT: D(5_000), AssetId("XRP"): D(77)}, other: {USDT: D(15_000), BNB: D(3)}}
    if kind is PairKind.SPOT_SPOT:
        wallets[other][BTC], wallets[UPBIT][BTC] = D("0.5"), D("0.5")
    account = Account(kind, Engine(told), Vault(wallets))
    now = account.now_ns
    account.put(RunStarted(at_ns=now, wall_ns=WALL_NS, run_id=RunId("run"), build="b", parameters="{}"))
    account.put(ArmingSeen(at_ns=now, is_armed=True))
    b_kind = InstrumentKind.PERPETUAL if kind is PairKind.SPOT_PERP else InstrumentKind.SPOT
    for item in (
        rules(A, InstrumentKind.SPOT, "KRW", "1000", "0.00000001", "5000"),
        rules(account.leg_b, b_kind, "USDT", "0.1", "0.001", "100"),
        rules(FX, InstrumentKind.SPOT, "KRW", "1", "0.00000001", "5000"),
    ):
        account.put(InstrumentSeen(at_ns=now, instrument=item))
    account.tell()
    account.market(D(148_800_000), D(103_000), D("1450.5"))
    account.state()
    return account


def is_rounding(found: AccountState) -> bool:
    return abs(found.unexplained.krw) <= D("1e-4") and abs(found.unexplained.usdt) <= D("1e-6")


QTY = make.quantities("0.001", "0.05", 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("fill"), st.sampled_from(["a", "b"]), st.sampled_from(Side), QTY,
            st.sampled_from(["quote", "base", "bnb"]), st.integers(-300, 300),
        ),
        st.tuples(st.just("market"), st.integers(-500, 500), st.integers(-500, 500), st.booleans()),
        st.tuples(st.just("fund"), st.decimals(-20, 20, places=8)),
        st.tuples(st.just("transfer"), st.sampled_from(["krw", "usdt", "coin", "bnb"]), st.decimals(-1, 1, places=4)),
        st.just(("close",)),
        st.just(("tell",)),
    ),
    max_size=25,
)  # fmt: skip


def played(account: Account, steps: list[tuple[object, ...]]) -> None:
    """A history; every price of A is near 148.8 million, of B near 103,000."""
    other = venue_of(account.leg_b)
    for step in steps:
        match step:
            case ("fill", str() as leg, Side() as side, Decimal() as qty, str() as fee_in, int() as off):
                is_contract = leg == "b" and account.kind is PairKind.SPOT_PERP
                if (fee_in == "base" and (is_contract or side is Side.SELL)) or (fee_in == "bnb" and leg == "a"):
                    fee_in = "quote"
                price = D(148_800_000) + 1000 * off if leg == "a" else D(103_000) + D(off) / 10
                account.fill(leg, side, qty, price, fee_in)
            case ("market", int() as off, int() as fx, bool() as is_bnb_fed):
                account.market(
                    D(148_800_000) + 10_000 * off, D(103_000) + off, D("1450.5") + D(fx) / 10,
                    D(600) + D(fx) / 10 if is_bnb_fed else None,
                )  # fmt: skip
            case ("fund", Decimal() as amount):
                account.fund(amount)
            case ("transfer", str() as what, Decimal() as share):
                scale = {"krw": 1_000_000, "usdt": 1000, "coin": 1, "bnb": 2}[what]
                venue = UPBIT if what in ("krw", "coin") else other
                asset = {"krw": KRW, "usdt": USDT, "coin": BTC, "bnb": BNB}[what]
                account.transfer(venue, asset, share * scale)
            case ("close",):
                account.close()
            case ("tell",):
                account.tell()
                account.state()


@given(st.sampled_from(PairKind), STEPS, st.integers(-500, 500), st.integers(-500, 500))
@settings(max_examples=150, deadline=None)
def test_any_history_leaves_nothing_unexplained_in_either_currency(
    kind: PairKind, steps: list[tuple[object, ...]], off: int, fx: int
) -> None:
    account = opened(kind)
    played(account, steps)
    account.market(D(148_800_000) + 10_000 * off, D(103_000) + off, D("1450.5") + D(fx) / 10)
    account.tell()

    found = account.state()

    assert is_rounding(found), found
    for name in ("krw", "usdt"):
        parts = sum((getattr(getattr(found, part), name) for part in ACCOUNT_PARTS if part != "equity"), D(0))
        assert getattr(found.equity, name) == parts


@given(STEPS, st.decimals(-50, 50, places=8))
@settings(max_examples=40, deadline=None)
def test_what_a_venue_holds_beyond_the_books_is_unexplained_by_exactly_that(
    steps: list[tuple[object, ...]], gift: Decimal
) -> None:
    account = opened()
    played(account, steps)
    account.vault.move(venue_of(B), USDT, gift)
    account.tell()

    found = account.state()

    assert abs(found.unexplained.krw - EXACT.multiply(gift, found.fx_mid)) <= D("1e-4")
    assert abs(found.unexplained.usdt - gift) <= D("1e-6")


def test_each_part_is_what_it_is_called() -> None:
    account = opened()
    account.transfer(UPBIT, KRW, D(1_000_000))
    account.fill("a", Side.BUY, D("0.1"), D(148_800_000))
    account.fill("b", Side.SELL, D("0.1"), D(103_000))
    account.market(D(149_000_000), D(103_000), D(1440))
    account.tell()

    found = account.state()

    assert found.opening.krw == 20_000_000 + 20_000 * D("1450.5")
    assert found.transfers.krw == 1_000_000
    assert found.treasury.krw == 20_000 * D("-10.5")
    fees = 7440 + EXACT.multiply(D("5.15"), D(1440))
    assert found.pairs.krw == 20_000 - fees
    assert not found.residual.krw
    assert not found.fx_retained.krw
    assert is_rounding(found)

    account.fill("a", Side.SELL, D("0.1"), D(149_000_000))
    account.fill("b", Side.BUY, D("0.1"), D(102_000))
    account.close()
    account.market(D(149_000_000), D(103_000), D(1430))
    account.tell()

    ended = account.state()
    retained_usdt = 100 - D("5.15") - D("5.1")
    assert ended.fx_retained.krw == -10 * retained_usdt
    assert ended.pairs.krw == account.engine.memory.ledger.totals.realised_krw
    assert is_rounding(ended)


def test_what_is_left_over_counts_at_its_mark_and_keeps_its_gain_when_it_is_gone() -> None:
    account = opened()
    account.fill("a", Side.BUY, D("0.001"), D(148_800_000))
    account.close()
    account.market(D(150_000_000), D(103_000), D("1450.5"))
    account.tell()
    assert account.state().residual.krw == 1_200

    account.fill("a", Side.SELL, D("0.001"), D(150_500_000))
    account.close()
    account.market(D(140_000_000), D(103_000), D("1450.5"))
    account.tell()

    assert account.engine.memory.ledger.residuals == {}
    assert account.state().residual.krw == 1_700
    assert is_rounding(account.state())


def test_a_fee_in_bnb_is_the_pairs_cost_and_the_treasurys_coin_with_and_without_a_book_of_it() -> None:
    for bnb in (None, D(600)):
        account = opened()
        if bnb is not None:
            account.market(D(148_800_000), D(103_000), D("1450.5"), bnb)
            account.state()
        account.fill("b", Side.SELL, D("0.1"), D(103_000), "bnb")
        account.tell()

        position = account.engine.memory.ledger.positions[account.engine.config.pairs[0].pair.id]
        assert position.usdt == 10_300 - D("5.15")
        assert account.vault.wallets[venue_of(B)][USDT] == 15_000
        assert account.engine.memory.ledger.holdings.tallies["binance_usdm/BNB"].closing == 3 - D("5.15") / 600
        assert is_rounding(account.state())


def test_without_a_word_of_every_venue_there_is_no_opening() -> None:
    account = opened()
    memory = account.engine.memory
    del memory.ledger.holdings.balances[venue_of(B)]

    assert sighting(account.turn) is None
    assert reckon(account.turn) is None


def test_an_opening_taken_with_positions_open_explains_them_too() -> None:
    account = opened()
    account.fill("a", Side.BUY, D("0.1"), D(148_800_000))
    account.fill("b", Side.SELL, D("0.1"), D(103_000))
    account.tell()
    account.pass_time(SETTLED_NS / SECOND)
    account.engine.memory.ledger.account = type(account.engine.memory.ledger.account)()

    found = account.state()

    assert found.opening.krw == 20_000_000 + 20_000 * D("1450.5")
    assert is_rounding(found)


def test_a_difference_that_lasts_calls_a_person_once_and_another_one_again() -> None:
    account = opened()
    account.pass_time(2)
    account.vault.move(UPBIT, KRW, D(-500))
    account.tell()
    account.pass_time(2)
    assert account.alerts() == []

    account.pass_time(GRACE_NS / SECOND)
    account.pass_time(60)
    account.pass_time(60)
    (alert,) = account.alerts()
    assert (alert.key, alert.severity) == ("account/unexplained", Severity.WARNING)
    assert dict(alert.fields)["unexplained_krw"] == -500

    account.vault.move(UPBIT, KRW, D(-100))
    account.tell()
    account.pass_time(2)
    assert len(account.alerts()) == 2

    account.vault.move(UPBIT, KRW, D(600))
    account.tell()
    account.pass_time(2)
    account.pass_time(GRACE_NS / SECOND + 10)
    assert len(account.alerts()) == 2


def test_a_balance_that_never_came_is_asked_for_and_calls_nobody_when_it_is_told() -> None:
    account = opened()
    account.pass_time(2)
    account.fill("a", Side.BUY, D("0.001"), D(148_800_000))
    account.close()
    account.pass_time(SETTLED_NS / SECOND - 1)
    assert abs(account.state().unexplained.krw) > TOLERANCE_KRW
    assert not account.asked()

    account.pass_time(2)
    account.pass_time(2)
    assert account.asked() == ["binance_usdm", "upbit"]

    account.tell()
    account.pass_time(2)
    account.pass_time(GRACE_NS / SECOND + 1)
    account.pass_time(1)
    assert account.alerts() == []
    assert is_rounding(account.state())


def test_every_reading_leaves_a_row_of_the_account() -> None:
    account = opened()
    account.put(Reconciled(at_ns=account.now_ns, venue=UPBIT))

    (row,) = account.rows(Table.ACCOUNT)
    assert row["occasion"] == "reconciled upbit"
    assert row["equity_krw"] == 20_000_000 + 20_000 * D("1450.5")
    assert row["unexplained_krw"] == row["unexplained_usdt"] == 0
    assert set(row) == set(COLUMNS[Table.ACCOUNT])


def test_the_end_of_a_run_leaves_a_row_of_the_account() -> None:
    account = opened()
    account.put(Command(at_ns=account.now_ns, kind=CommandKind.DRAIN, operator="shell"))

    assert [row["occasion"] for row in account.rows(Table.ACCOUNT)] == ["end"]


def test_what_an_operator_adopts_or_ignores_is_explained_from_then_on() -> None:
    for kind in (CommandKind.ADOPT, CommandKind.IGNORE):
        account = opened()
        account.vault.move(UPBIT, BTC, D("0.01"))
        account.tell()
        account.put(Reconciled(at_ns=account.now_ns + 10 * SECOND, venue=UPBIT))
        assert account.state().unexplained.krw == 1_488_000

        account.put(Command(at_ns=account.now_ns, kind=kind, operator="me"))

        assert is_rounding(account.state())
        assert account.state().transfers.krw == 1_488_000


def test_wallets_are_written_at_midnight_in_korea_with_coins_of_no_pair_and_contracts() -> None:
    account = opened()
    account.fill("b", Side.SELL, D("0.1"), D(103_100))
    account.tell()
    account.pass_time(2)
    to_midnight = DAY_S - (account.wall_ns // SECOND + 9 * 3600) % DAY_S
    account.pass_time(to_midnight - 2)
    assert account.rows(Table.BALANCES_DAILY) == []

    account.pass_time(3)
    account.pass_time(3)

    rows = {(row["wallet"], row["asset"]): row for row in account.rows(Table.BALANCES_DAILY)}
    assert set(rows) == {
        ("upbit", "KRW"), ("upbit", "USDT"), ("upbit", "XRP"), ("binance_usdm", "USDT"), ("binance_usdm", "BNB"),
        ("binance_usdm", "BTCUSDT"),
    }  # fmt: skip
    assert all(set(row) == set(COLUMNS[Table.BALANCES_DAILY]) for row in rows.values())
    assert rows["upbit", "USDT"]["krw_value"] == 5_000 * D("1450.5")
    assert (rows["upbit", "XRP"]["qty"], rows["upbit", "XRP"]["krw_value"]) == (77, None)
    assert rows["binance_usdm", "BTCUSDT"]["krw_value"] == 10 * D("1450.5")
    midnight = rows["upbit", "KRW"]["time_kst"]
    assert isinstance(midnight, int)
    assert midnight % (DAY_S * SECOND) == 0
    assert [row["occasion"] for row in account.rows(Table.ACCOUNT)] == ["hour", "day", "hour"]


def test_what_venues_booked_before_the_opening_moves_nothing_and_a_restart_reads_from_where_it_was() -> None:
    account = opened()
    memory = account.engine.memory
    assert read_from_ms(memory, account.wall_ns) == account.wall_ns // 1_000_000
    account.pass_time(2)
    earlier_ns = memory.ledger.account.opened_wall_ns - SECOND
    account.paid(D(3), earlier_ns, "old")
    account.put(
        TransferSeen(
            at_ns=account.now_ns, venue=UPBIT, transfer_id="old", amount=D(9), asset=USDT,
            done_ms=earlier_ns // 1_000_000,
        )
    )  # fmt: skip
    account.tell()

    assert account.rows(Table.FUNDING) == account.rows(Table.TRANSFERS) == []
    assert is_rounding(account.state())
    for venue in (UPBIT, VenueId("binance_usdm")):
        account.put(Reconciled(at_ns=account.now_ns, venue=venue, begun_ns=account.now_ns))
    account.pass_time(2)
    later_ns = account.wall_ns + DAY_S * SECOND
    seen_ns = memory.ledger.account.seen_wall_ns
    assert seen_ns == memory.market.wall_ns(min(reading.told_ns for reading in memory.readings.values()))
    assert read_from_ms(memory, later_ns) == (seen_ns - 3600 * SECOND) // 1_000_000


def test_the_account_survives_being_written_and_read_back() -> None:
    account = opened()
    account.fill("a", Side.BUY, D("0.1"), D(148_800_000))
    account.close()
    account.tell()
    book = account.engine.memory.ledger
    account.state()

    assert decode_value(encode_value(book), type(book)) == book


@pytest.mark.parametrize("is_late", [False, True])
def test_funding_goes_to_the_position_that_was_open_at_its_settlement(is_late: bool) -> None:
    account = opened()
    account.fill("a", Side.BUY, D("0.1"), D(148_800_000))
    account.fill("b", Side.SELL, D("0.1"), D(103_000))
    first = account.engine.memory.ledger.positions[account.engine.config.pairs[0].pair.id].id
    account.pass_time(1)
    settled_ns = account.wall_ns
    account.pass_time(1)
    if is_late:
        account.fill("a", Side.SELL, D("0.1"), D(148_800_000))
        account.fill("b", Side.BUY, D("0.1"), D(103_000))
        account.close()
        account.pass_time(1)
        account.fill("a", Side.BUY, D("0.1"), D(148_800_000))
    account.market(D(148_800_000), D(103_000), D(1440))
    account.fund(D(2), settled_ns)

    (row,) = account.rows(Table.FUNDING)
    (position,) = account.rows(Table.POSITIONS)
    assert (row["position"], row["fx_mid"]) == (first, D("1450.5") if is_late else 1440)
    assert position["funding_krw"] == 2 * (D("1450.5") if is_late else D(1440))
    assert position["status"] == ("closed" if is_late else "open")
    if is_late:
        closed = account.engine.memory.ledger.ended[first]
        (trade,) = account.rows(Table.TRADES)
        assert (
            trade["pnl_krw"]
            == position["pnl_krw"]
            == closed.krw.total
            == account.engine.memory.ledger.totals.realised_krw
        )
    account.tell()
    assert is_rounding(account.state())


def test_funding_of_no_position_is_retained_income_and_none_counts_twice() -> None:
    account = opened()
    account.fund(D(3), account.wall_ns)
    account.paid(D(3), account.wall_ns, f"i{account.number}")
    account.fill("b", Side.SELL, D("0.1"), D(103_000))
    account.paid(D(3), account.wall_ns, f"i{account.number - 1}")
    account.tell()

    assert len(account.rows(Table.FUNDING)) == 1
    assert account.rows(Table.FUNDING)[0]["position"] is None
    assert account.engine.memory.ledger.totals.realised_usdt == 3
    assert is_rounding(account.state())


def test_exposure_to_usdt_is_published_and_an_entry_beyond_its_limit_is_refused_by_name() -> None:
    exchange = started(fresh(), max_fx_exposure_usdt=D(500))
    exchange.run(3, cheap(70))
    assert not exchange.submitted
    assert "max_fx_exposure" in {lane.refusal.partition("|")[2] for lane in exchange.engine.memory.lanes.values()}

    exchange = started(fresh(), max_fx_exposure_usdt=D(6_000))
    exchange.run(3, cheap(70))
    (row,) = exchange.rows(Table.POSITIONS)
    shown = [
        dict(effect.values)["fx_exposure_usdt"]
        for step in exchange.effects
        for effect in step
        if isinstance(effect, Publish) and effect.topic == "portfolio"
    ]
    assert shown[0] == 0
    assert shown[-1] == row["qty_b"] * row["entry_price_b"]
