"""The identity of the whole account, on numbers made by hand (any history: tests/engine/test_accounting.py)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from arb.domain.ids import AssetId, VenueId
from arb.state.account import AccountBook, AccountState, KeyMark, Sighting, Valued, key_of, valued_at
from arb.storage.codec import decode_value, encode_value

D = Decimal
KRW, USDT = AssetId("KRW"), AssetId("USDT")
COIN, BNB = "upbit/BTC", "binance_usdm/BNB"
MARKS = {"KRW": KeyMark(D(1), KRW), "USDT": KeyMark(D(1), USDT), COIN: KeyMark(D(100_000_000), KRW)}


def sight(krw: str = "1000", usdt: str = "10", coin: str = "0", **changes: Any) -> Sighting:
    """Everything told, nothing done."""
    found = Sighting(
        told={"KRW": D(krw), "USDT": D(usdt), COIN: D(coin)}, own={}, marks=dict(MARKS), fx_mid=D(1500),
        pairs=Valued(), residual=Valued(),
    )  # fmt: skip
    return attrs.evolve(found, **changes)


def entered(book: AccountBook, found: Sighting) -> AccountBook:
    """The book with what is told as its opening."""
    book.enter(found.told, found.own, 5)
    book.price(found.marks, found.fx_mid)
    return book


def opened() -> AccountBook:
    return entered(AccountBook(), sight())


def shown(found: AccountState) -> dict[str, Decimal]:
    """The parts in KRW that are not zero."""
    parts = {name: getattr(found, name).krw for name in attrs.asdict(found, recurse=False) if name != "fx_mid"}
    return {name: value for name, value in parts.items() if value}


def test_cash_is_one_sum_and_a_coin_belongs_to_its_venue() -> None:
    assert key_of(VenueId("upbit"), USDT) == key_of(VenueId("binance_spot"), USDT) == "USDT"
    assert key_of(VenueId("upbit"), AssetId("BTC")) == COIN


def test_an_amount_has_a_value_in_both_currencies() -> None:
    assert valued_at(D(3000), KRW, D(1500)) == Valued(D(3000), D(2))
    assert valued_at(D(2), USDT, D(1500)) == Valued(D(3000), D(2))


def test_at_the_opening_everything_is_opening() -> None:
    assert not AccountBook().is_open
    book = opened()

    assert book.is_open
    assert shown(book.reckon(sight())) == {"equity": D(16_000), "opening": D(16_000)}


def test_a_move_of_fx_is_the_treasurys_in_each_currency() -> None:
    found = opened().reckon(sight(fx_mid=D(1600)))

    assert shown(found) == {"equity": D(17_000), "opening": D(16_000), "treasury": D(1_000)}
    assert found.treasury.usdt == found.equity.usdt - found.opening.usdt
    assert not found.unexplained.usdt


def test_what_is_told_and_not_known_is_unexplained() -> None:
    found = opened().reckon(sight(usdt="12"))

    assert (found.unexplained, found.transfers) == (Valued(D(3000), D(2)), Valued(D(0), D(0)))


def test_a_transfer_counts_at_its_moment_and_belongs_to_the_treasury_from_then_on() -> None:
    book = opened()
    book.transfer("USDT", D(2), D(1500))

    found = book.reckon(sight(usdt="12", fx_mid=D(1600)))

    assert shown(found) == {
        "equity": D(20_200), "opening": D(16_000), "treasury": D(1_200), "transfers": D(3_000),
    }  # fmt: skip


def test_a_transfer_before_the_opening_is_in_it() -> None:
    book = AccountBook()
    book.transfer("USDT", D(2), D(1500))
    entered(book, sight(usdt="12"))

    assert shown(book.reckon(sight(usdt="12"))) == {"equity": D(19_000), "opening": D(19_000)}


def test_what_was_booked_before_the_opening_is_in_it() -> None:
    assert not AccountBook().is_before_opening(0)
    book = entered(opened(), sight(usdt="12"))

    assert book.opened_wall_ns == 5
    assert book.is_before_opening(4)
    assert not book.is_before_opening(5)


def test_a_coin_that_nothing_prices_counts_on_neither_side_until_something_does() -> None:
    book = AccountBook()
    with_bnb = sight()
    with_bnb.told[BNB] = D(3)
    entered(book, with_bnb)
    assert shown(book.reckon(with_bnb))["equity"] == D(16_000)

    book.price_first(BNB, KeyMark(D(600), USDT), D(1500))
    book.move(BNB, D(-1))
    book.move("USDT", D(600))
    paid = sight(marks=MARKS | {BNB: KeyMark(D(600), USDT)}, own={"USDT": D(-600)})
    paid.told[BNB] = D(2)

    found = book.reckon(attrs.evolve(paid, pairs=Valued(D(-900_000), D(-600))))
    assert shown(found) == {"equity": D(1_816_000), "opening": D(2_716_000), "pairs": D(-900_000)}


def test_what_pairs_left_behind_moves_with_fx_and_says_so() -> None:
    book = opened()
    book.retain(D(-3000), D(4), D(1500))
    earned = sight(krw="-2000", usdt="14", own={"KRW": D(-3000), "USDT": D(4)}, pairs=Valued(D(3000), D(2)))

    assert shown(book.reckon(earned)) == {"equity": D(19_000), "opening": D(16_000), "pairs": D(3_000)}
    later = book.reckon(attrs.evolve(earned, fx_mid=D(1600)))
    assert later.fx_retained.krw == 400
    assert later.fx_retained.usdt == D("0.125")
    assert abs(later.unexplained.krw) <= D("1e-7")
    assert abs(later.unexplained.usdt) <= D("1e-7")


def test_accepting_makes_the_unexplained_a_transfer() -> None:
    book = opened()
    book.accept(sight(krw="990", coin="0.5"))

    found = book.reckon(sight(krw="990", coin="0.5"))

    assert (found.unexplained.krw, found.transfers.krw) == (D(0), D(49_999_990))


def test_it_survives_being_written_and_read_back() -> None:
    book = opened()
    book.transfer("USDT", D(2), D(1500))
    book.gained("a", D(5))
    book.gained("b", D(1))

    assert decode_value(encode_value(book), AccountBook) == book
