"""What each arm costs and sees, counted before anything runs, and in what the arms differ.

Arms that differ in arithmetic, parameters, tokens or images seen are not refused: `plan` and the report say so.

The FLOPs of training are three forward passes (see `vtbench.study.forward_flops`) of each image. Of an arm with a
generator the figures are the generator's, and those of its tokenizer stand apart. What is counted is remembered, as
counting imports and traces for seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from vtbench.cost.estimates import num_parameters, training_flops
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.schema.run import GeneratorConfig, NumTokensRange, RunConfig
from vtbench.schema.study import ArmFacts, Cell, StudyPlan
from vtbench.store.remembered import Remembered
from vtbench.study.meta import build_on_meta, generator_on_meta, is_ours
from vtbench.study.sizes import size_pairs

MOST_NAMED = 12
"""Points that a sentence about differences names one by one."""

_READ: Mapping[str, Callable[[ArmFacts], float]] = {
    "training FLOPs": lambda facts: facts.training_flops,
    "parameters": lambda facts: facts.num_parameters,
    "images seen": lambda facts: facts.images_seen,
    "steps": lambda facts: facts.steps,
}


def facts(plan: StudyPlan, remembered: Remembered | None = None) -> tuple[ArmFacts, ...]:
    """Return the facts of each arm at each point of the axes, in the plan's order.

    Args:
        plan: the plan.
        remembered: what was counted before; None for nothing.

    Raises:
        ResolutionError: a training size or length that an arm cannot handle.
        CostError: an arm's quantiser does something that cannot be counted.
    """
    remembered = remembered or Remembered(None)
    found = tuple(_facts(plan, remembered))
    remembered.save()
    return found


def _facts(plan: StudyPlan, remembered: Remembered) -> Iterator[ArmFacts]:
    counted: dict[str, ArmFacts] = {}
    for cell in plan.cells:
        if cell.seed != plan.seeds[0]:
            continue
        config = plan.runs[cell.run_id].config
        key = config.model_dump_json()
        if key not in counted:
            tokenizer = _tokenizer_facts(cell, config, remembered)
            generator = config.generator
            counted[key] = tokenizer if generator is None else _generator_facts(generator, tokenizer, remembered)
        yield counted[key].model_copy(update={"arm": cell.arm, "coordinates": cell.coordinates})


def _tokenizer_facts(cell: Cell, config: RunConfig, remembered: Remembered) -> ArmFacts:
    images, lengths = config.train.steps * config.train.batch_size, config.train.num_tokens
    # arms differ in their training more often than in what an image costs
    part = config.model_dump_json(include={"tokenizer": True, "mixing": True, "train": {"num_tokens"}})

    key = f"tokenizer {part}"
    if (counted := remembered.get(key)) is None:
        from vtbench.study.forward_flops import tokenizer_flops

        model = build_on_meta(config.tokenizer)
        counted = num_parameters(model), tokenizer_flops(model, config), _full_lengths(model, config)
        remembered.put(key, counted, keep=is_ours(config.tokenizer))
    parameters, forward, full = counted
    return ArmFacts(
        arm=cell.arm,
        coordinates=cell.coordinates,
        num_parameters=parameters,
        training_flops=training_flops(forward, images),
        images_seen=images,
        steps=config.train.steps,
        num_tokens=full if lengths is None else _lengths_text(lengths),
    )


def _generator_facts(config: GeneratorConfig, tokenizer: ArmFacts, remembered: Remembered) -> ArmFacts:
    """Return what a generator's training costs, with that of its tokenizer beside it."""
    images = config.train.steps * config.train.batch_size
    key = f"generator {config.model.model_dump_json()}"
    if (counted := remembered.get(key)) is None:
        from vtbench.study.forward_flops import generator_flops

        model = generator_on_meta(config.model)
        counted = num_parameters(model), generator_flops(model), model.max_num_tokens
        remembered.put(key, counted, keep=is_ours(config.model, "generator"))
    parameters, forward, num_tokens = counted
    own = {
        "num_parameters": parameters,
        "training_flops": training_flops(forward, images),
        "images_seen": images,
        "steps": config.train.steps,
        "num_tokens": str(num_tokens),
        "tokenizer_parameters": tokenizer.num_parameters,
        "tokenizer_flops": tokenizer.training_flops,
    }
    return tokenizer.model_copy(update=own)


def differences(facts: Sequence[ArmFacts]) -> list[str]:
    """Return a sentence for each quantity in which the arms differ, relative to the first; none without facts.

    Of more than `MOST_NAMED` points the first, the least and the most are named.
    """
    sentences = []
    for name, read in _READ.items():
        values = [read(one) for one in facts]
        if facts and max(values) > 1.005 * min(values):
            ends = sorted(facts, key=read)
            named = facts if len(facts) <= MOST_NAMED else [facts[0], ends[0], ends[-1]]
            shares = ", ".join(f"{_label(one)} {read(one) / values[0]:.2f}x" for one in named)
            sentences.append(f"Arms differ in {name}: {shares}.")
    if len({one.num_tokens for one in facts}) > 1:
        of_each = {one.num_tokens: _label(one) for one in reversed(facts)} if len(facts) > MOST_NAMED else None
        pairs = of_each.items() if of_each is not None else [(one.num_tokens, _label(one)) for one in facts]
        shares = ", ".join(f"{label} {length}" for length, label in pairs)
        sentences.append(f"Arms differ in the number of tokens: {shares}.")
    return sentences


def _full_lengths(model: Tokenizer, config: RunConfig) -> str:
    """Return the number of tokens of training images, or the least and the most where their sizes decide."""
    found = {model.num_tokens_at(source) for source, _ in size_pairs(config.mixing)}
    return str(*found) if len(found) == 1 else f"{min(found)}-{max(found)}"


def _lengths_text(lengths: NumTokensRange) -> str:
    text = f"{lengths.min}-{lengths.max}" if lengths.min < lengths.max else str(lengths.min)
    how = [word for word in (lengths.draw, f"per {lengths.per}") if word not in ("uniform", "per batch")]
    return f"{text} ({', '.join(how)})" if how else text


def _label(facts: ArmFacts) -> str:
    point = ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in facts.coordinates.items())
    return f"{facts.arm} ({point})" if point else facts.arm
