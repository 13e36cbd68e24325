"""How long one pass for all metrics takes, against the feature extraction alone and against torch-fidelity.

Command: `python benchmarks/evaluate.py` (2,000 icons at 64x64: about ten minutes on two cores); `--num-images 256
--repeats 1` is a quick look. The three are run in turn, so that all see the same machine.

Expected: one pass costs at most 1.15 times the extraction of both sides' features, and at most half of torch-fidelity's
FID, KID and precision/recall called one by one with the same network.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from vtbench.data.icons import Icons
from vtbench.errors import VtbenchError
from vtbench.evaluate import METRICS
from vtbench.evaluate.metric import Metric
from vtbench.evaluate.one_pass import Source, measure
from vtbench.evaluate.reference_features import stream
from vtbench.features.fidelity import register
from vtbench.features.network import FEATURE_BATCH

NETWORK = "effnet_lite0"
THEIRS = ("fid", "kid", "prc")
_SIDES = {"reference", "produced", "pair"}
_LEFT_OUT = {"text_character_error", "text_word_error"}  # of rendered text, not of pictures


class Pairs(Source):
    """Images and what was made of them, in memory."""

    paired = True
    batch_size = 16

    def __init__(self, reference: Tensor, produced: Tensor) -> None:
        self._reference, self._produced = reference, produced
        self.size = (reference.shape[-2], reference.shape[-1])
        self.num_reference, self.num_produced = len(reference), len(produced)
        self.about = {}

    def reference(self, positions: range) -> Tensor:
        """Return a slice."""
        return self._reference[positions.start : positions.stop]

    def produced(
        self, positions: range, reference: Tensor, perturb: float, with_codes: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return a slice."""
        return self._produced[positions.start : positions.stop], None


class _Images(Dataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        return self._images[index]


def pictures(num: int, side: int, cache_dir: Path) -> Pairs:
    """Return icons and coarse, noisy copies."""
    icons = Icons(Icons.Config(), "train", cache_dir)
    icons.prepare([(side, side)])
    reference = icons.images(range(num), (side, side))
    small = F.avg_pool2d(reference / 255, 4)
    noise = 0.02 * torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))
    produced = (F.interpolate(small, (side, side), mode="bilinear") + noise).clamp(0, 1)
    return Pairs(reference, (produced * 255).round().to(torch.uint8))


def metrics(side: int) -> list[Metric]:
    """Return all metrics of reconstructions that can be taken here over `NETWORK` or none, at this size."""
    found = []
    for name in METRICS.names():
        kind: type[Metric] = METRICS.load(name)
        try:
            metric = kind()
            quantities = metric.quantities()
            networks = {each.network for each in quantities} - {None, NETWORK}
            fits = not networks and all(each.side in _SIDES and not each.perturb for each in quantities)
            if not (fits and metric.of_reconstructions) or name in _LEFT_OUT or (name == "ms_ssim" and side < 176):
                continue
            kind.check()
        except VtbenchError:
            continue
        found.append(metric)
    return found


def extraction(pairs: Pairs) -> None:
    """Take both sides' features, and nothing else."""
    for take in (pairs.reference, lambda positions: pairs.produced(positions, torch.empty(0), 0.0, False)[0]):
        features = stream(NETWORK, ("pooled",), torch.device("cpu"))
        for start in range(0, pairs.num_produced, FEATURE_BATCH):
            features.add(take(range(start, min(start + FEATURE_BATCH, pairs.num_produced))))
        features.finish()


def one_pass(pairs: Pairs, chosen: list[Metric]) -> dict[str, float]:
    """Measure everything, with nothing on disk before."""
    with TemporaryDirectory() as folder:
        taken = measure(chosen, pairs, Path(folder) / "rows", Path(folder) / "cache")
        return {metric.name: metric.compute(taken.measured).value for metric in chosen}


def torch_fidelity(pairs: Pairs) -> None:
    """Call torch-fidelity once a metric."""
    sides = {
        "input1": _Images(pairs.produced(range(pairs.num_produced), torch.empty(0), 0.0, False)[0]),
        "input2": _Images(pairs.reference(range(pairs.num_reference))),
    }
    options = {"cuda": False, "cache": False, "verbose": False, "save_cpu_ram": True, "batch_size": FEATURE_BATCH}
    subset = {"kid_subset_size": min(1000, pairs.num_produced)}
    for metric in THEIRS:
        calculate_metrics(**sides, **options, **subset, **{metric: True}, feature_extractor=register(NETWORK))


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(num_images: int, side: int, repeats: int, cache_dir: Path, *, rival: bool = True) -> dict[str, list[float]]:
    """Return, repeat by repeat, seconds of the extraction, of one pass, and of torch-fidelity."""
    pairs, chosen = pictures(num_images, side, cache_dir), metrics(side)
    extraction(Pairs(*(part[:FEATURE_BATCH] for part in (pairs.reference(range(16)), pairs.reference(range(16))))))
    found: dict[str, list[float]] = {"extraction": [], "one pass": [], "torch-fidelity": []}
    for _ in range(repeats):
        found["extraction"].append(seconds(lambda: extraction(pairs)))
        found["one pass"].append(seconds(lambda: one_pass(pairs, chosen)))
        if rival:
            found["torch-fidelity"].append(seconds(lambda: torch_fidelity(pairs)))
    return found


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=64, help="of the images, in pixels")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="where drawn icons are kept")
    options = parser.parse_args()
    print(f"{options.num_images} images at {options.side}x{options.side}, {torch.get_num_threads()} threads")
    print("metrics:", ", ".join(metric.name for metric in metrics(options.side)))
    found = compare(options.num_images, options.side, options.repeats, options.cache)
    for name, values in found.items():
        print(f"{name:15s} {statistics.median(values):7.1f} s  ({min(values):.1f} to {max(values):.1f})")
    for name, over, limit in (
        ("one pass / extraction", "extraction", "at most 1.15"),
        ("one pass / torch-fidelity", "torch-fidelity", "at most 0.5"),
    ):
        ratios = [ours / theirs for ours, theirs in zip(found["one pass"], found[over], strict=True)]
        print(f"{name}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); {limit}")


if __name__ == "__main__":
    main()
