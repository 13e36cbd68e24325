"""Train the generator to its last step on cached tokens, going on from the newest checkpoint."""

from __future__ import annotations

from vtbench.cost.memory import peak_memory_bytes, reset_peak_memory
from vtbench.data.token_batches import TokenBatches
from vtbench.distributed import world_size
from vtbench.runner.build import build_generator
from vtbench.runner.context import RunContext
from vtbench.schema.record import StageRecord
from vtbench.seeding import derive, seed_everything
from vtbench.train.generator_step import GeneratorStep
from vtbench.train.loop import Loop

NAME = "train_generator"


def run(context: RunContext) -> None:
    """Train, unless the record says that this is done."""
    if context.is_done(NAME) and not context.lost_the_weights():
        return
    config, seed = context.generator, context.spec.seed
    context.writer.set_stage(StageRecord(name=NAME, status="running"))
    # Arms of one seed start from the same random numbers and see the same images in the same order.
    seed_everything(derive(seed, "init"))
    model = build_generator(config.model).to(context.device)
    seed_everything(derive(seed, "train"))
    reset_peak_memory(context.device)
    codes, labels = context.token_cache.codes(), context.train_data.labels
    batches = TokenBatches(codes, labels, config.tokens.resolutions, config.train, seed)
    loop = Loop(
        step=GeneratorStep(model, config.train, seed),
        batches=batches.iterate,
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
