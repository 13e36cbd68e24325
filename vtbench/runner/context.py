"""What every stage of a run is given."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from vtbench.data import open_dataset
from vtbench.data.dataset import ImageDataset
from vtbench.data.token_cache import TokenCache, TokensKey
from vtbench.distributed import collectives, is_main
from vtbench.errors import StoreError
from vtbench.models.generators.base import Generator
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.runner.build import build_generator, build_tokenizer
from vtbench.schema.run import GeneratorConfig, RunSpec, TokensConfig, TrainConfig
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.open_record import OpenRecord
from vtbench.train import checkpoint

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunContext:
    """One run being executed: its spec, where it is written, and on which device."""

    store: Store
    plan: StudyPlan
    spec: RunSpec
    writer: OpenRecord
    device: torch.device

    @property
    def checkpoint_dir(self) -> Path:
        """Where the run's checkpoints lie."""
        return self.store.checkpoint_dir(self.spec.run_id)

    @cached_property
    def train_data(self) -> ImageDataset:
        """The training split."""
        return self._data("train")

    @cached_property
    def val_data(self) -> ImageDataset:
        """The validation split."""
        return self._data("val")

    def _data(self, split: Literal["train", "val"]) -> ImageDataset:
        return open_dataset(self.spec.config.data, split, self.store.cache_dir)

    @property
    def generator(self) -> GeneratorConfig:
        """The generator that this run trains; only stages of such runs ask for it."""
        found = self.spec.config.generator
        assert found is not None
        return found

    @property
    def tokens(self) -> TokensConfig:
        """What of the data set the generator learns."""
        return self.generator.tokens

    @property
    def tokenizer_id(self) -> str:
        """The run that trained the tokenizer: this one, or that which a generator's run needs."""
        return self.spec.run_id if self.spec.config.generator is None else self.spec.needs[0]

    @cached_property
    def token_cache(self) -> TokenCache:
        """The tokens of the training split."""
        key = TokensKey(
            weights=checkpoint.digest(self._weights(self.tokenizer_id, self.spec.config.train)),
            precision=self.spec.config.train.precision,
            images=self.train_data.content_key,
        )
        return TokenCache(self.store.cache_dir, key, self.tokens)

    @property
    def weights_id(self) -> str:
        """Which weights are measured: the average's if there is one, after the last step."""
        train = self.spec.config.trained
        return f"{'model' if train.ema is None else 'ema'}@{train.steps}"

    def is_done(self, stage: str) -> bool:
        """Return whether the record says that the stage has ended well."""
        found = self.writer.record.stage(stage)
        return found is not None and found.status == "done"

    def lost_the_weights(self) -> bool:
        """Return whether this run's weights are there and broken.

        What was measured of them is forgotten if they cannot return as they were.
        """
        path = checkpoint.path_of(self.checkpoint_dir, self.spec.config.trained.steps)
        broken = collectives.any_true(is_main() and checkpoint.is_broken(path))
        if broken:
            _log.warning("%s is broken; training goes on from the checkpoint before.", path)
        if broken and self.device.type != "cpu":
            # Only a CPU trains the same bits again: values of two sets of weights must not stand beside each other.
            self.writer.update(metrics=())
            if is_main():
                shutil.rmtree(self.store.measured_dir(self.spec.run_id), ignore_errors=True)
        return broken

    def trained_tokenizer(self) -> Tokenizer:
        """Return the trained tokenizer in evaluation mode on the run's device; a generator's run gets the one it needs.

        Raises:
            StoreError: training has not ended, or its last checkpoint is gone.
        """
        model = build_tokenizer(self.spec.config.tokenizer)
        self._load(model, self._weights(self.tokenizer_id, self.spec.config.train))
        return model.eval().to(self.device)

    def trained_generator(self) -> Generator:
        """Return the run's trained generator in evaluation mode on its device; raises as `trained_tokenizer`."""
        model = build_generator(self.generator.model)
        self._load(model, self._weights(self.spec.run_id, self.generator.train))
        return model.eval().to(self.device)

    def _weights(self, run_id: str, train: TrainConfig) -> Path:
        """Return the last checkpoint of a run."""
        path = checkpoint.path_of(self.store.checkpoint_dir(run_id), train.steps)
        if path.exists():
            return path
        if run_id == self.spec.run_id:
            raise StoreError(f"the trained weights {path} are missing; run again with --fresh to train them anew")
        raise StoreError(
            f"the tokenizer's weights {path} are missing: the run {run_id}, which this one needs, is to be"
            " trained first"
        )

    def _load(self, model: nn.Module, path: Path) -> None:
        state = checkpoint.load(path)
        model.load_state_dict(state["model"] if state["ema"] is None else state["ema"])
