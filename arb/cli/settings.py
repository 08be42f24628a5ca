"""TOML, environment and command line become one frozen `Settings`; every fault is told at once.

Owns: precedence (file < `ARB__SECTION__KEY` < `--set` < flags, then `[mock]` in mock mode), interpolation and the
origin of every value.
Never: prints a secret; accepts a key nobody reads.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from arb.cli.schema import Mode, Settings
from arb.cli.structure import MISSING, structure
from arb.domain.errors import ConfigError
from arb.domain.fx import FxHedge
from arb.domain.pair import Direction
from arb.strategy import load_strategy

Tree = dict[str, Any]
Path_ = tuple[str, ...]

ENV_PREFIX: Final = "ARB__"
FX_TICK_BPS: Final = 1e4 / 1_400
"""One tick (1 KRW) of KRW-USDT near its usual price."""
_INTERPOLATION: Final = re.compile(r"\$\{(?:(file):([^}]+)|([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?)\}")
_MOCK_KEYS: Final = frozenset(
    {
        "fair_bps",
        "fair_window_s",
        "fair_min_samples",
        "confirm_ms",
        "min_hold_s",
        "cooldown_s",
        "max_hold_s",
        "expected_hold_s",
        "interval",
        "interval_s",
        "startup_grace_s",
        "sample_interval_sec",
        "silent_after_ms",
        "initial",
        "max",
        "metrics_port",
        "data_dir",
    }
)
"""What `[mock]` may change: timers, the fair level and places; never a limit or a threshold of profit."""


@attrs.frozen(kw_only=True)
class Loaded:
    """Settings and where each value came from."""

    settings: Settings
    origins: Mapping[Path_, str]
    """`file`, `ARB__…`, `--set`, a flag, `[mock]`; a key that is missing here has its default."""
    path: Path
    mock_keys: tuple[str, ...]
    """Dotted keys that `[mock]` changed."""


def load_settings(
    path: Path, *, overrides: Sequence[str] = (), flags: Mapping[str, object] | None = None, environ: Mapping[str, str]
) -> Loaded:
    """Read and check a configuration.

    Raises:
        ConfigError: one sentence per fault, each naming file, key, legal range and the nearest known key.
    """
    tree = _read(path)
    faults: list[str] = []
    tree = _interpolated(tree, environ, faults, ())
    origins: dict[Path_, str] = dict.fromkeys(_leaves(tree), "file")
    for name, text in sorted(environ.items()):
        if name.startswith(ENV_PREFIX) and len(name) > len(ENV_PREFIX):
            where = tuple(part.lower() for part in name[len(ENV_PREFIX) :].split("__"))
            _put(tree, where, text if _is_secret(where) else _literal(text), name, origins, faults)
    for item in overrides:
        key, equals, text = item.partition("=")
        where = tuple(key.strip().split("."))
        if not equals:
            faults.append(f"--set {key}: write section.key=value")
        elif _is_secret(where):
            faults.append(
                f"--set {key}: a command line is for everybody to read; write ${{NAME}} or ${{file:PATH}} into the file"
            )
        else:
            _put(tree, where, _literal(text), "--set", origins, faults)
    for key, value in (flags or {}).items():
        if value is not None:
            _put(tree, tuple(key.split(".")), value, f"--{key.replace('_', '-').rpartition('.')[2]}", origins, faults)
    mock_keys = _apply_mock(tree, origins, faults)
    settings = _structured(tree, faults)
    if faults or settings is None:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return Loaded(settings=settings, origins=origins, path=path, mock_keys=mock_keys)


def strategy_params(settings: Settings, pair_name: str) -> Any:
    """The parameters of a pair's strategy: `[strategy.NAME]` with the pair's own `params.*` on top.

    Raises:
        ConfigError: they are not legal.
    """
    pair = next(pair for pair in settings.pairs if pair.name == pair_name)
    values = {**settings.strategy.get(pair.strategy, {}), **pair.params}
    return structure(values, load_strategy(pair.strategy).params_class, f"strategy.{pair.strategy} (pair {pair.name})")


def _read(path: Path) -> Tree:
    try:
        with path.open("rb") as file:
            return tomllib.load(file, parse_float=Decimal)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; name a configuration such as config/live.toml") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _interpolated(value: Any, environ: Mapping[str, str], faults: list[str], where: Path_) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(item, environ, faults, (*where, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, environ, faults, (*where, str(index))) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            try:
                return Path(match[2]).read_text(encoding="utf-8").strip()
            except OSError as error:
                faults.append(f"{_dotted(where)}: the file {match[2]} cannot be read: {error.strerror}")
                return ""
        found: str | None = environ.get(match[3], match[4])
        if found is None:
            faults.append(
                f"{_dotted(where)}: the environment variable {match[3]} is not set; "
                f"set it or write ${{{match[3]}:-default}}"
            )
        return found or ""

    text = _INTERPOLATION.sub(replace, value)
    return _literal(text) if _INTERPOLATION.fullmatch(value) and not _is_secret(where) else text


def _is_secret(where: Path_) -> bool:
    return where[-1:] in (("key",), ("secret",))


def _literal(text: str) -> Any:
    """A value as TOML would read it; whatever is not TOML is a string."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: Any, where: Path_, value: Any, origin: str, origins: dict[Path_, str], faults: list[str]) -> None:
    node = tree
    for index, part in enumerate(where[:-1]):
        if isinstance(node, list):
            child = next((item for item in node if isinstance(item, dict) and item.get("name") == part), None)
            if child is None:
                faults.append(
                    f"{origin} {_dotted(where)}: there is no entry named {part!r} in {_dotted(where[:index])}"
                )
                return
        else:
            child = node.setdefault(part, {}) if isinstance(node, dict) else node
        if not isinstance(child, dict | list):
            faults.append(f"{origin} {_dotted(where)}: {_dotted(where[: index + 1])} is a value, not a section")
            return
        node = child
    if not isinstance(node, dict):
        faults.append(f"{origin} {_dotted(where)}: name an entry of the list first")
        return
    node[where[-1]] = value
    origins[where] = origin


