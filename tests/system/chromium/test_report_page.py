"""The report's page in a real browser: it fits, it reads in light and dark, and it asks for nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from arb.cli.main import main
from tests.scenario.whole import CONFIG, run_whole

PROBE = """<script>
const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = text => {
  const [r, g, b] = rgb(text).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const paper = node => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const shown = [...document.querySelectorAll("p,h1,h2,th,td,b,span,figcaption")].filter(n => n.textContent.trim());
const texts = [...document.querySelectorAll("svg text")];
const boxes = texts.map(n => [n, n.getBoundingClientRect()]);
const touching = boxes.flatMap(([one, a], i) => boxes.slice(i + 1)
  .filter(([other, b]) => one.ownerSVGElement === other.ownerSVGElement &&
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
  .map(([other]) => one.textContent + " / " + other.textContent));
const found = {
  overflow: document.documentElement.scrollWidth - innerWidth,
  resources: performance.getEntriesByType("resource").map(entry => entry.name),
  plots: [...document.querySelectorAll("svg")].map(n => n.getBoundingClientRect().height),
  touching,
  numbers: [...new Set([...document.querySelectorAll("td.n")].map(n => getComputedStyle(n).textAlign))],
  faint: Math.min(...shown.map(n => contrast(getComputedStyle(n).color, paper(n))),
                  ...texts.map(n => contrast(getComputedStyle(n).fill, paper(n)))),
  isDark: light(getComputedStyle(document.body).backgroundColor) < 0.2,
};
document.body.setAttribute("data-found", JSON.stringify(found));
</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a short run, with a script added that measures it from inside."""
    folder = tmp_path_factory.mktemp("page")
    whole = run_whole(folder / "data", seconds=60.0)
    path = folder / "report.html"
    assert main(["report", str(CONFIG), "--set", f"data_dir={whole.data.root}", "--html", str(path)]) == 0
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    return path


def measured(page: Path, width: int, *, is_dark: bool) -> dict[str, Any]:
    """What the probe says in a window of a width."""
    words = [
        "chromium", "--headless", "--disable-gpu", "--dump-dom", f"--window-size={width},1200",
        f"--user-data-dir={page.parent / 'browser'}", *(["--force-dark-mode"] if is_dark else []),
        *(["--no-sandbox"] if os.geteuid() == 0 else []), page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match is not None
    found: dict[str, Any] = json.loads(unescape(match[1]))
    return found


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 520])
def test_the_page_reads_at_any_width_in_light_and_dark(page: Path, width: int, is_dark: bool) -> None:
    found = measured(page, width, is_dark=is_dark)

    assert found["isDark"] is is_dark
    assert found["resources"] == []
    assert found["overflow"] <= 0
    assert len(found["plots"]) == 4
    assert min(found["plots"]) > 100
    assert found["touching"] == []
    assert found["numbers"] == ["right"]
    assert found["faint"] >= 4.5
