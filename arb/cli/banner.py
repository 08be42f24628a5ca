"""The first lines of a run: mode, venues, limits, fees, FX.

Owns: which facts a person is told before the first connection.
Never: states what is not known yet; measured fees and the age of FX come with the run.
"""

from __future__ import annotations

from arb.cli.assembly import Assembly
from arb.cli.schema import Mode
from arb.cli.settings import Loaded

_MODES = {
    Mode.MOCK: "mock: simulated venues in this process, nothing real",
    Mode.PAPER: "paper: real market data, fills modelled here, no orders leave",
    Mode.SHADOW: "shadow: real market data, orders written out and filled here, none leaves",
    Mode.LIVE: "live: real orders with real money, once armed",
}


def banner_facts(loaded: Loaded, parts: Assembly) -> list[tuple[str, str]]:
    """One fact per line, known before the first connection."""
    settings = loaded.settings
    risk, fees = settings.risk, settings.fees
    limits = (
        f"position {risk.max_position_krw:,.0f} KRW, pair {risk.max_pair_krw:,.0f}, total {risk.max_total_krw:,.0f}; "
        f"daily loss {risk.daily_loss_krw:,.0f}, drawdown {risk.max_drawdown_krw:,.0f}"
    )
    charged = (
        f"Upbit {fees.upbit_krw_bps:g} bps, Binance futures {fees.binance_usdm_taker_bps:g}, "
        f"spot {fees.binance_spot_taker_bps:g}, until the venues report theirs"
    )
    converted = (
        f"executable: {settings.fx.executable.value} KRW-USDT, at most {settings.fx.max_age_ms:,} ms old; "
        f"bank: {settings.fx.bank.value}"
    )
    facts = [
        ("arb", f"{parts.around.build}, run {parts.around.run_id}"),
        ("mode", _MODES[settings.mode]),
        ("pairs", ", ".join(f"{pair.name} ({pair.a} / {pair.b})" for pair in settings.pairs)),
        (
            "data",
            f"books over {settings.data_source.value}; tables as {settings.storage.backend.value} in {parts.data.root}",
        ),
        ("limits", limits),
        ("fees", charged),
        ("FX", converted),
        ("times", "KST (UTC+9) on this screen; tables are in UTC, log files in this machine's own time"),
    ]
    facts += _real_orders(settings.mode, parts.missing)
    if loaded.mock_keys:
        facts.append(("mock only", ", ".join(loaded.mock_keys)))
    return facts


def _real_orders(mode: Mode, missing: tuple[str, ...]) -> list[tuple[str, str]]:
    """What keeps real orders from leaving, one per line; nothing where none was asked for."""
    if mode is Mode.LIVE:
        return [("real orders", "none before the books agree with the venues; then this says armed or what is missing")]
    return [("not armed" if index == 0 else "", word) for index, word in enumerate(missing)]
