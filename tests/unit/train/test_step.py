import pytest
import torch

from vtbench.data.mixing import Batches, MixedBatch
from vtbench.schema.run import LossConfig, MixingConfig, NumTokensRange, OptimizerConfig, ScheduleConfig
from vtbench.seeding import rng
from vtbench.train import checkpoint
from vtbench.train.lengths import draw_length, draw_lengths


def weights(module):
    """Return what the optimisers change; codebooks also move in the forward pass, when entries are revived."""
    return {name: value.clone() for name, value in module.state_dict().items() if "quantizer" not in name}


@pytest.fixture
def batch(make_batches):
    return make_batches().batch(0)


def test_a_step_trains_the_model_and_its_average(make_step, batch, same):
    step = make_step()
    before, average = weights(step.model), {name: value.clone() for name, value in step.update.ema.state.items()}
    found = step.run(0, batch)
    assert {"loss", "mse", "quantizer", "grad_norm", "learning_rate_factor"} <= found.keys()
    assert all(value.ndim == 0 and not value.requires_grad and value.isfinite() for value in found.values())
    after = weights(step.model)
    assert not same(after, before)
    name = "encoder.proj.weight"
    # the ramp at step 0: decay 1 / 10
    torch.testing.assert_close(step.update.ema.state[name], 0.1 * average[name] + 0.9 * after[name])


def test_training_goes_down(make_step, batch):
    step = make_step(losses=LossConfig(), num_tokens=None, optimizer=OptimizerConfig(learning_rate=3e-3), steps=20)
    found = [step.run(number, batch)["mse"].item() for number in range(20)]
    assert found[-1] < 0.7 * found[0]


def test_the_schedule_is_the_learning_rate_of_the_step(make_step, batch, same):
    schedule = ScheduleConfig(warmup_steps=2, final_factor=0.0)
    step = make_step(schedule=schedule, steps=4)
    assert step.run(0, batch)["learning_rate_factor"].item() == 0.5
    before = weights(step.model)
    assert step.run(3, batch)["learning_rate_factor"].item() == pytest.approx(0)
    assert all(torch.allclose(value, before[name], atol=1e-6) for name, value in weights(step.model).items())


def test_the_discriminator_waits_for_its_step(make_step, make_batches, same):
    step, batches = make_step(), make_batches()
    before = weights(step.loss)
    for number in (0, 1):
        assert "gan_discriminator" not in step.run(number, batches.batch(number))
        assert same(step.loss.state_dict(), before)
    found = step.run(2, batches.batch(2))
    assert {"gan_generator", "gan_discriminator", "gan_lecam"} <= found.keys()
    after = step.loss.state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in after.items() if "weight" in name)
    assert not torch.equal(after["lecam.real"], before["lecam.real"])


def test_the_generators_side_leaves_the_discriminator_alone(make_step, batch):
    step = make_step()
    step.run(2, batch)
    gradients = [parameter.grad.clone() for parameter in step.loss.patch_discriminator.parameters()]
    step.run(1, batch)  # the GAN does not take part in this one
    assert all(map(torch.equal, gradients, (p.grad for p in step.loss.patch_discriminator.parameters())))


def test_all_state_resumes(make_step, make_batches, same, frozen_copy):
    batches = make_batches()
    whole = make_step()
    for number in range(4):
        whole.run(number, batches.batch(number))
    middle = frozen_copy(whole.state_dict())
    resumed = make_step(seed=1)  # other weights: all must come from the state
    resumed.seed = whole.seed
    resumed.load_state_dict(frozen_copy(middle))
    assert same(resumed.state_dict(), middle)
    assert middle["discriminator_optimizers"][0]["state"]
    generators = checkpoint.rng_state()
    one = whole.run(4, batches.batch(4))
    checkpoint.set_rng_state(generators)
    assert same(resumed.run(4, batches.batch(4)), one)
    assert same(whole.state_dict(), resumed.state_dict())
    assert not same(whole.state_dict()["loss"], middle["loss"])


