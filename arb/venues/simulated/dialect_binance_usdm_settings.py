"""Binance USD-M futures' account settings, server side: leverage, margin, position and asset mode.

Owns: which path sets what, and how each refusal is worded.
Never: checks signatures or budgets (the dialect did).
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated.auth_binance import BinanceFault, missing
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect_binance_found import Found, Sent
from arb.venues.simulated.dialect_binance_orders import fault_of
from arb.venues.simulated.facts import RefusalReason, Refused

DONE = {"code": 200, "msg": "success"}


def leverage(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST leverage"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    wanted = sent.get("leverage", "")
    refused = (
        desk.exchange.set_leverage(desk.account, instrument.id, int(wanted))
        if wanted.isdigit()
        else Refused(RefusalReason.BAD_LEVERAGE)
    )
    if refused is not None and refused.reason is not RefusalReason.NO_CHANGE:
        return fault_of(refused, is_future=True)
    return binance.answer({"leverage": int(wanted), "maxNotionalValue": "230000000", "symbol": instrument.symbol})


def margin_type(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST marginType"""
    instrument = binance.find(desk.instruments, sent)
    if isinstance(instrument, BinanceFault):
        return instrument
    if sent.get("marginType") not in ("ISOLATED", "CROSSED"):
        return missing("marginType")
    refused = desk.exchange.set_isolated(desk.account, instrument.id, sent["marginType"] == "ISOLATED")
    return binance.answer(DONE) if refused is None else fault_of(refused, is_future=True)


def position_mode(desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    """GET positionSide/dual"""
    return binance.answer({"dualSidePosition": desk.exchange.is_dual(desk.account)})


DUAL_FAULTS = {
    RefusalReason.NO_CHANGE: BinanceFault(400, -4059, "No need to change position side."),
    RefusalReason.HAS_OPEN_ORDERS: BinanceFault(
        400, -4067, "Position side cannot be changed if there exists open orders."
    ),
    RefusalReason.HAS_POSITION: BinanceFault(400, -4068, "Position side cannot be changed if there exists position."),
}


def set_position_mode(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST positionSide/dual"""
    refused = desk.exchange.set_dual(desk.account, sent.get("dualSidePosition", "").lower() == "true")
    return (
        binance.answer(DONE) if refused is None else DUAL_FAULTS.get(refused.reason, fault_of(refused, is_future=True))
    )


def multi_assets(desk: Desk, _sent: Sent, _now_ns: int) -> Found:
    """GET multiAssetsMargin"""
    return binance.answer({"multiAssetsMargin": desk.exchange.is_multi_asset(desk.account)})


MULTI_ASSET_FAULTS = {
    RefusalReason.NO_CHANGE: BinanceFault(400, -4171, "No need to change Multi-Assets mode."),
    RefusalReason.HAS_OPEN_ORDERS: BinanceFault(
        400, -4170, "Unable to adjust Multi-Assets Mode when there are open orders."
    ),
    RefusalReason.MULTI_ASSET: BinanceFault(
        400, -4167, "Unable to adjust to Multi-Assets mode with symbols under isolated-margin mode."
    ),
}


def set_multi_assets(desk: Desk, sent: Sent, _now_ns: int) -> Found:
    """POST multiAssetsMargin"""
    refused = desk.exchange.set_multi_asset(desk.account, sent.get("multiAssetsMargin", "").lower() == "true")
    if refused is None:
        return binance.answer(DONE)
    return MULTI_ASSET_FAULTS.get(refused.reason, fault_of(refused, is_future=True))


SETTINGS: dict[tuple[str, str], Callable[[Desk, Sent, int], Found]] = {
    ("POST", "/fapi/v1/leverage"): leverage,
    ("POST", "/fapi/v1/marginType"): margin_type,
    ("GET", "/fapi/v1/positionSide/dual"): position_mode,
    ("POST", "/fapi/v1/positionSide/dual"): set_position_mode,
    ("GET", "/fapi/v1/multiAssetsMargin"): multi_assets,
    ("POST", "/fapi/v1/multiAssetsMargin"): set_multi_assets,
}
