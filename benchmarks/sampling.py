"""How fast our sampling loop is, against a plain one on the same weights; and what happens as images grow.

Command: `python benchmarks/sampling.py` (about five minutes on one quiet core); `--growth` for the second part;
`--tokens 64 --rounds 1` is a quick look.

The plain loop is written as LlamaGen's is read: class and none as one batch, keys and values concatenated at every step
(`torch.cat`), gate and up of the SwiGLU as two products, the next token by `torch.multinomial`. Both loops take equal
greedy tokens before anything is timed, and are timed in turn, so that both see the same machine. What is gained is the
copying of the cache, which grows with tokens x layers x width, over the products with the weights, which grow with
layers x width^2: long sequences of narrow models gain most, and a model whose products fill the time gains little.

Expected at batch 16: at least 1.5 times the tokens a second where a tiny generator makes 1,024 tokens (2.5 to 4
times were seen), 1.1 to 1.5 times at 256 tokens, and nothing at 64.
With `--growth`, from 64x64 to 256x256 pixels: sampling of a fixed number of tokens within 1.05 times, with its decoder
within 2 times; that of a grid at least 16 times. CPU seconds are the process's own, on one thread, and suffer less from
other work.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vtbench.models.generators.base import Condition, Generator, GeneratorSize
from vtbench.models.generators.llamagen import LlamaGen, LlamaGenConfig
from vtbench.models.generators.vibetoken_gen import VibeTokenGen, VibeTokenGenConfig
from vtbench.models.nn.causal import CausalBlock
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.models.tokenizers.llamagen_vq import LlamaGenVq, LlamaGenVqConfig
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig

CFG_SCALE = 2.0
NUM_CLASSES = 9
CASES = {
    "width 128, 4 layers, 256 tokens": (GeneratorSize(width=128, num_layers=4, num_heads=4), 16, 1024),
    "width 128, 2 layers, 1024 tokens": (GeneratorSize(width=128, num_layers=2, num_heads=4), 32, 1024),
    "width 384, 6 layers, 256 tokens": (GeneratorSize(width=384, num_layers=6, num_heads=6), 16, 1024),
}
"""Size, side of the grid and codebook of what is compared."""

SIDES = (64, 256)
"""Of the square images between which growth is measured, in pixels."""

Times = dict[str, list[tuple[float, float]]]
"""Wall and CPU seconds of each round."""


def _rotated(x: Tensor, frequencies: Tensor) -> Tensor:
    turned = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous()) * frequencies
    return torch.view_as_real(turned).flatten(-2)


def _plain_block(block: CausalBlock, x: Tensor, frequencies: Tensor, cache: list[Tensor]) -> Tensor:
    attention, ffn = block.attention, block.ffn
    q, k, v = attention.qkv(block.norm1(x)).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
    q, k = _rotated(q, frequencies), _rotated(k, frequencies)
    cache[:] = [torch.cat([old, new], dim=2) for old, new in zip(cache, (k, v), strict=True)] if cache else [k, v]
    out = F.scaled_dot_product_attention(q, *cache)
    x = x + attention.proj(out.transpose(1, 2).flatten(2))
    gate, up = ffn.gate_up.weight.chunk(2)
    y = block.norm2(x)
    return x + ffn.down(F.silu(F.linear(y, gate)) * F.linear(y, up))


@torch.no_grad()
def plain_loop(model: LlamaGen, labels: Tensor, num_tokens: int, greedy: bool = False) -> Tensor:
    """Return tokens (batch, tokens) sampled under guidance, with a cache that is concatenated at every step."""
    assert model.trunk.rope is not None
    table = torch.complex(model.trunk.rope.cos, model.trunk.rope.sin)
    caches: list[list[Tensor]] = [[] for _ in model.trunk.blocks]
    x = model.class_embed(torch.cat([labels, torch.full_like(labels, model.num_classes)]))[:, None]
    tokens: list[Tensor] = []
    for place in range(num_tokens):
        for block, cache in zip(model.trunk.blocks, caches, strict=True):
            x = _plain_block(block, x, table[place], cache)
        conditional, unconditional = model.head(model.trunk.norm(x))[:, 0].chunk(2)
        logits = unconditional + CFG_SCALE * (conditional - unconditional)
        token = logits.argmax(-1, keepdim=True) if greedy else torch.multinomial(logits.softmax(-1), 1)
        tokens.append(token)
        x = model.token_embed(torch.cat([token, token]))
    return torch.cat(tokens, dim=1)


def in_turn(jobs: dict[str, Callable[[], object]], rounds: int) -> Times:
    """Return the seconds of each job in each round."""
    times: Times = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return times


def ratios(times: Times, slow: str, fast: str, clock: int) -> tuple[float, float, float]:
    """Return the median, least and largest ratio of two jobs of a round, by wall (0) or CPU (1) seconds."""
    found = [a[clock] / b[clock] for a, b in zip(times[slow], times[fast], strict=True)]
    return statistics.median(found), min(found), max(found)


def _lively(model: Generator) -> Generator:
    """Draw an output layer that is not zero, as a new model's is."""
    for name, weight in model.named_parameters():
        if name.startswith("head") and weight.ndim == 2:
            torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    return model.eval()


