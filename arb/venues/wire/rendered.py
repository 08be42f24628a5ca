"""Orders written out as their venue would receive them, and not sent.

Owns: the log line `order_rendered`: the request of the real codec, with everything blanked that only a key can make.
Never: opens a connection, or needs a key: what a key adds to a request is blanked anyway, so a placeholder signs it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from arb.domain.effects import Cancel, Query, QueryAccount
from arb.domain.ids import InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder
from arb.ports import HeldOrder, OrderGateway, Synced
from arb.venues.spec import AccountSpec, Credentials, HttpRequest, OrderCodec, Stamp

log = logging.getLogger("arb.orders")

PLACEHOLDER: Final = Credentials(key="placeholder", secret="placeholder")
BLANK: Final = "***"
_PLAIN_HEADERS: Final = frozenset({"content-type", "accept"})
_SIGNATURE: Final = re.compile(r"(?<=signature=)[^&]*")


@attrs.frozen(kw_only=True)
class RenderedGateway:
    """An `OrderGateway` that logs each order and each cancel as a request, then hands it on to the one behind it."""

    venue: VenueId
    behind: OrderGateway
    codec: OrderCodec
    instruments: Mapping[InstrumentId, Instrument]
    stamp: Callable[[], Stamp]

    def prepare(self, order: ApprovedOrder, seq: int) -> HeldOrder:
        """Render at its release, and hand on."""
        held = self.behind.prepare(order, seq)

        def go(word: Synced) -> None:
            self._log_order(order)
            held.release(word)

        return HeldOrder(order, seq, go=go, drop=held.withdraw)

    def cancel_nowait(self, cancel: Cancel) -> None:
        """Render and hand on."""
        self._log(cancel.client_order_id, self.codec.cancel(cancel, self.stamp()))
        self.behind.cancel_nowait(cancel)

    def query_nowait(self, query: Query) -> None:
        """Hand on."""
        self.behind.query_nowait(query)

    def query_account_nowait(self, query: QueryAccount) -> None:
        """Hand on."""
        self.behind.query_account_nowait(query)

    def _log_order(self, order: ApprovedOrder) -> None:
        request = order.request
        self._log(request.client_order_id, self.codec.submit(order, self.instruments[request.instrument], self.stamp()))

    def _log(self, client_order_id: str, request: HttpRequest) -> None:
        fields = {"venue": self.venue, "client_order_id": client_order_id, "request": request_text(request)}
        log.info("order_rendered", extra=fields)


def rendered(
    behind: OrderGateway,
    venue: VenueId,
    account: AccountSpec,
    instruments: Mapping[InstrumentId, Instrument],
    stamp: Callable[[], Stamp],
) -> RenderedGateway:
    """`behind`, with every order of `venue` rendered by the venue's own codec."""
    codec = account.orders(PLACEHOLDER)
    return RenderedGateway(venue=venue, behind=behind, codec=codec, instruments=instruments, stamp=stamp)


def request_text(request: HttpRequest) -> str:
    """One line: method and target, headers, body; signatures, keys and tokens blanked."""
    parts = [f"{request.method} {_SIGNATURE.sub(BLANK, request.target)}"]
    parts += [f"{name}: {value if name.lower() in _PLAIN_HEADERS else BLANK}" for name, value in request.headers]
    if request.body:
        parts.append(_SIGNATURE.sub(BLANK, request.body.decode(errors="replace")))
    return " | ".join(parts)
