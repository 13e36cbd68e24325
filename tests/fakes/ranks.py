"""Train the unit tests' tokenizer in one process of several: `python ranks.py OUT STEPS [key=value ...]`.

Keys are fields of the training section, `model`: options of the tokenizer, `per`: for what sizes are drawn, and
`fail_at`: the step at which process 1 raises. The first process writes the losses of every step and the final state to
OUT.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch

from vtbench.distributed import collectives, is_main, rank, world_size
from vtbench.models.losses.tokenizer_loss import TokenizerLoss
from vtbench.runner.team import joined
from vtbench.schema.run import GanConfig, LossConfig, NumTokensRange, OptimizerConfig, TrainConfig
from vtbench.seeding import derive, seed_everything
from vtbench.train.loop import Loop
from vtbench.train.step import TokenizerStep

BATCH = 8


def conftest():
    path = Path(__file__).parents[1] / "unit" / "train" / "conftest.py"
    spec = importlib.util.spec_from_file_location("train_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(out, steps, fail_at=None, resume=None, model=None, per="batch", **fields):
    parts = conftest()
    if isinstance(fields.get("num_tokens"), dict):
        fields["num_tokens"] = NumTokensRange(**fields["num_tokens"])
    config = TrainConfig(
        **{
            "steps": steps,
            "batch_size": BATCH,
            "num_tokens": NumTokensRange(min=2, max=4),
            "optimizer": OptimizerConfig(name="muon", learning_rate=1e-3),
            "log_every": 1,
            "checkpoint_every": 5,
            **fields,
        }
    )
    seed_everything(derive(0, "init"))
    tokenizer = parts.make_model(**(model or {}))
    loss = TokenizerLoss(LossConfig(gan=GanConfig(start_step=4, base_channels=4, num_layers=1)))
    seed_everything(derive(0, "train"))
    mixing = parts.MixingConfig(inputs={"16x16": 1.0, "16x24": 1.0}, targets={"16x16": 1.0, "24x16": 1.0}, per=per)
    batches = parts.Batches(parts.Blobs(20), mixing, BATCH, 0, config.grad_accumulation)

    def iterate(first, end):
        for number in range(first, end):
            if rank() == 1 and number == fail_at:
                raise ValueError("the data of process 1 are bad")
            yield batches.batch(number)

    journal = parts.Journal()
    step = TokenizerStep(tokenizer, loss, config, 0)
    Loop(step, iterate, config, Path(out), journal, "train").run()
    if is_main():
        (Path(out) / "losses.json").write_text(json.dumps(journal.lines))


def main():
    out, steps, *pairs = sys.argv[1:]
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    Path(out).mkdir(exist_ok=True)
    with joined(torch.device("cpu")):
        assert world_size() == 1 or collectives.together()
        train(out, int(steps), **{key: json.loads(value) for key, value in (pair.split("=") for pair in pairs)})


if __name__ == "__main__":
    main()
