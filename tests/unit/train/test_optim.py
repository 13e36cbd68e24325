import pytest
import torch
from torch import nn

from vtbench.errors import TrainingError
from vtbench.models.nn.causal import CausalConfig, CausalTransformer
from vtbench.models.nn.transformer import Block
from vtbench.schema.run import OptimizerConfig
from vtbench.train.optim import build_optimizers

SCALER = torch.amp.GradScaler("cpu", enabled=False)


@pytest.fixture(params=["adamw", "muon"])
def optimizer_config(request):
    return OptimizerConfig(name=request.param, learning_rate=0.01, muon_learning_rate=0.1, weight_decay=0.3)


def groups(model, optimizers):
    """Return name -> (optimiser's class, group) of each parameter; fails on one that is in two groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for member in optimizers.members:
        for group in member.param_groups:
            for parameter in group["params"]:
                name = names[id(parameter)]
                assert name not in found, f"{name} is in two groups"
                found[name] = (type(member), group)
    return found


def test_each_parameter_is_in_exactly_one_group(model, optimizer_config):
    found = groups(model, build_optimizers(model, optimizer_config))
    assert found.keys() == dict(model.named_parameters()).keys()


def test_weight_decay_acts_on_the_weights_of_layers_alone(model, optimizer_config):
    found = groups(model, build_optimizers(model, optimizer_config))
    layers = [f"{name}.weight" for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert "encoder.transformer.blocks.0.attention.qkv.weight" in layers
    for name, (_, group) in found.items():
        assert group["weight_decay"] == (0.3 if name in layers else 0.0), name
    for part in ("latent_tokens", "class_pos", "codebooks", "mask_token", "positions", "bias", "norm1.weight"):
        matching = [group["weight_decay"] for name, (_, group) in found.items() if part in name]
        assert matching, part
        assert set(matching) == {0.0}, part


def test_muon_gets_exactly_the_matrices_of_blocks(model, optimizer_config):
    found = groups(model, build_optimizers(model, optimizer_config))
    blocks = [name for name, module in model.named_modules() if isinstance(module, Block)]
    assert len(blocks) == 2
    matrices = {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and any(name.startswith(f"{block}.") for block in blocks)
    }
    assert len(matrices) == 2 * 4
    by_muon = {name for name, (kind, _) in found.items() if kind is torch.optim.Muon}
    assert by_muon == (matrices if optimizer_config.name == "muon" else set())
    for kind, group in found.values():
        assert group["lr"] == (0.1 if kind is torch.optim.Muon else 0.01)


def test_muon_finds_the_matrices_of_any_stack_and_leaves_heads_and_embeddings(optimizer_config):
    model = nn.ModuleDict(
        {
            "embed": nn.Embedding(5, 16),
            "stack": CausalTransformer(CausalConfig(width=16, num_layers=2, num_heads=2)),
            "heads": nn.ModuleList([nn.Linear(16, 5) for _ in range(2)]),
        }
    )
    found = groups(model, build_optimizers(model, optimizer_config))
    by_muon = {name for name, (kind, _) in found.items() if kind is torch.optim.Muon}
    parts = ("attention.qkv", "attention.proj", "ffn.gate_up", "ffn.down")
    matrices = {f"stack.blocks.{number}.{part}.weight" for number in range(2) for part in parts}
    assert by_muon == (matrices if optimizer_config.name == "muon" else set())
    assert found.keys() == dict(model.named_parameters()).keys()


def test_frozen_parameters_are_left_out(model, optimizer_config):
    model.encoder.requires_grad_(False)
    found = groups(model, build_optimizers(model, optimizer_config))
    assert found
    assert not any(name.startswith("encoder.") for name in found)


def test_a_model_without_decayed_weights(optimizer_config):
    norm = nn.LayerNorm(3)
    found = groups(norm, build_optimizers(norm, optimizer_config.model_copy(update={"name": "adamw"})))
    assert found.keys() == {"weight", "bias"}


def test_the_factor_is_of_the_peak_also_after_a_resume(model, optimizer_config):
    optimizers = build_optimizers(model, optimizer_config)
    optimizers.set_factor(0.5)
    optimizers.set_factor(0.25)
    rates = {kind: group["lr"] for kind, group in groups(model, optimizers).values()}
    assert rates[torch.optim.AdamW] == pytest.approx(0.0025)
    resumed = build_optimizers(model, optimizer_config)
    resumed.load_state_dict(optimizers.state_dict())
    resumed.set_factor(1.0)
    for kind, group in groups(model, resumed).values():
        assert group["lr"] == (0.1 if kind is torch.optim.Muon else 0.01)


def test_every_member_steps_and_forgets(model, optimizer_config):
    optimizers = build_optimizers(model, optimizer_config)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizers.unscale(SCALER)
    optimizers.step(SCALER)
    assert not any(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    optimizers.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_muon_has_nothing_to_do_in_a_model_without_stacked_matrices():
    convolutions = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3))
    with pytest.raises(TrainingError, match="this model has none; write name: adamw"):
        build_optimizers(convolutions, OptimizerConfig(name="muon"))
    (member,) = build_optimizers(convolutions, OptimizerConfig(name="adamw")).members
    assert len(member.param_groups) == 2
