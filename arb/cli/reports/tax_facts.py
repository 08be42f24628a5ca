"""What happened to each asset, for a tax return: acquisitions and disposals of coins, contracts apart.

Theory.
1. On a KRW market a buy acquires the coin and a sell disposes of it.
2. On a USDT market a buy also disposes of the USDT it pays with, a sell also acquires the USDT it receives, each at the
   FX mid stored with the fill. A fee in a third asset disposes of that asset.
3. Fees are costs: of an acquisition they raise the cost, of a disposal they stand beside the proceeds.
4. A perpetual is no coin. What it realises, its fees and its funding are listed apart; the USDT they bring are acquired
   at the FX mid, the USDT they take are spent at their average cost, without a disposal.
5. A transfer between own wallets is no disposal: an average is one average over all wallets. Only its fee is spent.

Owns: this translation of fills, funding and transfers.
Never: guesses a missing FX mid: what cannot be valued has no value.
Units: KRW exact; quantities positive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

import attrs

from arb.cli.reports.averages import Change, Movement
from arb.cli.reports.executions import KRW, USDT, ZERO, Execution, FundingReceipt, in_krw
from arb.cli.reports.sheets import Row, moment, number
from arb.domain.money import EXACT, booked


@attrs.frozen(kw_only=True)
class ContractLine:
    """What one execution or settlement of a perpetual brought; funding has no side."""

    at: datetime
    venue: str
    symbol: str
    kind: str
    """`buy`, `sell` or `funding`."""
    trade_id: str
    qty: Decimal | None
    price: Decimal | None
    realised_usdt: Decimal
    """Against the average price of the contract position; funding: its amount."""
    fee_usdt: Decimal
    fx_mid: Decimal | None

    @property
    def realised_krw(self) -> Decimal | None:
        """At the FX mid stored with it; None: it is missing."""
        return in_krw(self.realised_usdt, USDT, self.fx_mid)

    @property
    def fee_krw(self) -> Decimal | None:
        """At the FX mid stored with it; None: it is missing."""
        return in_krw(self.fee_usdt, USDT, self.fx_mid)


@attrs.frozen(kw_only=True)
class TransferLine:
    """A deposit or withdrawal: no disposal."""

    at: datetime | None
    venue: str
    asset: str
    direction: str
    qty: Decimal
    fee: Decimal | None
    network: str


def spot_movements(fill: Execution) -> Iterator[Movement]:
    """What a spot execution did to each asset it touched."""
    is_quote_fee, is_base_fee = fill.fee_currency == fill.quote, fill.fee_currency == fill.base
    fee_krw = _fee_krw(fill)
    value_krw = fill.value_krw
    qty = abs(fill.kept_qty)
    if fill.is_buy:
        cost = value_krw if is_base_fee else _both(value_krw, fee_krw)
        yield _moved(fill, fill.base, Change.ACQUIRED, qty, cost, "bought")
    else:
        yield _moved(fill, fill.base, Change.DISPOSED, qty, value_krw, "sold", ZERO if is_base_fee else fee_krw)
    if fill.quote != KRW:
        fee = fill.fee if is_quote_fee else ZERO
        paid = EXACT.add(fill.value, fee if fill.is_buy else -fee)
        krw = in_krw(paid, fill.quote, fill.fx_mid)
        change, reason = (Change.DISPOSED, "paid with") if fill.is_buy else (Change.ACQUIRED, "received")
        yield _moved(fill, fill.quote, change, paid, krw, reason)
    if fill.fee and not is_quote_fee and not is_base_fee and fill.fee_currency != KRW:
        yield _moved(fill, fill.fee_currency, Change.DISPOSED, fill.fee, fee_krw, "fee")


def contract_lines(fills: Iterable[Execution], receipts: Iterable[FundingReceipt]) -> list[ContractLine]:
    """Everything that perpetuals brought, in order of time."""
    held: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    lines = []
    for fill in fills:
        key = (fill.venue, fill.symbol)
        realised, held[key] = _closed(held.get(key, (ZERO, ZERO)), fill)
        lines.append(
            ContractLine(
                at=fill.at, venue=fill.venue, symbol=fill.symbol, kind="buy" if fill.is_buy else "sell",
                trade_id=fill.trade_id, qty=fill.qty, price=fill.price, realised_usdt=realised,
                fee_usdt=-fill.fee_paid.usdt, fx_mid=fill.fx_mid,
            )
        )  # fmt: skip
    for receipt in receipts:
        lines.append(
            ContractLine(
                at=receipt.at, venue=receipt.venue, symbol=receipt.instrument, kind="funding", trade_id="", qty=None,
                price=None, realised_usdt=receipt.amount, fee_usdt=ZERO, fx_mid=receipt.fx_mid,
            )
        )  # fmt: skip
    return sorted(lines, key=lambda line: line.at)


def contract_movements(fills: Iterable[Execution], lines: Iterable[ContractLine]) -> Iterator[Movement]:
    """What perpetuals did to the USDT held, and their fees in other assets to those."""
    foreign = {(fill.venue, fill.trade_id): fill for fill in fills if fill.fee and fill.fee_currency != USDT}
    for line in lines:
        fill = foreign.get((line.venue, line.trade_id)) if line.trade_id else None
        if fill is not None:
            yield _moved(fill, fill.fee_currency, Change.DISPOSED, fill.fee, fill.fee_krw, "fee")
        amount = EXACT.subtract(line.realised_usdt, ZERO if fill is not None else line.fee_usdt)
        if amount:
            yield Movement(
                asset=USDT, at=line.at, change=Change.ACQUIRED if amount > 0 else Change.SPENT, qty=abs(amount),
                krw=in_krw(amount, USDT, line.fx_mid) if amount > 0 else None, venue=line.venue, symbol=line.symbol,
                trade_id=line.trade_id, reason="funding" if line.kind == "funding" else "contract",
            )  # fmt: skip


def transfer_of(row: Row) -> TransferLine:
    """A row of `transfers.csv`."""
    return TransferLine(
        at=moment(row, "time"), venue=row["venue"], asset=row["asset"], direction=row["direction"],
        qty=number(row, "amount") or ZERO, fee=number(row, "fee"), network=row["network"],
    )  # fmt: skip


def transfer_movements(lines: Iterable[TransferLine]) -> Iterator[Movement]:
    """The fees of withdrawals, which are gone."""
    for line in lines:
        if line.fee and line.asset != KRW and line.at is not None:
            yield Movement(
                asset=line.asset, at=line.at, change=Change.SPENT, qty=line.fee, krw=None, venue=line.venue,
                reason="transfer fee",
            )  # fmt: skip


def _closed(held: tuple[Decimal, Decimal], fill: Execution) -> tuple[Decimal, tuple[Decimal, Decimal]]:
    """What a contract execution realises, and the signed quantity and value at entry after it."""
    qty, worth = held
    change = EXACT.multiply(fill.sign, fill.qty)
    if not qty or (qty > 0) is (change > 0):
        return ZERO, (EXACT.add(qty, change), EXACT.add(worth, EXACT.multiply(change, fill.price)))
    ended = min(abs(qty), abs(change)) * (1 if qty > 0 else -1)
    share = worth if ended == qty else booked(EXACT.divide(EXACT.multiply(worth, ended), qty))
    realised = EXACT.subtract(EXACT.multiply(ended, fill.price), share)
    turned = EXACT.add(change, ended)
    rest = EXACT.add(EXACT.subtract(worth, share), EXACT.multiply(turned, fill.price))
    return realised, (EXACT.add(qty, change), rest)


def _moved(
    fill: Execution,
    asset: str,
    change: Change,
    qty: Decimal,
    krw: Decimal | None,
    reason: str,
    fee_krw: Decimal | None = ZERO,
) -> Movement:
    return Movement(
        asset=asset, at=fill.at, change=change, qty=qty, krw=krw, fee_krw=fee_krw, venue=fill.venue,
        symbol=fill.symbol, trade_id=fill.trade_id, reason=reason,
    )  # fmt: skip


def _fee_krw(fill: Execution) -> Decimal | None:
    """The fee in KRW, by its own currency where that suffices."""
    if not fill.fee:
        return ZERO
    return in_krw(fill.fee, fill.fee_currency, fill.fx_mid) if fill.fee_currency in (KRW, USDT) else fill.fee_krw


def _both(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return EXACT.add(one, other) if one is not None and other is not None else None
