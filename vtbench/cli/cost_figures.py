"""What `cost` says of models that were counted: tables for a reader, objects for a program; needs no torch.

Every figure of arithmetic stands under the name of its convention, and the one asked for beside `full`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vtbench.cli.output import count, say, show_table
from vtbench.schema.convention import Convention, applicable, convention
from vtbench.schema.cost import ComponentCost, ModelCost

if TYPE_CHECKING:
    from vtbench.runner.measure import Measured, Speed

FULL = convention("full")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A counted model and how it is shown.

    Attributes:
        title: the model in words.
        cost: what was counted.
        convention: the one asked for.
        device: name of the device that times are for. device_limits: what it does at best, and who says so.
        seconds: shortest time of each component on it, for the whole batch.
    """

    title: str
    cost: ModelCost
    convention: Convention
    device: str
    device_limits: str
    seconds: Mapping[str, float]

    @property
    def total_seconds(self) -> float:
        """Shortest time of the components that make the model's own figure, one after the other."""
        return sum(self.seconds[part.name] for part in self.cost.components if part.in_total)

    @property
    def coverage(self) -> float | None:
        """This count over torch's own, of the component where the two differ most."""
        found = [part.coverage for part in self.cost.components if part.coverage is not None]
        return max(found, key=lambda value: abs(value - 1), default=None)

    def billions(self, kind: Convention, component: str | None = None) -> float:
        """Return a figure in 10^9."""
        return kind.figure(self.cost, component) / 1e9


def as_object(figures: Figures) -> dict[str, Any]:
    """Return everything as plain values; `gflops` and `components` are figures under `convention`, in 10^9."""
    cost, work = figures.cost, figures.cost.workload
    return {
        "model": cost.model,
        "kind": cost.kind,
        "convention": figures.convention.name,
        "gflops": figures.billions(figures.convention),
        "full_gflops": figures.billions(FULL),
        "components": {part.name: figures.billions(figures.convention, part.name) for part in cost.components},
        "in_total": [part.name for part in cost.components if part.in_total],
        "conventions": {name: figures.billions(kind) for name, kind in applicable(cost.kind).items()},
        "params": cost.num_parameters,
        "resolution": work.resolution,
        "num_tokens": work.num_tokens,
        "patch": work.patch,
        "batch_size": work.batch_size,
        "weight_bytes": cost.weight_bytes,
        "kv_cache_bytes": cost.kv_cache_bytes,
        "activation_bytes": cost.activation_bytes,
        "device": figures.device,
        "device_limits": figures.device_limits,
        "roofline_seconds": figures.total_seconds,
        "component_roofline_seconds": dict(figures.seconds),
        "tool": cost.tool,
        "coverage": figures.coverage,
        "notes": {part.name: part.note for part in cost.components if part.note},
    }


def show_model(figures: Figures) -> None:
    """Print one model: its components, then what else it costs."""
    cost, kinds = figures.cost, _conventions(figures)
    inside = [part for part in cost.components if part.in_total]
    outside = [part for part in cost.components if not part.in_total]
    headings = [_heading(kind) for kind in kinds]
    columns = ["component", *headings, "weights and cache read", f"at least, on {figures.device}"]
    rows = [_row(figures, part, kinds) for part in inside]
    moved = sum(part.moved_bytes for part in inside)
    total = [*_shown(figures, kinds), _bytes(moved), _time(figures.total_seconds)]
    rows.append([f"total ({' + '.join(part.name for part in inside)})", *total])
    rows += [_row(figures, part, kinds) for part in outside]
    show_table(_title(figures), columns, rows, numeric=columns[1:])
    for line in _lines(figures):
        say(line)
    say("")


def show_comparison(several: Sequence[Figures]) -> None:
    """Print models beside each other, with ratios to the first under each convention."""
    kinds = _conventions(several[0])
    first = {kind.name: several[0].billions(kind) for kind in kinds}
    columns = ["model", "resolution", "tokens", "parameters"]
    columns += [text for kind in kinds for text in (_heading(kind), f"ratio ({kind.name})")]
    rows = []
    for figures in several:
        work = figures.cost.workload
        row = [figures.cost.model, work.resolution, str(work.num_tokens), count(figures.cost.num_parameters)]
        for kind, shown in zip(kinds, _shown(figures, kinds), strict=True):
            row += [shown, f"{figures.billions(kind) / first[kind.name]:.3g}x"]
        rows.append(row)
    show_table(f"Beside each other; ratios to {several[0].cost.model}", columns, rows, numeric=columns[2:])


