"""What tests and soaks ask of a simulated venue, beside its own protocol: its ledger, faults from now on, transfers.

Owns: `GET {rest}/sim/ledger`, `POST {rest}/sim/faults`, `POST {rest}/sim/deposit`.
Never: is part of any venue's protocol; it answers whatever faults are on.
Units: amounts as decimal texts; `for` in seconds.

`{"kind":"http_5xx","for":3.5,"target":null}` begins at once; what `kind` may be is `FaultKind`.
`{"asset":"KRW","amount":"1000000","fee":"0"}` arrives; a negative amount leaves, its fee included.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import attrs
import msgspec

from arb.domain.ids import AssetId
from arb.venues.answers import UNREADABLE
from arb.venues.exact import check_amounts
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Ask, HttpAnswer
from arb.venues.simulated.ledger import ledger_of
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.simulated.weather import Weather
from arb.venues.simulated.world import World

PREFIX = "/sim/"
_SOON_S = 1e-6
"""A fault that is asked for begins after everything that has already happened."""


class WantedFault(msgspec.Struct, forbid_unknown_fields=True):
    """A fault from now on."""

    kind: FaultKind
    duration_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = msgspec.field(name="for", default=0.0)
    target: str | None = None


class WantedTransfer(msgspec.Struct, forbid_unknown_fields=True):
    """A deposit, or a withdrawal when negative."""

    asset: str
    amount: Decimal
    fee: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_amounts(self)


_FAULT = msgspec.json.Decoder(WantedFault)
_TRANSFER = msgspec.json.Decoder(WantedTransfer)
_ENCODER = msgspec.json.Encoder(decimal_format="string")


@attrs.define(eq=False)
class SimControl:
    """The way behind the counter of one venue."""

    world: World
    weather: Weather
    venue: str
    desk: Desk | None = None
    """None: the venue has no accounts."""

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | None:
        """The answer; None: the venue itself is asked."""
        if not ask.path.startswith(PREFIX):
            return None
        try:
            match ask.method, ask.path.removeprefix(PREFIX):
                case "GET", "ledger" if self.desk is not None:
                    return _answer(ledger_of(self.desk))
                case "POST", "faults":
                    return self._begin(_FAULT.decode(ask.body), now_ns)
                case "POST", "deposit" if self.desk is not None:
                    return self._move(self.desk, _TRANSFER.decode(ask.body), now_ns)
        except UNREADABLE as error:
            return _answer({"error": str(error)}, 400)
        return _answer({"error": f"{ask.method} {ask.path}: there is no such thing"}, 404)

    def _begin(self, wanted: WantedFault, now_ns: int) -> HttpAnswer:
        at_s = (max(now_ns, self.world.now_ns) - self.world.plan.start_ns) / 1e9 + _SOON_S
        script = FaultScript(
            at_s=at_s,
            venue=self.weather.venue,
            kind=wanted.kind,
            duration_s=wanted.duration_s,
            target=wanted.target,
        )
        self.weather.add(script)
        self.world.add_fault(script)
        return _answer({"venue": self.venue, "kind": wanted.kind.value, "at": at_s, "for": wanted.duration_s})

    def _move(self, desk: Desk, wanted: WantedTransfer, now_ns: int) -> HttpAnswer:
        moved = desk.exchange.transfer(desk.account, AssetId(wanted.asset), wanted.amount, now_ns, fee=wanted.fee)
        held = desk.balance(wanted.asset)
        return _answer({"transfer_id": moved.transfer_id, "amount": moved.amount, "free": held.free})


def _answer(body: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status=status, body=_ENCODER.encode(body))