def loops(name: str, batch: int, rounds: int, most_tokens: int | None = None) -> tuple[int, Times]:
    """Return the number of tokens sampled, and the seconds of `plain` and `ours`, for a case of `CASES`."""
    size, side, codebook_size = CASES[name]
    labels = torch.arange(batch) % NUM_CLASSES
    condition, seeds = Condition(labels=labels), range(batch)
    torch.manual_seed(0)
    model = LlamaGen(
        LlamaGenConfig(size=size, grid_size=(side, side), codebook_size=codebook_size, num_classes=NUM_CLASSES)
    )
    _lively(model)
    num_tokens = min(side * side, most_tokens or side * side)
    ours = model.generate(condition, min(num_tokens, 32), cfg_scale=CFG_SCALE, greedy=True)[:, 0]
    if not torch.equal(ours, plain_loop(model, labels, ours.shape[1], greedy=True)):
        raise SystemExit(f"{name}: the two loops do not compute the same")
    jobs: dict[str, Callable[[], object]] = {
        "plain": lambda: plain_loop(model, labels, num_tokens),
        "ours": lambda: model.generate(condition, num_tokens, seeds=seeds, cfg_scale=CFG_SCALE),
    }
    return num_tokens, in_turn(jobs, rounds)


def compare_loops(batch: int, rounds: int, most_tokens: int | None, cases: list[int] | None) -> None:
    """Print, for each case, tokens a second of both loops and their ratio."""
    for name in [list(CASES)[number] for number in cases or range(len(CASES))]:
        num_tokens, times = loops(name, batch, rounds, most_tokens)
        print(f"{name}, {num_tokens} sampled, batch {batch}")
        for clock, word in enumerate(("wall", "CPU")):
            speed = {job: batch * num_tokens / statistics.median(t[clock] for t in times[job]) for job in times}
            middle, least, most = ratios(times, "plain", "ours", clock)
            print(
                f"  tokens a {word} second: plain {speed['plain']:,.0f}, ours {speed['ours']:,.0f};"
                f" ratio {middle:.2f} ({least:.2f} to {most:.2f} in {rounds} rounds)",
                flush=True,
            )


