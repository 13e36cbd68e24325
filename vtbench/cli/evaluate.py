"""`evaluate`: measure a folder of images from any system."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtbench.cli.arguments import RootOption, open_store
from vtbench.cli.output import say, show_table
from vtbench.errors import StudyError
from vtbench.evaluate import METRICS
from vtbench.report.metrics import ENOUGH_FOR_DISTANCES, display, number
from vtbench.schema.base import parse_resolution
from vtbench.schema.preset import CANONICAL, find_preset

if TYPE_CHECKING:
    from vtbench.evaluate.folder_pass import FolderPair, FolderValue

DEVICES = ("cpu", "cuda")


def evaluate(
    images: Annotated[
        Path, typer.Option("--images", metavar="DIR", help="The images to measure: png, jpg or webp, in any nesting.")
    ],
    reference: Annotated[
        Path, typer.Option("--reference", metavar="DIR", help="What they are compared with, paired by name.")
    ],
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metrics",
            metavar="NAME...",
            help="Which metrics: names, with commas or spaces between. [default: all that can be taken here]",
            show_default=False,
        ),
    ] = None,
    more_metrics: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="NAME", help="Under which protocol; see `protocols`.")
    ] = CANONICAL.name,
    resolution: Annotated[
        str | None,
        typer.Option(
            "--resolution",
            metavar="HxW",
            help="Bring all images to this size by the protocol's crop. [default: the size that all have]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="cpu or cuda.")] = DEVICES[0],
    root: RootOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a folder of images from any system against a folder of references.

    Metrics of image pairs need every image to have a reference of its name (endings may differ); distances between sets
    do not. What was measured before is kept, so the same command goes on after an interruption.

    Example: `python -m vtbench evaluate --images out --reference val --metrics psnr ssim rfid --json`
    """
    names = _names([*(metrics or []), *(more_metrics or [])])
    preset = find_preset(protocol)
    size = None if resolution is None else _size(resolution)
    # torch comes with these, and what is wrong above should not wait for it
    from vtbench.data.image_folder_flat import FlatFolder, single_size
    from vtbench.evaluate.folder_pass import FolderPair, available_metrics, measure_folders, require_metrics

    on = _device(device)
    found = [FlatFolder(folder) for folder in (images, reference)]
    folders = FolderPair(found[0], found[1], size if size is not None else single_size(found), preset)
    left_out: dict[str, str] = {}
    if names:
        require_metrics(names, folders)
    else:
        names, left_out = available_metrics(folders)
    store = open_store(root)
    tell = None if as_json or not sys.stderr.isatty() else _tell
    values, too_few = measure_folders(folders, names, store.folders_dir, store.cache_dir, on, tell)
    show = _print_json if as_json else _print_table
    show(folders, values, left_out | too_few)


def _names(texts: Sequence[str]) -> list[str]:
    """Return the metrics that were asked for, each once, after checking that they exist."""
    names = list(dict.fromkeys(name for text in texts for name in text.replace(",", " ").split()))
    for name in names:
        METRICS.check(name)
    return names


def _size(text: str) -> tuple[int, int]:
    try:
        return parse_resolution(text)
    except ValueError as error:
        raise StudyError(f"--resolution: {error}.") from error


def _device(name: str) -> Any:
    import torch

    kind = name.partition(":")[0]
    if kind not in DEVICES:
        raise StudyError(f"--device {name}: choose from {', '.join(DEVICES)}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise StudyError(f"--device {name}: this machine has no GPU that torch can use. Leave the option out.")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise StudyError(f"--device {name}: not a device that torch knows; write cpu, cuda or cuda:0.") from error


def _tell(done: int, total: int) -> None:
    typer.echo(f"\r{done}/{total} images", nl=done == total, err=True)


def _report(folders: FolderPair, values: Sequence[FolderValue]) -> dict[str, Any]:
    """Return everything about the values as JSON; a value that is not finite is null."""
    return {
        value.metric.name: {
            "title": value.metric.title,
            "value": value.result.value if math.isfinite(value.result.value) else None,
            "interval": None if value.result.interval is None else list(value.result.interval),
            "unit": value.metric.unit,
            "higher_is_better": value.metric.higher_is_better,
            "num_samples": len(folders.images),
            "min_samples": value.metric.min_samples,
            "metric_version": value.metric.version,
            "params": value.result.params,
            "protocol": value.protocol.fields(),
            "fingerprint": value.protocol.fingerprint(),
        }
        for value in values
    }


def _common(folders: FolderPair) -> dict[str, Any]:
    """Return the protocol's fields that all metrics over pixels share."""
    own = {name: value for name, value in folders.base().fields().items() if value not in (None, {})}
    return {"name": folders.preset.name, **own, "preprocessing": folders.preset.fields["preprocessing"]}


def _print_json(folders: FolderPair, values: Sequence[FolderValue], left_out: Mapping[str, str]) -> None:
    whole = {
        "images": str(folders.images.folder),
        "reference": str(folders.reference.folder),
        "resolution": "x".join(map(str, folders.size)),
        "num_samples": len(folders.images),
        "num_reference": len(folders.reference),
        "paired": folders.paired,
        "protocol": _common(folders) | {"fingerprint": folders.base().fingerprint()},
        "fingerprint": folders.base().fingerprint(),
        "metrics": _report(folders, values),
        "left_out": dict(left_out),
        "warnings": _warnings(folders, values),
    }
    typer.echo(json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False))


def _print_table(folders: FolderPair, values: Sequence[FolderValue], left_out: Mapping[str, str]) -> None:
    size = "x".join(map(str, folders.size))
    title = f"{folders.images.folder} against {folders.reference.folder}, {size}, protocol {folders.preset.name}"
    rows = [
        (
            value.metric.title,
            value.metric.name,
            number(value.result.value),
            value.metric.unit,
            "" if value.result.interval is None else " to ".join(map(number, value.result.interval)),
            "higher" if value.metric.higher_is_better else "lower",
            f"{len(folders.images):,}",
            value.protocol.fingerprint(),
        )
        for value in values
    ]
    columns = ["metric", "id", "value", "unit", "95 % interval", "better", "n", "fingerprint"]
    show_table(title, columns, rows, numeric=["value", "n"])
    say("; ".join(f"{name}: {value}" for name, value in _common(folders).items()))
    for warning in _warnings(folders, values):
        say(f"warning: {warning}")
    for why in dict.fromkeys(left_out.values()):
        say(f"left out: {', '.join(name for name, reason in left_out.items() if reason == why)}: {why}")


def _warnings(folders: FolderPair, values: Sequence[FolderValue]) -> list[str]:
    n = len(folders.images)
    found = [
        f"{metric.title} of {n:,} images means little: it needs {metric.min_samples:,}."
        for metric in (value.metric for value in values)
        if n < metric.min_samples
    ]
    return found + [
        f"{metric.title} of {n:,} images, fewer than {ENOUGH_FOR_DISTANCES:,}, is still above its limit, by an amount"
        " that depends on the model."
        for metric in (value.metric for value in values)
        if display(metric.name).is_distance and metric.min_samples <= n < ENOUGH_FOR_DISTANCES
    ]
