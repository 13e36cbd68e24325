"""A small pass: 70 images in chunks of 16, a feature network of one convolution, metrics over it; also as a process.

`python tiny_pass.py FOLDER [--die PLACE COUNT]` measures, prints how much was computed as JSON, and can kill itself:
after so many chunks (`between`), or in the middle of writing one (`inside`).
"""

import argparse
import json
import os
import signal
from pathlib import Path

import numpy as np
import torch

from vtbench.evaluate import kept_rows, one_pass
from vtbench.evaluate.metric import Metric, Result, features
from vtbench.evaluate.metrics.frechet import FrechetDistance
from vtbench.evaluate.metrics.psnr import Psnr
from vtbench.evaluate.metrics.ssim import Ssim
from vtbench.evaluate.one_pass import Source, measure
from vtbench.features import FEATURES
from vtbench.features.network import FeatureNetwork

NUM_IMAGES, CHUNK = 70, 16
FEATURES._table["tiny"] = "tiny_pass:TinyNetwork"


class TinyNetwork(FeatureNetwork):
    """Three by three filters, drawn at random."""

    name = "tiny"
    layers = {"pooled": (6,), "logits": (4,)}  # noqa: RUF012
    input_size = 12
    preprocessing = "none"
    passes: list[tuple[int, tuple[str, ...]]] = []  # noqa: RUF012
    weights_file = Path(__file__)

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self._filters = torch.randn(6, 3, 3, 3, generator=generator)
        self._classes = torch.randn(6, 4, generator=generator)

    @classmethod
    def weights_path(cls):
        return cls.weights_file

    def to(self, device):
        return self

    def forward_layers(self, images, layers):
        self.passes.append((len(images), tuple(sorted(layers))))
        maps = torch.conv2d(images.float() / 255, self._filters).relu()
        found = {"pooled": maps.mean(dim=(2, 3))}
        found["logits"] = found["pooled"] @ self._classes
        return {layer: found[layer] for layer in layers}


class TinyDistance(FrechetDistance):
    """The Frechet distance over it."""

    name = "tiny_distance"
    title = "Tiny distance"
    network = "tiny"
    source = "the tests"


class TinyConfidence(Metric):
    """The mean largest logit of what was produced."""

    name = "tiny_confidence"
    title = "Tiny confidence"
    higher_is_better = True
    source = "the tests"
    value_range = (-np.inf, np.inf)
    equation = "-"

    def quantities(self):
        return (features("tiny", "logits"),)

    def compute(self, measured):
        return Result(float(measured.rows(self.quantities()[0]).max(axis=1).mean()))


class TinyPairs(Source):
    """Noise, and the same noise darkened; remembers which positions were asked for."""

    paired = True

    def __init__(self, num=NUM_IMAGES, batch_size=8, seed=0, about=None):
        draw = torch.Generator().manual_seed(seed)
        self._images = torch.randint(0, 256, (num, 3, 12, 14), dtype=torch.uint8, generator=draw)
        self.size, self.batch_size, self.about = (12, 14), batch_size, about or {"what": "tiny"}
        self.num_reference = self.num_produced = num
        self.asked: list[range] = []
        self.looked: list[range] = []

    def reference(self, positions):
        self.looked.append(positions)
        return self._images[positions.start : positions.stop]

    def produced(self, positions, reference, perturb, with_codes):
        self.asked.append(positions)
        return (reference * 0.8).to(torch.uint8), None


def small_chunks():
    """Make chunks as small as they can be with these batches."""
    one_pass.CHUNK_IMAGES = CHUNK


def all_metrics():
    """Return metrics of both kinds."""
    return [TinyDistance(), TinyConfidence(), Psnr(), Ssim()]


def values(metrics, source, folder, **more):
    """Measure in `folder` and return each metric's value, as bits."""
    taken = measure(metrics, source, folder / "rows", folder / "cache", **more)
    return {metric.name: metric.compute(taken.measured).value.hex() for metric in metrics}


def _die(place, count):
    """Kill this process when so many chunks have been written."""
    written = []

    def stop():
        os.kill(os.getpid(), signal.SIGKILL)

    def write_chunk(self, path, rows, of, real=kept_rows.KeptRows.write_chunk):
        real(self, path, rows, of)
        written.append(path)
        if place == "between" and len(written) == count:
            stop()

    def savez(file, *args, real=np.savez, **arrays):
        if place == "inside" and len(written) == count:
            file.write(b"PK\x03\x04 half a file")
            file.flush()
            stop()
        real(file, *args, **arrays)

    kept_rows.KeptRows.write_chunk = write_chunk
    np.savez = savez


def main():
    """Be one process of a pass."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die", nargs=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    small_chunks()
    if options.die:
        _die(options.die[0], int(options.die[1]))
    source = TinyPairs()
    found = values(all_metrics(), source, options.folder)
    asked = [[each.start, each.stop] for each in source.asked]
    from tiny_pass import TinyNetwork as loaded  # this file as the registry imports it, not as `__main__`

    print(json.dumps({"values": found, "asked": asked, "images": sum(num for num, _ in loaded.passes)}))


if __name__ == "__main__":
    main()
