"""Real pictures for metrics: pieces of photographs that scikit-image ships, and what heavy JPEG makes of them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from vtbench.evaluate.metric import Measured
from vtbench.features.fidelity import register


def jpeg(images, quality):
    """Return uint8 images (batch, 3, height, width) after JPEG."""
    out = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, format="jpeg", quality=quality)
        out.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(out)


class Images(Dataset):
    """Images as torch-fidelity wants them."""

    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return self._images[index]


@pytest.fixture(scope="session")
def photographs():
    """Return a function: (how many, size) -> uint8 pieces of photographs at random places, always the same."""
    sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]

    def pieces(num, size):
        draw = np.random.default_rng(0)
        cut = []
        for index in range(num):
            source = sources[index % len(sources)]
            top, left = (int(draw.integers(0, source.shape[axis] - size + 1)) for axis in (0, 1))
            cut.append(source[top : top + size, left : left + size])
        return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).contiguous()

    return pieces


@pytest.fixture(scope="session")
def spoil():
    """Return a function: (images, JPEG quality) -> what JPEG makes of them."""
    return jpeg


@pytest.fixture(scope="session")
def value_of_pairs():
    """Return a function: (metric of single images, reference, produced) -> its value."""

    def value(metric, reference, produced):
        key = metric.quantities()[0].key
        return metric.compute(Measured({key: metric.measure(reference, produced).numpy()})).value

    return value


@pytest.fixture(scope="session")
def effnet_rows(photographs, spoil):
    """Return 48 pieces of 48 x 48, spoiled ones, and both sides' features: side -> layer -> rows."""
    from vtbench.features.effnet_lite0 import EffnetLite0

    network = EffnetLite0()
    reference = photographs(48, 48)
    produced = spoil(reference, 8)
    sides = {"reference": reference, "produced": produced}
    found = {
        side: [network.extract(part, ("pooled", "logits")) for part in images.split(16)]
        for side, images in sides.items()
    }
    rows = {
        side: {layer: np.concatenate([part[layer].numpy() for part in parts]) for layer in ("pooled", "logits")}
        for side, parts in found.items()
    }
    return sides, rows


@pytest.fixture(scope="session")
def fidelity_values(effnet_rows):
    """Return torch-fidelity's own metrics of the images of `effnet_rows`; a subset for KID is all of them."""
    images, _ = effnet_rows
    return calculate_metrics(
        input1=Images(images["produced"]),
        input2=Images(images["reference"]),
        isc=True,
        kid=True,
        prc=True,
        kid_subset_size=len(images["produced"]),
        feature_extractor=register("effnet_lite0"),
        batch_size=16,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
