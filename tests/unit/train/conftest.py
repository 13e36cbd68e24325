"""A tokenizer of one block, images that live in memory, and a journal that only remembers."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vtbench.data.dataset import ImageDataset
from vtbench.data.mixing import Batches
from vtbench.models.losses.tokenizer_loss import TokenizerLoss
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig
from vtbench.schema.run import GanConfig, LossConfig, MixingConfig, NumTokensRange, OptimizerConfig, TrainConfig
from vtbench.seeding import derive, seed_everything
from vtbench.train.step import TokenizerStep


class Blobs(ImageDataset):
    """Smooth random images that exist at any size."""

    content_key = "blobs"
    label_names = ("blob",)

    def __init__(self, num_images):
        self._coarse = torch.rand(num_images, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        self.labels = np.zeros(num_images, dtype=np.int64)

    def images(self, indices, size):
        fine = F.interpolate(self._coarse[torch.as_tensor(indices)], size, mode="bilinear")
        return (fine * 255).round().to(torch.uint8)

    def training_pair(self, indices, input_size, target_size, rng, flip):
        axes = [3] if flip and rng.random() < 0.5 else []
        return self.images(indices, input_size).flip(axes), self.images(indices, target_size).flip(axes)


class Journal:
    """What a loop reports, kept in lists."""

    def __init__(self):
        self.lines = []
        self.reports = []

    def log(self, step, values):
        self.lines.append({"step": step, **values})

    def truncate_log(self, step):
        self.lines = [line for line in self.lines if line["step"] <= step]

    def sync_log(self):
        self.num_synced = len(self.lines)

    def progress(self, stage, step, total, rate=None):
        self.reports.append((stage, step, total, rate))


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def model():
    """A tokenizer with positions, an adaptive kernel, a blur, two blocks, and codebooks that draw random numbers."""
    seed_everything(derive(0, "model"))
    return make_model()


@pytest.fixture
def config():
    """Training with everything that carries state: Muon and AdamW, an average, a schedule, lengths drawn."""
    return TrainConfig(
        steps=8,
        batch_size=2,
        num_tokens=NumTokensRange(min=2, max=4),
        optimizer=OptimizerConfig(name="muon", learning_rate=1e-2),
        checkpoint_every=3,
        log_every=1,
    )


@pytest.fixture
def losses():
    """MSE, the quantizer's, and a GAN that begins at step 2."""
    return LossConfig(gan=GanConfig(start_step=2, base_channels=4, num_layers=1))


@pytest.fixture
def make_step(config, losses):
    """Return a step as the runner makes one; keyword arguments change the training section."""

    def make_step(seed=0, losses=losses, options=None, **changes):
        seed_everything(derive(seed, "init"))
        tokenizer, loss = make_model(**(options or {})), TokenizerLoss(losses)
        seed_everything(derive(seed, "train"))
        return TokenizerStep(tokenizer, loss, config.model_copy(update=changes), seed)

    return make_step


@pytest.fixture
def make_batches():
    """Return the batches of a seed: two sizes in, two sizes out."""

    def make_batches(seed=0):
        mixing = MixingConfig(inputs={"16x16": 1.0, "16x24": 1.0}, targets={"16x16": 1.0, "24x16": 1.0})
        return Batches(Blobs(5), mixing, 2, seed)

    return make_batches


@pytest.fixture
def same():
    """Tell whether two nested states are equal, bit for bit."""
    return _same


@pytest.fixture
def frozen_copy():
    """Return a state that later steps do not change."""
    return copy.deepcopy


def make_model(**options):
    block = TransformerConfig(width=16, num_layers=1, num_heads=2)
    usual = {
        "encoder": block,
        "decoder": block,
        "num_latent_tokens": 4,
        "latent_width": 8,
        "num_codebooks": 2,
        "codebook_size": 8,
        "codebook_init": "data",
        "revive_after": 2,
        "pos_grid_size": 4,
        "kernel_size": 8,
        "patch_sizes": (4, 8),
        "min_patches": 4,
        "max_patches": 24,
    }
    return VibeToken(VibeTokenConfig(**{**usual, **options}))


def _same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other
