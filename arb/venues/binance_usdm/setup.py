"""How a USD-M account must be before it trades: single-asset, one-way, isolated margin, the wished leverage.

Owns: the settings, their order and their read-back, and the position row that holds two of them.
Never: takes "already so" or a success for the fact: the read-back decides.
Units: amounts Decimal from text.

Multi-asset mode excludes isolated margin, so single-asset mode comes first.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError, VenueUnavailable
from arb.domain.instrument import Instrument
from arb.venues.answers import decoded
from arb.venues.binance_errors import read_error
from arb.venues.binance_orders import WEIGHT_BUCKET
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.binance_usdm.errors import ALREADY_SO, judge
from arb.venues.exact import check_amounts
from arb.venues.refusals import require_success, worded
from arb.venues.spec import HttpRequest, HttpResponse, Stamp

_MULTI_ASSET_PATH: Final = "/fapi/v1/multiAssetsMargin"
_MODE_PATH: Final = "/fapi/v1/positionSide/dual"
_SETTINGS: Final = ("single-asset mode", "one-way mode", "isolated margin", "leverage")
SETUP_COUNT: Final = 7
"""Four settings and three reads."""


class UsdmPositionBody(msgspec.Struct, rename="camel"):
    """One row of GET /fapi/v2/positionRisk."""

    symbol: str
    position_amt: Decimal
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal
    leverage: Decimal
    margin_type: str
    position_side: str = "BOTH"

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmAssetModeBody(msgspec.Struct, rename="camel"):
    """GET /fapi/v1/multiAssetsMargin."""

    multi_assets_margin: bool


class UsdmModeBody(msgspec.Struct, rename="camel"):
    """GET /fapi/v1/positionSide/dual."""

    dual_side_position: bool


POSITIONS: Final = msgspec.json.Decoder(list[UsdmPositionBody])
_ASSET_MODE: Final = msgspec.json.Decoder(UsdmAssetModeBody)
_MODE: Final = msgspec.json.Decoder(UsdmModeBody)


def setup_requests(
    signer: BinanceSigner, instrument: Instrument, leverage: int, stamps: tuple[Stamp, ...]
) -> tuple[HttpRequest, ...]:
    """Four settings, then the two modes and the position that read them back."""
    named = f"symbol={encoded(instrument.symbol)}"
    wishes = (
        ("POST", _MULTI_ASSET_PATH, "multiAssetsMargin=false", 1),
        ("POST", _MODE_PATH, "dualSidePosition=false", 1),
        ("POST", "/fapi/v1/marginType", f"{named}&marginType=ISOLATED", 1),
        ("POST", "/fapi/v1/leverage", f"{named}&leverage={leverage}", 1),
        ("GET", _MULTI_ASSET_PATH, "", 30),
        ("GET", _MODE_PATH, "", 30),
        ("GET", "/fapi/v2/positionRisk", named, 5),
    )
    return tuple(
        signer.signed(method, path, query, stamp, bucket=WEIGHT_BUCKET, weight=weight)
        for (method, path, query, weight), stamp in zip(wishes, stamps, strict=True)
    )


def setup_problem(instrument: Instrument, leverage: int, answers: tuple[HttpResponse, ...]) -> str | None:
    """The first setting that was refused, else the first that does not read back as wished."""
    count = len(_SETTINGS)
    for name, answer in zip(_SETTINGS, answers[:count], strict=True):
        if answer.status != 200 and read_error("binance_usdm", answer)[0] not in ALREADY_SO:
            return f"{name} was refused: {worded(*judge(answer))}"
    try:
        return _mode_problem(*answers[count : count + 2]) or _position_problem(instrument, leverage, answers[-1])
    except (ProtocolError, VenueUnavailable) as error:
        return f"the settings cannot be read back: {error.detail}"


def _mode_problem(asset_mode: HttpResponse, mode: HttpResponse) -> str | None:
    require_success("binance_usdm", judge, asset_mode)
    require_success("binance_usdm", judge, mode)
    if decoded("binance_usdm", asset_mode.body, _ASSET_MODE).multi_assets_margin:
        return "the account is in multi-asset mode"
    return "the account is in hedge mode" if decoded("binance_usdm", mode.body, _MODE).dual_side_position else None


def _position_problem(instrument: Instrument, leverage: int, position: HttpResponse) -> str | None:
    require_success("binance_usdm", judge, position)
    rows = decoded("binance_usdm", position.body, POSITIONS)
    row = next((row for row in rows if row.symbol == instrument.symbol and row.position_side == "BOTH"), None)
    if row is None:
        return "the venue does not tell the margin type"
    if row.margin_type != "isolated":
        return f"margin is {row.margin_type}, not isolated"
    return None if row.leverage == leverage else f"leverage is {row.leverage}, not {leverage}"
