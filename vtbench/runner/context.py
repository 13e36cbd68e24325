"""What every stage of a run is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from vtbench.data import open_dataset
from vtbench.data.dataset import ImageDataset
from vtbench.errors import StoreError
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.runner.build import build_tokenizer
from vtbench.schema.run import RunSpec
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.open_record import OpenRecord
from vtbench.train import checkpoint


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
    def weights_id(self) -> str:
        """Which weights are measured: the average's if there is one, after the last step."""
        train = self.spec.config.train
        return f"{'model' if train.ema is None else 'ema'}@{train.steps}"

    def is_done(self, stage: str) -> bool:
        """Return whether the record says that the stage has ended well."""
        found = self.writer.record.stage(stage)
        return found is not None and found.status == "done"

    def trained_tokenizer(self) -> Tokenizer:
        """Return the trained tokenizer in evaluation mode on the run's device.

        Raises:
            StoreError: training has not ended, or its last checkpoint is gone.
        """
        path = checkpoint.path_of(self.checkpoint_dir, self.spec.config.train.steps)
        if not path.exists():
            raise StoreError(f"the trained weights {path} are missing; run again with --fresh to train them anew")
        state = checkpoint.load(path)
        model = build_tokenizer(self.spec.config.tokenizer)
        model.load_state_dict(state["model"] if state["ema"] is None else state["ema"])
        return model.eval().to(self.device)