def test_gradients_are_clipped_to_the_limit(make_step, batch):
    def norm(step):
        return torch.stack([p.grad.norm() for p in step.model.parameters() if p.grad is not None]).norm()

    free = make_step(grad_clip=None)
    found = free.run(0, batch)["grad_norm"]
    torch.testing.assert_close(norm(free), found)
    limit = found.item() / 10
    clipped = make_step(grad_clip=limit)
    assert clipped.run(0, batch)["grad_norm"] == found
    assert norm(clipped).item() == pytest.approx(limit, rel=1e-3)


def test_lengths_are_drawn_within_the_range_and_from_the_step_alone(make_step, batch):
    step = make_step(num_tokens=NumTokensRange(min=2, max=4), losses=LossConfig(), ema=None)
    seen = []
    step.model.quantizer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[1]))
    for number in (0, 5, 1, 5):
        step.run(number, batch)
    assert seen[1] == seen[3]
    assert [draw_length(step.config.num_tokens, 0, number) for number in (0, 5, 1)] == seen[:3]
    make_step(num_tokens=None).run(0, batch)


def test_patches_are_drawn_from_the_step_alone(make_step, make_batches):
    step, batches = make_step(), make_batches()
    patches = []
    step.model.encoder.register_forward_pre_hook(lambda module, inputs: patches.append(inputs[1]))
    for number in range(8):
        step.run(number, batches.batch(number))
    again = [
        step.model.draw_geometry(rng(0, "geometry", number), *batches.sizes(number), None).encoder_patch
        for number in range(8)
    ]
    assert patches == again
    assert len(set(patches)) == 2


def test_bf16_computes_in_bf16_and_keeps_weights_in_fp32(make_step, batch):
    seen = []
    step = make_step(precision="bf16")
    step.model.encoder.proj.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    found = step.run(2, batch)
    assert seen == [torch.bfloat16]
    assert all(parameter.dtype == torch.float32 for parameter in step.model.parameters())
    assert all(value.isfinite() for value in found.values())
    full = make_step().run(2, batch)
    assert found["mse"] != full["mse"]
    assert found["mse"].item() == pytest.approx(full["mse"].item(), rel=0.05)


def test_fp16_leaves_out_a_step_that_overflows_and_goes_on(make_step, batch, same):
    step = make_step(precision="fp16", losses=LossConfig(mse=1e5))
    before = weights(step.model)
    scale = step.update.scaler.get_scale()
    found = step.run(0, batch)
    # all or nothing: neither of the two optimisers takes half a gradient
    assert same(weights(step.model), before)
    assert step.update.scaler.get_scale() == scale / 2
    assert found["grad_norm"] == 0
    assert found["loss"].isfinite()
    number = 1
    while same(weights(step.model), before):
        assert number < 40
        found = step.run(number, batch)
        number += 1
    assert found["grad_norm"] > 0
    assert all(value.isfinite().all() for value in step.model.state_dict().values())


def test_a_broken_batch_does_not_spoil_the_weights(make_step, batch, same):
    step = make_step(losses=LossConfig())
    before, average = weights(step.model), {name: value.clone() for name, value in step.update.ema.state.items()}
    batch.targets[0, 0, 0, 0] = float("nan")
    found = step.run(0, batch)
    assert found["loss"].isnan()
    assert same(weights(step.model), before)
    assert same(step.update.ema.state, average)
    assert not step.update.optimizers.members[0].state


@pytest.mark.slow
def test_a_batch_in_parts_trains_as_a_whole_one(make_step, make_batches):
    """Data-dependent codebooks, their revival, LeCam's averages and the gradients are all the whole batch's."""
    batches = Batches(make_batches().dataset, make_batches().mixing, 8, 0)
    found = {}
    for parts in (1, 2, 4):
        step = make_step(batch_size=8, grad_accumulation=parts)
        assert step.model.quantizer.revive_after == 2
        found[parts] = [step.run(number, batches.batch(number)) for number in range(8)], step.state_dict()
    (whole, state), *others = found.values()
    for scalars, other in others:
        for one, two in zip(whole, scalars, strict=True):
            assert one.keys() == two.keys()
            for name in one:
                assert two[name].item() == pytest.approx(one[name].item(), abs=2e-5, rel=2e-4), name
        assert torch.equal(other["model"]["quantizer.idle_steps"], state["model"]["quantizer.idle_steps"])
        for name in ("lecam.real", "lecam.fake"):
            assert other["loss"][name].item() == pytest.approx(state["loss"][name].item(), rel=1e-3) != 0


