"""`arb report` over the tables that a run in mock wrote: it agrees with the fills to the last digit."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Context, Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from arb.cli.main import main
from arb.venues.simulated.market import MarketPlan
from tests.scenario.whole import CONFIG, Whole, run_whole

EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN)
STEP = Decimal("1e-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A minute and a half of trading with an outage in it."""
    return run_whole(tmp_path_factory.mktemp("data"), seconds=90.0, faults=[(40.0, "upbit", "disconnect", 4.0)])


def asked(run: Whole, *words: str) -> int:
    return main(["report", str(CONFIG), "--set", f"data_dir={run.data.root}", *words])


def sums(run: Whole) -> dict[str, dict[str, Decimal]]:
    """KRW and USDT that each position moved, from fills and funding alone."""
    found: dict[str, dict[str, Decimal]] = defaultdict(lambda: {"KRW": Decimal(0), "USDT": Decimal(0)})
    for row in run.rows("fills"):
        sign = -1 if row["side"] == "buy" else 1
        moved = found[row["position"]]
        moved[row["quote_currency"]] += sign * Decimal(row["qty"]) * Decimal(row["price"])
        moved[row["fee_currency"]] -= Decimal(row["fee"])
    for row in run.rows("funding"):
        found[row["position"]][row["currency"]] += Decimal(row["amount"])
    return found


