"""Upbit's Exchange API, server side: accounts, orders, cancels and queries of one account.

Owns: which path asks for what, and how a list is selected.
Never: checks tokens or budgets (the dialect did) or waits: an answer that takes time is a `Later`.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from arb.domain.instrument import InstrumentStatus
from arb.domain.order import OrderState, Side
from arb.venues.simulated import dialect_upbit_private as private
from arb.venues.simulated.auth_upbit import json_fields
from arb.venues.simulated.desk import Desk, Pending
from arb.venues.simulated.dialect import Ask, HttpAnswer, Later
from arb.venues.simulated.dialect_upbit_public import ENCODER, KST, Row
from arb.venues.simulated.facts import ZERO, NewOrder, OrderView, Refused
from arb.venues.simulated.models import FaultKind

Sent = Mapping[str, list[str]]
NOT_FOUND = private.UpbitFault(404, "order_not_found", "주문을 찾지 못했습니다.")
INVALID = private.UpbitFault(400, "invalid_parameter", "잘못된 파라미터")


def body_answer(body: object, status: int = 200) -> HttpAnswer:
    """A JSON answer."""
    return HttpAnswer(status=status, body=ENCODER.encode(body))


def fault_answer(fault: private.UpbitFault) -> HttpAnswer:
    """An error of the Exchange API."""
    return body_answer({"error": {"name": fault.name, "message": fault.message}}, fault.status)


def query_of(ask: Ask) -> dict[str, list[str]]:
    """The query by name; `name[]` repeats are joined under the bare name."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(ask.query, keep_blank_values=True):
        found.setdefault(name.removesuffix("[]"), []).append(value)
    return found


def first(sent: Sent, name: str) -> str:
    """The first value of a parameter; empty: not sent."""
    return sent[name][0] if sent.get(name) else ""


def many(sent: Sent, name: str) -> list[str]:
    """All values of a parameter that may be repeated or be a comma list."""
    return [one for value in sent.get(name, ()) for one in value.split(",") if one]


# --- reads ----------------------------------------------------------------------------------------


