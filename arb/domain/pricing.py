"""The limit price of an order: from the walk, the collar, the tick and the band.

Owns: the one rule by which both sizing and execution price a limit order.
Never: decides whether to trade.
Units: prices Decimal in the instrument's quote; collar in bps.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from arb.domain.instrument import Instrument
from arb.domain.money import EXACT
from arb.domain.order import Side

_BPS = Decimal("1e-4")


class LimitPrice(NamedTuple):
    """A legal price, and whether it still reaches the level that was walked."""

    price: Decimal
    reaches: bool
    """False: the venue's band clipped it short of the walk (`price_band`)."""


def limit_price(
    instrument: Instrument, side: Side, last_price: Decimal, collar_bps: Decimal, reference: Decimal
) -> LimitPrice:
    """`last_price` ± collar, rounded towards the market to the tick, clipped to the band around `reference`.

    Towards the market means never paying more than the collar allows: a buy is rounded down, a sell up.
    """
    with_collar = EXACT.multiply(last_price, 1 + side.sign * collar_bps * _BPS)
    ticks = instrument.ticks
    if side is Side.BUY:
        price = ticks.floor(with_collar)
        if instrument.band_up is not None:
            price = min(price, ticks.floor(EXACT.multiply(reference, instrument.band_up)))
        return LimitPrice(price, price >= last_price)
    price = ticks.ceil(with_collar)
    if instrument.band_down is not None:
        price = max(price, ticks.ceil(EXACT.multiply(reference, instrument.band_down)))
    return LimitPrice(price, price <= last_price)


def tick_bps(instrument: Instrument, price: Decimal) -> float:
    """The price step at `price`, in bps of it."""
    return float(instrument.ticks.tick_at(price) / price) * 1e4
