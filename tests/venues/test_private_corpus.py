"""Published private frames are understood; nothing is collected where the corpus is absent."""

import json

import pytest

from arb.venues import load_venue
from arb.venues.spec import Fault
from tests.venues.private import CORPUS, KEYS, NOW_NS

EVENTS = {
    "binance_spot": (
        *("executionReport", "outboundAccountPosition", "balanceUpdate", "eventStreamTerminated", "listStatus"),
        "externalLockUpdate",
    ),
    "binance_usdm": (
        *("ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE", "TRADE_LITE"),
        "listenKeyExpired",
    ),
    "upbit": ("myOrder", "myAsset"),
}
FILES = (
    *("binance_docs_spot", "binance_connector_spot", "binance_connector_usdm", "nautilus_binance", "jkorf_binance"),
    *("gocryptotrader_binance", "ccxt_comments_binance", "ccxt_comments_upbit", "upbit_docs_examples"),
)


def kind_of(raw: str) -> str | None:
    """The event's name, wherever the envelope keeps it."""
    try:
        frame = json.loads(raw)
    except ValueError:
        return None
    for part in (frame, *(frame.get(key) for key in ("event", "data"))) if isinstance(frame, dict) else ():
        if isinstance(part, dict) and isinstance(name := part.get("e", part.get("type")), str):
            return name
    return None


def frames(venue: str) -> list[str]:
    """Raw private frames of a venue."""
    lines = (line for name in FILES for line in (CORPUS / f"{name}.jsonl").read_text("utf-8").split("\n") if line)
    texts = [json.loads(line)["raw"] for line in lines]
    return [text for text in texts if kind_of(text) in EVENTS[venue]]


if CORPUS.exists():

    @pytest.mark.parametrize("venue", EVENTS)
    def test_published_frames_are_understood(venue):
        half = load_venue(venue).account
        assert half is not None
        stream = half.account(KEYS, ())

        found = frames(venue)

        assert len(found) >= 4
        for text in found:
            details = [fact.detail for fact in stream.receive(text.encode(), NOW_NS) if isinstance(fact, Fault)]
            assert all("hedge mode" in detail for detail in details), (details, text)