def vibetoken_like() -> tuple[VibeTokenGen, VibeToken]:
    """Return a small generator of 64 tokens and its tokenizer, for images of any size."""
    size = GeneratorSize(width=128, num_layers=4, num_heads=4)
    numbers = VibeTokenGenConfig(
        size=size, max_num_tokens=64, num_codebooks=4, codebook_size=256, num_head_layers=1, num_classes=NUM_CLASSES
    )
    part = TransformerConfig(width=128, num_layers=4, num_heads=4)
    tokenizer = VibeTokenConfig(
        encoder=part,
        decoder=part,
        num_latent_tokens=64,
        latent_width=32,
        num_codebooks=4,
        codebook_size=256,
        pos_grid_size=16,
        patch_sizes=(8, 16, 32),
        min_patches=64,
        max_patches=64,
    )
    return VibeTokenGen(numbers), VibeToken(tokenizer)


def grid_like(side: int) -> tuple[LlamaGen, LlamaGenVq]:
    """Return a small generator of `side` x `side` tokens and its tokenizer of 8 pixels a token."""
    size = GeneratorSize(width=128, num_layers=4, num_heads=4)
    numbers = LlamaGenConfig(size=size, grid_size=(side, side), codebook_size=256, num_classes=NUM_CLASSES)
    tokenizer = LlamaGenVqConfig(
        width=16, width_factors=(1, 1, 2, 2), num_res_blocks=1, latent_width=32, num_groups=8, codebook_size=256
    )
    return LlamaGen(numbers), LlamaGenVq(tokenizer)


def growth(batch: int, rounds: int) -> Times:
    """Return the seconds of `fixed 64 sample`, `grid 256 decode` and so on, and of both parts together."""
    jobs: dict[str, Callable[[], object]] = {}
    torch.manual_seed(0)
    fixed = vibetoken_like()
    models: list[tuple[str, int, Generator, Tokenizer]] = []
    for side in SIDES:
        models += [("fixed", side, *fixed), ("grid", side, *grid_like(side // 8))]
    for name, side, model, tokenizer in models:
        jobs |= _jobs(f"{name} {side}", _lively(model), tokenizer.eval(), side, batch)
    times = in_turn(jobs, rounds)
    for name, side, _, _ in models:
        pairs = zip(times[f"{name} {side} sample"], times[f"{name} {side} decode"], strict=True)
        times[f"{name} {side} both"] = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
    return times


def print_growth(batch: int, rounds: int) -> None:
    """Print how the seconds of sampling and decoding grow from 64x64 to 256x256 pixels."""
    times = growth(batch, rounds)
    for name, found in times.items():
        wall, cpu = (statistics.median(one[clock] for one in found) / batch for clock in (0, 1))
        print(f"{name:20s} {wall:.4f} wall seconds an image, {cpu:.4f} of the CPU")
    for name in ("fixed", "grid"):
        for part in ("sample", "decode", "both"):
            for clock, word in enumerate(("wall", "CPU")):
                middle, least, most = ratios(times, f"{name} {SIDES[1]} {part}", f"{name} {SIDES[0]} {part}", clock)
                print(
                    f"{name}, {part}: {middle:.2f} times the {word} seconds ({least:.2f} to {most:.2f}) at 4x per side"
                )


def _jobs(name: str, model: Generator, tokenizer: Tokenizer, side: int, batch: int) -> dict[str, Callable[[], object]]:
    sides = torch.full((batch,), float(side))
    condition = Condition(labels=torch.arange(batch) % NUM_CLASSES, height=sides, width=sides)
    codes = model.generate(condition, 64, seeds=range(batch))
    codes = codes.repeat(1, 1, model.max_num_tokens // 64)

    @torch.no_grad()
    def decode() -> Tensor:
        return tokenizer.detokenize(codes, (side, side))

    return {
        f"{name} sample": lambda: model.generate(condition, seeds=range(batch), cfg_scale=CFG_SCALE),
        f"{name} decode": decode,
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, help="most tokens to sample")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", type=int, nargs="*", choices=range(len(CASES)), help="which sizes; all by default")
    parser.add_argument("--growth", action="store_true", help="measure growth with the image instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.growth:
        print_growth(options.batch, options.rounds)
    else:
        compare_loops(options.batch, options.rounds, options.tokens, options.cases)


if __name__ == "__main__":
    main()