def _apply_mock(tree: Tree, origins: dict[Path_, str], faults: list[str]) -> tuple[str, ...]:
    overlay = tree.get("mock", {})
    changed: list[str] = []
    for leaf in _leaves(overlay) if isinstance(overlay, dict) else ():
        if leaf[-1] not in _MOCK_KEYS:
            faults.append(
                f"mock.{_dotted(leaf)}: [mock] may change timers and the fair level only, never a limit or a threshold"
            )
        elif tree.get("mode") == Mode.MOCK.value and not origins.get(leaf, "file").startswith(("ARB__", "--")):
            value = overlay
            for part in leaf:
                value = value[part]
            _put(tree, leaf, value, "[mock]", origins, faults)
            changed.append(_dotted(leaf))
    return tuple(changed)


def _leaves(tree: Any, prefix: Path_ = ()) -> tuple[Path_, ...]:
    if isinstance(tree, dict):
        return tuple(leaf for key, item in tree.items() for leaf in _leaves(item, (*prefix, str(key))))
    if isinstance(tree, list) and tree and all(isinstance(item, dict) for item in tree):
        return tuple(
            leaf for index, item in enumerate(tree) for leaf in _leaves(item, (*prefix, str(item.get("name", index))))
        )
    return (prefix,)


def _dotted(where: Path_) -> str:
    return ".".join(where)


def _structured(tree: Tree, faults: list[str]) -> Settings | None:
    try:
        settings: Settings = structure(tree, Settings)
    except ConfigError as error:
        faults.extend(str(error).splitlines())
        return None
    faults.extend(_cross_checks(settings))
    return settings