def _conventions(figures: Figures) -> list[Convention]:
    """Return the convention asked for and the honest one, once if they are the same."""
    return [figures.convention] if figures.convention is FULL else [figures.convention, FULL]


def _heading(kind: Convention) -> str:
    return f"G{kind.unit} ({kind.name})"


def _title(figures: Figures) -> str:
    work = figures.cost.workload
    parts = [work.resolution, f"{work.num_tokens} tokens"]
    parts += [f"patch {work.patch}"] if work.patch is not None else []
    parts += [f"{work.batch_size} image{'s' if work.batch_size > 1 else ''}"]
    return f"{figures.cost.model}: {figures.title}; {', '.join(parts)}"


def _row(figures: Figures, part: ComponentCost, kinds: Sequence[Convention]) -> list[str]:
    return [part.name, *_shown(figures, kinds, part.name), _bytes(part.moved_bytes), _time(figures.seconds[part.name])]


def _shown(figures: Figures, kinds: Sequence[Convention], component: str | None = None) -> list[str]:
    """Return a figure under each convention."""
    values = (figures.billions(kind, component) for kind in kinds)
    return [f"{value:,.{_decimals(value)}f}" for value in values]


def _lines(figures: Figures) -> list[str]:
    cost = figures.cost
    lines = [
        f"parameters {cost.num_parameters:,}; weights {_bytes(cost.weight_bytes)}"
        + (f"; KV cache {_bytes(cost.kv_cache_bytes)}" if cost.kv_cache_bytes is not None else "")
        + "".join(f"; activations in {name} {_bytes(size)}" for name, size in cost.activation_bytes.items())
        + "; all in bf16"
    ]
    lines += [f"{kind.name}: {kind.description}" for kind in _conventions(figures)]
    coverage = "" if figures.coverage is None else f"; this count over torch's own: {figures.coverage:.4f}"
    lines.append(f"counted by {cost.tool}{coverage}")
    lines.append(
        f"at least, on {figures.device}: the slower of arithmetic (full) and reading, at {figures.device_limits}"
    )
    lines += [f"{part.name}: {part.note}" for part in cost.components if part.note]
    return lines


def _decimals(value: float) -> int:
    """Return how many decimals of a figure in 10^9 are worth reading."""
    return 1 if value >= 10 else 2 if value >= 1 else 4 if value else 0


def _bytes(number: int) -> str:
    return f"{count(number)}B"


def _time(seconds: float) -> str:
    unit, scale = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("us", 1e6)
    return f"{seconds * scale:.3g} {unit}"


def show_speeds(measured: Measured) -> None:
    """Print what was measured, each kind of work in a table of its own."""
    columns = ["model", "median", "slowest", "fastest"]
    columns += ["ratio", "from", "to"] if len(measured.peak_bytes) > 1 else []
    for work, unit in dict.fromkeys((speed.work, speed.unit) for speed in measured.speeds):
        rows = [
            _speed_row(speed)[: len(columns)] for speed in measured.speeds if (speed.work, speed.unit) == (work, unit)
        ]
        show_table(f"{work}, {unit}", columns, rows, numeric=columns[1:])
    for name, peak in measured.peak_bytes.items():
        say(f"{name}: peak memory {'unknown' if peak is None else _bytes(peak)}, weights included")
    say(measured.how)


def speeds_object(measured: Measured, model: str) -> dict[str, Any]:
    """Return what was measured of one model as plain values: kind of work -> unit -> figures."""
    found: dict[str, Any] = {}
    for speed in measured.speeds:
        if speed.model == model:
            found.setdefault(speed.work, {})[speed.unit] = {
                "median": speed.per_second,
                "slowest": speed.spread[0],
                "fastest": speed.spread[1],
                "ratio": speed.ratio,
                "ratio_interval": speed.ratio_interval,
            }
    return {**found, "peak_memory_bytes": measured.peak_bytes[model], "how": measured.how}


def _speed_row(speed: Speed) -> list[str]:
    numbers = [speed.per_second, *speed.spread]
    ratio = [speed.ratio, *(speed.ratio_interval or (None, None))]
    return [speed.model, *(f"{n:.4g}" for n in numbers), *("" if n is None else f"{n:.3g}x" for n in ratio)]
