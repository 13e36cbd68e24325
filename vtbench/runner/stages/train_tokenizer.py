"""Train the tokenizer to its last step, going on from the newest checkpoint.

Where the last checkpoint of a trained run turns out to be broken, the steps since the one before are trained again.
"""

from __future__ import annotations

from vtbench.cost.memory import peak_memory_bytes, reset_peak_memory
from vtbench.data.mixing import Batches
from vtbench.distributed import world_size
from vtbench.models.losses.tokenizer_loss import TokenizerLoss
from vtbench.runner.build import build_tokenizer
from vtbench.runner.context import RunContext
from vtbench.schema.record import StageRecord
from vtbench.seeding import derive, seed_everything
from vtbench.train.loop import Loop
from vtbench.train.step import TokenizerStep

NAME = "train_tokenizer"


def run(context: RunContext) -> None:
    """Train, unless the record says that this is done."""
    if context.is_done(NAME) and not context.lost_the_weights():
        return
    config, seed = context.spec.config, context.spec.seed
    context.writer.set_stage(StageRecord(name=NAME, status="running"))
    # Arms of one seed start from the same random numbers and see the same images in the same order.
    seed_everything(derive(seed, "init"))
    model = build_tokenizer(config.tokenizer).to(context.device)
    loss = TokenizerLoss(config.losses).to(context.device)
    seed_everything(derive(seed, "train"))
    reset_peak_memory(context.device)
    train = config.train
    batches = Batches(context.train_data, config.mixing, train.batch_size, seed, train.grad_accumulation)
    context.train_data.prepare(batches.all_sizes())
    loop = Loop(
        step=TokenizerStep(model, loss, config.train, seed),
        batches=lambda first, end: batches.iterate(first, end, config.train.num_workers),
        config=config.train,
        folder=context.checkpoint_dir,
        journal=context.writer,
        name=NAME,
    )
    result = loop.run()
    context.writer.set_stage(
        StageRecord(
            name=NAME,
            status="done",
            steps=result.steps,
            seconds=result.seconds,
            peak_memory_bytes=peak_memory_bytes(context.device),
            checkpoint=result.checkpoint.name,
            num_processes=world_size(),
        )
    )