def test_totals_are_the_sums_of_the_fills_exactly(run: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    code = asked(run, "--json")
    report = json.loads(capsys.readouterr().out, parse_float=Decimal)
    moved, fills = sums(run), run.rows("fills")
    closed = [row for row in run.rows("positions") if row["status"] == "closed"]
    expected = Decimal(0)
    for row in closed:
        money = moved[row["id"]]
        total = EXACT.add(money["KRW"], EXACT.multiply(money["USDT"], Decimal(row["fx_close"])))
        expected += total.quantize(STEP, context=EXACT)

    assert code == 0
    assert len(closed) > 5
    assert {row["fee_currency"] for row in fills} == {"KRW", "USDT"}
    assert report["total"]["trades"] == len(closed)
    assert Decimal(report["total"]["krw"]["total"]) == expected
    for line in (report["total"], *report["days"], *report["pairs"]):
        for currency in ("krw", "usdt"):
            parts = {name: Decimal(text) for name, text in line[currency].items()}
            assert sum(parts.values()) == 2 * parts["total"]
    for name in ("days", "pairs"):
        assert sum(Decimal(line["krw"]["total"]) for line in report[name]) == expected
        assert sum(Decimal(line["turnover_krw"]) for line in report[name]) == Decimal(report["total"]["turnover_krw"])


def test_the_engine_says_the_same_as_the_report(run: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    asked(run, "--json")
    report = json.loads(capsys.readouterr().out)
    totals = run.engine.memory.ledger.totals

    assert Decimal(report["total"]["krw"]["total"]) == totals.realised_krw
    assert Decimal(report["total"]["usdt"]["total"]) == totals.realised_usdt
    assert (report["total"]["trades"], report["total"]["wins"]) == (totals.trade_count, totals.win_count)


def test_the_rows_in_a_file_are_those_of_the_document(
    run: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    asked(run, "--json", "--csv", str(path))
    report = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))

    assert [row["total_usdt"] for row in rows] == [line["usdt"]["total"] for line in report["days"]]


def test_the_tax_year_holds_every_fill_once(run: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(run, "--tax", "2026", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    spot = [row for row in run.rows("fills") if row["kind"] == "spot"]
    sold = sum(Decimal(row["qty"]) * Decimal(row["price"]) for row in spot if row["side"] == "sell")
    coins = [line for line in found["assets"] if line["asset"] != "USDT"]

    assert sum(Decimal(line["proceeds_krw"]) for line in coins) == sold
    for line in coins:
        sides: dict[str, Decimal] = defaultdict(Decimal)
        for row in spot:
            if row["symbol"] == f"KRW-{line['asset']}":
                sides[row["side"]] += Decimal(row["qty"])
        assert Decimal(line["closing_moving"]["qty"]) == sides["buy"] - sides["sell"]
    contracts = [row for row in run.rows("fills") if row["kind"] == "perpetual"]
    trades = [row for row in found["perpetuals"]["rows"] if row["kind"] != "funding"]
    assert [row["trade_id"] for row in trades] == [row["trade_id"] for row in contracts]
    assert sum(Decimal(row["fee_usdt"]) for row in trades) == sum(Decimal(row["fee"]) for row in contracts)
    assert any("year-end: no balances" in text for text in found["missing"])


def test_loops_of_inventory_add_with_what_they_leave_over_and_caught(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fees in the coin leave crumbs on both legs that later loops take along."""
    config = CONFIG.with_name("inventory.toml")
    run = run_whole(tmp_path, seconds=32.0, market=MarketPlan(fair_bps=-31.0), config=config)
    code = main(["report", str(config), "--set", f"data_dir={tmp_path}", "--json"])
    report = json.loads(capsys.readouterr().out)
    residuals = run.engine.memory.ledger.residuals

    assert code == 0
    assert report["faults"] == []
    assert Decimal(report["total"]["usdt"]["total"]) == run.engine.memory.ledger.totals.realised_usdt
    assert report["total"]["trades"] > 2
    assert {row["fee_currency"] for row in run.rows("fills")} == {"KRW", "USDT", "BTC"}
    assert Decimal(report["total"]["captured_krw"]) == sum(Decimal(row["captured_krw"]) for row in run.rows("trades"))
    shown = {f"{item['pair']}/{item['leg']}": Decimal(item["qty"]) for item in report["left_over"]}
    assert shown == {key: item.qty for key, item in residuals.items()}


class _Links(HTMLParser):
    """Whatever could make a browser load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "base", "form"):
            self.found.append(tag)
        self.found += [
            name for name, _ in attrs if name in ("src", "href", "srcset", "action") or name.startswith("on")
        ]


def test_the_page_needs_nothing_else_and_shows_the_same_total(
    run: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"
    assert asked(run, "--html", str(path)) == 0
    text, links = path.read_text(encoding="utf-8"), _Links()
    links.feed(text)
    total = re.search(r"all +all +.* ([+-][\d,]+)\n", capsys.readouterr().out)

    assert links.found == []
    assert "url(" not in text
    assert text.count("<svg") == 4
    assert total is not None
    assert f"<b>{total[1]}</b>" in text


def test_the_screen_fits_a_reader(run: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(run, "--since", "2026-11-03") == 0
    said = capsys.readouterr().out

    for words in ("PnL, KRW", "PnL, USDT", "win rate", "turnover KRW", "Refusals"):
        assert words in said
    assert "ERROR" not in said


def test_a_row_that_does_not_add_makes_the_exit_code_1(
    run: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    for path in run.data.csv.glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    rows = run.rows("fills")
    kept = (folder / "fills.csv").read_text(encoding="utf-8").replace(rows[0]["trade_id"], "other", 1)
    lines = kept.splitlines(keepends=True)
    (folder / "fills.csv").write_text("".join(lines[:1] + lines[2:]), encoding="utf-8")

    code = main(["report", str(CONFIG), "--set", f"data_dir={tmp_path}"])

    assert code == 1
    assert f"ERROR: {rows[0]['position']}: fills and funding give" in capsys.readouterr().out


@pytest.fixture
def empty(tmp_path: Path) -> str:
    return f"data_dir={tmp_path}/nothing"


def test_without_tables_it_says_so_and_is_no_failure(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--tax", "2026")):
        assert main(["report", str(CONFIG), "--set", empty, *words]) == 0
        assert capsys.readouterr().out.startswith("no trades yet in ")
    assert main(["report", str(CONFIG), "--set", empty, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["trades"] == 0


def test_a_mode_without_tables_points_to_those_that_have_some(
    run: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shadow").symlink_to(run.data.root)
    for command in ("report", "why"):
        assert main([command, str(CONFIG), "--set", f"data_dir={tmp_path}/{{mode}}"]) == 0
        assert "there are tables of shadow: choose with --mode" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--since", "2026-11-04", "--until", "2026-11-03"), "exchange them"),
        (("--opening", "x.csv"), "--tax"),
        (("--tax", "2026", "--html", "x.html"), "--html"),
        (("--tax", "2026", "--opening", "/nowhere/x.csv"), "cannot be read"),
        (("--csv", "/nowhere/x.csv"), "cannot be written"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    empty: str, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(CONFIG), "--set", empty, *words]) == 2
    assert told in capsys.readouterr().err


def test_why_names_the_refusals_of_a_stopped_engine_and_the_closest(
    run: Whole, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["why", str(CONFIG), "--set", f"data_dir={run.data.root}"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    edge = min((row for row in rows if row["missed_bps"]), key=lambda row: row["missed_bps"])

    assert f"closest: {edge['pair']} {edge['direction']} {edge['best_net_bps']:.2f} bps" in said
    assert f"{edge['missed_bps']:.2f} bps short" in said
    assert main(["why", str(CONFIG), "--set", empty]) == 0
    assert "no refusals are recorded" in capsys.readouterr().out