def test_codebooks_start_from_the_whole_batch(make_step, make_batches):
    batches = Batches(make_batches().dataset, make_batches().mixing, 8, 0)
    starts = []
    for parts in (1, 4):
        step = make_step(batch_size=8, grad_accumulation=parts, optimizer=OptimizerConfig(learning_rate=1e-12))
        step.run(0, batches.batch(0))
        assert step.model.quantizer.initialised
        starts.append(step.model.quantizer.codebooks.detach())
    torch.testing.assert_close(starts[1], starts[0], atol=1e-5, rtol=1e-4)


MIXED = MixingConfig(inputs={"16x16": 1.0, "16x24": 1.0}, targets={"16x16": 1.0, "24x16": 1.0}, per="sample")


def by_image(batch):
    """Cut a batch into groups of one image each."""
    return MixedBatch(groups=tuple(piece for group in batch.groups for piece in group.pieces(1)))


def test_a_step_of_mixed_sizes_is_the_mean_over_its_images(make_step, make_batches):
    """Groups of unequal size count by their images: losses, gradients, and what codebooks and LeCam take from them."""
    batches = Batches(make_batches().dataset, MIXED, 8, 0)
    sizes = [[group.num_images for group in batches.batch(number).groups] for number in range(4)]
    assert all(sum(each) == 8 for each in sizes)
    assert any(len(set(each)) > 1 for each in sizes)
    found = []
    for cut in (lambda batch: batch, by_image):
        step = make_step(batch_size=8, num_tokens=None)
        found.append(([step.run(number, cut(batches.batch(number))) for number in range(4)], step.state_dict()))
    (whole, state), (single, other) = found
    for one, two in zip(whole, single, strict=True):
        for name in one.keys() - {"codebook_usage"}:
            assert two[name].item() == pytest.approx(one[name].item(), abs=5e-5, rel=5e-4), name
    assert torch.equal(other["model"]["quantizer.idle_steps"], state["model"]["quantizer.idle_steps"])
    for name in ("lecam.real", "lecam.fake"):
        assert other["loss"][name].item() == pytest.approx(state["loss"][name].item(), rel=2e-3) != 0


def test_sizes_of_a_step_have_the_patches_of_whole_batches(make_step, make_batches):
    batches = Batches(make_batches().dataset, MIXED, 8, 0)
    step, seen = make_step(batch_size=8, losses=LossConfig(), ema=None), []
    step.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[2]))
    for number in range(3):
        seen.clear()
        step.run(number, batches.batch(number))
        groups = batches.batch(number).groups
        wanted = [
            step.model.draw_geometry(
                rng(0, "geometry", number), tuple(group.inputs.shape[2:]), tuple(group.targets.shape[2:]), None
            )
            for group in groups
        ]
        drawn = seen[-len(groups) :]
        assert [each.encoder_patch for each in drawn] == [each.encoder_patch for each in wanted]
        assert {each.num_tokens for each in drawn} == {draw_length(step.config.num_tokens, 0, number)}


@pytest.mark.parametrize("mixing", [MIXED, MIXED.model_copy(update={"per": "batch"})])
def test_each_image_has_the_length_of_its_place(make_step, make_batches, mixing):
    wanted = NumTokensRange(min=1, max=4, per="sample")
    batches = Batches(make_batches().dataset, mixing, 8, 0)
    nested = {"length_scheme": "nested"}
    step = make_step(batch_size=8, grad_accumulation=2, num_tokens=wanted, losses=LossConfig(), options=nested)
    seen = []
    step.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[2]))
    step.run(3, batches.batch(3))
    parts = batches.batch(3).split(2)
    drawn = draw_lengths(wanted, 0, 3, 8)
    for part, geometry in zip(parts, seen[-len(parts) :], strict=True):
        assert geometry.num_tokens is None
        assert geometry.lengths.tolist() == [drawn[place] for place in part.places.tolist()]