def _cross_checks(settings: Settings) -> list[str]:
    faults: list[str] = []
    names = [pair.name for pair in settings.pairs]
    if not names:
        faults.append("pairs: there is no [[pairs]] entry; add one")
    faults.extend(
        f"pairs: the name {name!r} is used twice" for name in sorted({name for name in names if names.count(name) > 1})
    )
    if settings.fx.executable.value == "static" and settings.fx.executable_rate is None:
        faults.append('fx.executable_rate: missing; fx.executable = "static" needs it')
    if settings.fx.bank.value == "static" and settings.fx.bank_rate is None:
        faults.append('fx.bank_rate: missing; fx.bank = "static" needs it')
    if settings.fx.hedge is FxHedge.PER_TRADE and any(pair.kind.value == "spot_perp" for pair in settings.pairs):
        faults.append('fx.hedge: "per_trade" needs a third order, which nothing here sends; write "treasury" or "none"')
    if settings.sim.market.value == "recorded" and settings.sim.data is None:
        faults.append('sim.data: missing; sim.market = "recorded" needs a data set')
    traded = {getattr(pair, side).partition(":")[0] for pair in settings.pairs for side in ("a", "b")}
    faults.extend(
        f"paper.holdings: {one.venue!r} trades no pair; one of {', '.join(sorted(traded))}"
        for one in settings.paper.holdings
        if one.venue not in traded
    )
    faults.extend(
        f"venues.{name}.maintenance: until is not after from"
        for name, section in settings.venues.items()
        if any(window.until <= window.begin for window in section.maintenance)
    )
    faults.extend(_strategy_checks(settings))
    for pair in settings.pairs:
        faults.extend(_pair_checks(settings, pair.name))
    return faults or _inventory_checks(settings)


def _strategy_checks(settings: Settings) -> list[str]:
    """Every `[strategy.NAME]` is one that exists and its keys are legal, whether or not a pair trades by it."""
    faults: list[str] = []
    for name, values in settings.strategy.items():
        if any(pair.strategy == name for pair in settings.pairs):
            continue
        try:
            structure(values, load_strategy(name).params_class, f"strategy.{name}")
        except ConfigError as error:
            faults.extend(line for line in str(error).splitlines() if not line.endswith(MISSING))
    return faults


def _inventory_checks(settings: Settings) -> list[str]:
    """A pair that trades what is held needs both directions, and its coins for itself."""
    faults: list[str] = []
    for pair in settings.pairs:
        if not load_strategy(pair.strategy).params_class.trades_inventory:
            continue
        if len(set(pair.directions)) < len(Direction):
            faults.append(f"pairs.{pair.name}.directions: {pair.strategy} trades both ways, or no balance comes back")
        others = (other for other in settings.pairs if other is not pair)
        for other in (other for other in others if {pair.a, pair.b} & {other.a, other.b}):
            shared = ", ".join(sorted({pair.a, pair.b} & {other.a, other.b}))
            faults.append(
                f"pairs.{pair.name}: {shared} is also traded by the pair {other.name}, "
                f"whose coins {pair.strategy} would sell; leave it to one of the two"
            )
    return faults


def _pair_checks(settings: Settings, name: str) -> list[str]:
    pair = next(pair for pair in settings.pairs if pair.name == name)
    faults: list[str] = []
    for side in ("a", "b"):
        if ":" not in getattr(pair, side):
            faults.append(
                f"pairs.{name}.{side}: {getattr(pair, side)!r} is not venue:INSTRUMENT, such as upbit:KRW-BTC"
            )
    try:
        params = strategy_params(settings, name)
    except ConfigError as error:
        return [*faults, *str(error).splitlines()]
    strategy = load_strategy(pair.strategy)
    fees_bps = float(
        settings.fees.upbit_krw_bps
        + (
            settings.fees.binance_usdm_taker_bps
            if pair.kind.value == "spot_perp"
            else settings.fees.binance_spot_taker_bps
        )
    )
    problems = strategy.problems(params, round_trip_cost_bps=2 * fees_bps, fx_tick_bps=FX_TICK_BPS)
    faults.extend(f"pairs.{name}: {problem}" for problem in problems)
    return faults