def accounts(desk: Desk, _ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/accounts"""
    return body_answer([_account_row(desk, str(one.asset)) for one in desk.balances()])


def _account_row(desk: Desk, asset: str) -> Row:
    held = {str(one.asset): one for one in desk.balances()}.get(asset)
    return {
        "currency": asset,
        "balance": f"{held.free:f}" if held else "0",
        "locked": f"{held.locked:f}" if held else "0",
        "avg_buy_price": "0",
        "avg_buy_price_modified": False,
        "unit_currency": "KRW",
    }


def chance(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/orders/chance"""
    instrument = desk.instruments.get(first(query_of(ask), "market"))
    if instrument is None:
        return fault_answer(private.UpbitFault(404, "notfoundmarket", "마켓을 찾을 수 없습니다."))
    base, quote, fees = str(instrument.base), str(instrument.quote), desk.model.fees
    kinds = ["limit", "best_ioc", "best_fok", "limit_ioc", "limit_fok"]
    total = f"{instrument.min_notional:f}"
    market = {
        "id": instrument.symbol,
        "name": f"{base}/{quote}",
        "order_types": ["limit"],
        "order_sides": ["ask", "bid"],
        "bid_types": [*kinds, "price"],
        "ask_types": [*kinds, "market"],
        "bid": {"currency": quote, "min_total": total},
        "ask": {"currency": base, "min_total": total},
        "max_total": f"{instrument.max_notional or private.MAX_KRW:f}",
        "state": "active" if instrument.status is InstrumentStatus.TRADING else "preview",
    }
    return body_answer({
        "bid_fee": f"{fees.taker_rate:f}",
        "ask_fee": f"{fees.taker_rate:f}",
        "maker_bid_fee": f"{fees.maker_rate:f}",
        "maker_ask_fee": f"{fees.maker_rate:f}",
        "market": market,
        "bid_account": _account_row(desk, quote),
        "ask_account": _account_row(desk, base),
    })  # fmt: skip


def _selected(desk: Desk, sent: Sent) -> OrderView | None:
    uuid, name = first(sent, "uuid"), first(sent, "identifier")
    number = private.order_id_of(uuid) if uuid else None
    return desk.order(number) if uuid else desk.order_named(name) if name else None


def order(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/order"""
    sent = query_of(ask)
    if not first(sent, "uuid") and not first(sent, "identifier"):
        return fault_answer(INVALID)
    view = _selected(desk, sent)
    if view is None:
        return fault_answer(NOT_FOUND)
    return body_answer({**private.order_row(view), "trades": private.trade_rows(view, desk.executions(view.order_id))})


def orders_by_ids(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/orders/uuids"""
    sent = query_of(ask)
    if bool(sent.get("uuids")) == bool(sent.get("identifiers")):
        return fault_answer(INVALID)
    return body_answer([private.order_row(view) for view in _by_ids(desk, sent)])


def _by_ids(desk: Desk, sent: Sent) -> list[OrderView]:
    by_uuid = [desk.order(private.order_id_of(uuid) or 0) for uuid in many(sent, "uuids")]
    by_name = [desk.order_named(name) for name in many(sent, "identifiers")]
    return [view for view in (*by_uuid, *by_name) if view is not None]


def open_orders(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/orders/open"""
    sent = query_of(ask)
    states = many(sent, "states") + many(sent, "state") or ["wait"]
    rows = _paged([view for view in desk.orders() if private.state_name(view) == "wait" and "wait" in states], sent)
    return body_answer(rows)


def closed_orders(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/orders/closed"""
    sent = query_of(ask)
    states = many(sent, "states") + many(sent, "state") or ["done", "cancel"]
    since_ns, until_ns = _time_ns(first(sent, "start_time")), _time_ns(first(sent, "end_time"))
    closed = [
        view
        for view in desk.orders()
        if private.state_name(view) in states
        and (since_ns is None or view.created_ns >= since_ns)
        and (until_ns is None or view.created_ns <= until_ns)
    ]
    return body_answer(_paged(closed, sent))


def _time_ns(text: str) -> int | None:
    """Milliseconds are read; anything else bounds nothing."""
    return int(text) * 1_000_000 if text.isdigit() else None


def _paged(views: list[OrderView], sent: Sent) -> list[Row]:
    market, limit, page = first(sent, "market"), first(sent, "limit"), first(sent, "page")
    chosen = [view for view in views if not market or view.order.instrument.partition(":")[2] == market]
    if first(sent, "order_by") != "asc":
        chosen.reverse()
    size = min(int(limit), 1_000) if limit.isdigit() and int(limit) else 100
    start = (int(page) - 1) * size if page.isdigit() and int(page) else 0
    return [private.order_row(view) for view in chosen[start : start + size]]


def wallets(desk: Desk, _ask: Ask, now_ns: int) -> HttpAnswer:
    """GET /v1/status/wallet"""
    updated = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).isoformat(timespec="milliseconds")
    assets = sorted({str(one) for each in desk.instruments.values() for one in (each.base, each.quote)})
    is_closed = any(desk.is_faulty(kind, now_ns) for kind in (FaultKind.MAINTENANCE, FaultKind.WALLET_CLOSED))
    state = "paused" if is_closed else "working"
    return body_answer([
        {"currency": asset, "wallet_state": state, "block_state": "normal", "block_height": now_ns // 600_000_000_000,
         "block_updated_at": updated, "block_elapsed_minutes": 1, "net_type": asset, "network_name": asset}
        for asset in assets if asset != "KRW"
    ])  # fmt: skip


def api_keys(desk: Desk, _ask: Ask, now_ns: int) -> HttpAnswer:
    """GET /v1/api_keys"""
    expires = datetime.fromtimestamp(now_ns // 1_000_000_000 + 31_536_000, KST).isoformat()
    return body_answer([{"access_key": desk.key, "expire_at": expires}])


def deposits(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/deposits"""
    return _moved(desk, ask, "deposit", "ACCEPTED")


def withdrawals(desk: Desk, ask: Ask, _now_ns: int) -> HttpAnswer:
    """GET /v1/withdraws"""
    return _moved(desk, ask, "withdraw", "DONE")


def _moved(desk: Desk, ask: Ask, kind: str, state: str) -> HttpAnswer:
    """Newest first; a withdrawal's amount is told without its fee."""
    limit = first(query_of(ask), "limit")
    wanted = [one for one in desk.transfers(0) if (one.amount > 0) is (kind == "deposit")][::-1]
    return body_answer([
        {"type": kind, "uuid": f"7a45fe70-0000-4000-8000-{one.transfer_id:012x}", "currency": str(one.asset),
         "net_type": str(one.asset), "txid": f"{one.transfer_id:064x}", "state": state,
         "created_at": (at := datetime.fromtimestamp(one.at_ns // 1_000_000 / 1e3, KST).isoformat()), "done_at": at,
         "amount": f"{abs(one.amount) - (0 if kind == 'deposit' else one.fee):f}", "fee": f"{one.fee:f}",
         "transaction_type": "default"}
        for one in wanted[: min(int(limit), 100) if limit.isdigit() else 100]
    ])  # fmt: skip


# --- orders ---------------------------------------------------------------------------------------


def place(desk: Desk, ask: Ask, now_ns: int) -> HttpAnswer | Later:
    """POST /v1/orders"""
    parsed = private.parse_order(json_fields(ask.body) or {}, desk.instruments)
    return (
        fault_answer(parsed)
        if isinstance(parsed, private.UpbitFault)
        else _placing(desk, parsed, now_ns, lambda view: private.order_row(view))
    )


def _placing(desk: Desk, new: NewOrder, now_ns: int, row: Callable[[OrderView], Row]) -> Later:
    pending = desk.submit(new, now_ns)
    return Later(pending.ready_ns, lambda: _placed(pending, new, row))


def _placed(pending: Pending, new: NewOrder, row: Callable[[OrderView], Row]) -> HttpAnswer | None:
    outcome = pending.outcome()
    if outcome is None:
        return None
    if isinstance(outcome, Refused):
        return fault_answer(private.fault_of(outcome, new.side, _paying(new)))
    return body_answer(row(outcome), 201)


def _paying(new: NewOrder) -> str:
    quote, _, base = new.instrument.partition(":")[2].partition("-")
    return quote if new.side is Side.BUY else base


def test_order(desk: Desk, ask: Ask, now_ns: int) -> HttpAnswer:
    """POST /v1/orders/test"""
    parsed = private.parse_order(json_fields(ask.body) or {}, desk.instruments)
    if isinstance(parsed, private.UpbitFault):
        return fault_answer(parsed)
    verdict = desk.trial(parsed, now_ns)
    if isinstance(verdict, Refused):
        return fault_answer(private.fault_of(verdict, parsed.side, _paying(parsed)))
    return body_answer({**private.order_row(verdict), "uuid": private.order_uuid(0)}, 201)


def cancel(desk: Desk, ask: Ask, now_ns: int) -> HttpAnswer | Later:
    """DELETE /v1/order: accepted, not completed; the body still shows the order as it was."""
    view = _selected(desk, query_of(ask))
    if view is None or view.state is not OrderState.OPEN:
        return fault_answer(NOT_FOUND)
    return _cancelling(desk, view, now_ns, lambda: body_answer(private.order_row(view)))


def _cancelling(desk: Desk, view: OrderView, now_ns: int, done: Callable[[], HttpAnswer]) -> Later:
    pending = desk.cancel(view.order_id, now_ns)

    def resolve() -> HttpAnswer | None:
        outcome = pending.outcome()
        if isinstance(outcome, Refused):
            return fault_answer(private.fault_of(outcome, view.order.side, ""))
        return None if outcome is None else done()

    return Later(pending.ready_ns, resolve)


def cancel_by_ids(desk: Desk, ask: Ask, now_ns: int) -> HttpAnswer | Later:
    """DELETE /v1/orders/uuids"""
    sent = query_of(ask)
    if (
        bool(sent.get("uuids")) == bool(sent.get("identifiers"))
        or len(many(sent, "uuids") + many(sent, "identifiers")) > 20
    ):
        return fault_answer(INVALID)
    return _cancel_many(desk, _by_ids(desk, sent), now_ns)


def cancel_open(desk: Desk, ask: Ask, now_ns: int) -> HttpAnswer | Later:
    """DELETE /v1/orders/open"""
    sent = query_of(ask)
    sides = {"ask": (Side.SELL,), "bid": (Side.BUY,)}.get(first(sent, "cancel_side"), (Side.BUY, Side.SELL))
    pairs, quotes, excluded = many(sent, "pairs"), many(sent, "quote_currencies"), many(sent, "excluded_pairs")
    if pairs and quotes:
        return fault_answer(INVALID)
    views = [
        view
        for view in desk.orders()
        if view.state is OrderState.OPEN
        and view.order.side in sides
        and (symbol := view.order.instrument.partition(":")[2]) not in excluded
        and (not pairs or symbol in pairs)
        and (not quotes or symbol.partition("-")[0] in quotes)
    ]
    if first(sent, "order_by") != "asc":
        views.reverse()
    count = first(sent, "count")
    return _cancel_many(desk, views[: min(int(count) if count.isdigit() else 20, 300)], now_ns)


def _cancel_many(desk: Desk, views: list[OrderView], now_ns: int) -> HttpAnswer | Later:
    pendings = [(view, desk.cancel(view.order_id, now_ns)) for view in views]
    if not pendings:
        return body_answer({"success": {"count": 0, "orders": []}, "failed": {"count": 0, "orders": []}})

    def resolve() -> HttpAnswer:
        parts: dict[bool, list[Row]] = {True: [], False: []}
        for view, pending in pendings:
            row = private.order_row(view)
            brief: Row = {name: row[name] for name in ("uuid", "market", "identifier") if name in row}
            parts[isinstance(pending.outcome(), OrderView)].append(brief)
        return body_answer(
            {
                name: {"count": len(parts[good]), "orders": parts[good]}
                for name, good in (("success", True), ("failed", False))
            }
        )

    return Later(max(pending.ready_ns for _, pending in pendings), resolve)


def cancel_and_new(desk: Desk, ask: Ask, now_ns: int) -> HttpAnswer | Later:
    """POST /v1/orders/cancel_and_new: the new order has the side and market of the old one."""
    fields = json_fields(ask.body) or {}
    sent = {
        "uuid": [str(fields.get("prev_order_uuid") or "")],
        "identifier": [str(fields.get("prev_order_identifier") or "")],
    }
    view = _selected(desk, sent)
    if view is None or view.state is not OrderState.OPEN:
        return fault_answer(NOT_FOUND)
    wanted = {name.removeprefix("new_"): value for name, value in fields.items() if name.startswith("new_")}
    if wanted.get("volume") == "remain_only":
        wanted["volume"] = f"{view.remaining_qty or ZERO:f}"
    side = "bid" if view.order.side is Side.BUY else "ask"
    parsed = private.parse_order(
        {**wanted, "market": view.order.instrument.partition(":")[2], "side": side}, desk.instruments
    )
    if isinstance(parsed, private.UpbitFault):
        return fault_answer(parsed)
    cancelled = desk.cancel(view.order_id, now_ns)
    placed = desk.submit(parsed, now_ns)

    def resolve() -> HttpAnswer | None:
        gone, made = cancelled.outcome(), placed.outcome()
        if gone is None or made is None:
            return None
        refused = gone if isinstance(gone, Refused) else made if isinstance(made, Refused) else None
        if refused is not None:
            return fault_answer(private.fault_of(refused, view.order.side, _paying(parsed)))
        names: Row = {"new_order_uuid": private.order_uuid(made.order_id)} if isinstance(made, OrderView) else {}
        return body_answer({**private.order_row(view), **names, "new_order_identifier": parsed.client_order_id}, 201)

    return Later(max(cancelled.ready_ns, placed.ready_ns), resolve)


Route = Callable[[Desk, Ask, int], HttpAnswer | Later]
ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/v1/accounts"): accounts,
    ("GET", "/v1/orders/chance"): chance,
    ("GET", "/v1/order"): order,
    ("GET", "/v1/orders/uuids"): orders_by_ids,
    ("GET", "/v1/orders/open"): open_orders,
    ("GET", "/v1/orders/closed"): closed_orders,
    ("GET", "/v1/status/wallet"): wallets,
    ("GET", "/v1/api_keys"): api_keys,
    ("GET", "/v1/deposits"): deposits,
    ("GET", "/v1/withdraws"): withdrawals,
    ("POST", "/v1/orders"): place,
    ("POST", "/v1/orders/test"): test_order,
    ("POST", "/v1/orders/cancel_and_new"): cancel_and_new,
    ("DELETE", "/v1/order"): cancel,
    ("DELETE", "/v1/orders/uuids"): cancel_by_ids,
    ("DELETE", "/v1/orders/open"): cancel_open,
}
GROUPS = {
    ("POST", "/v1/orders"): "order",
    ("POST", "/v1/orders/cancel_and_new"): "order",
    ("POST", "/v1/orders/test"): "order-test",
    ("DELETE", "/v1/orders/open"): "order-cancel-all",
}
"""Budget of each path; all others take from `default`."""
