import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vtbench.models.quantizers.mvq import MultiCodebookQuantizer

BATCH, TOKENS, CHANNELS, BOOKS, SIZE = 2, 5, 12, 3, 8


def _quantizer(seed=0, **options):
    torch.manual_seed(seed)
    return MultiCodebookQuantizer(CHANNELS, BOOKS, SIZE, **options)


def _latents(seed=1, batch=BATCH, tokens=TOKENS):
    return torch.randn(batch, tokens, CHANNELS, generator=torch.Generator().manual_seed(seed))


def _by_hand(quantizer, latents):
    """Return entries (batch, tokens, books, dim) and indices, by a search written out in NumPy."""
    z = latents.detach().double().numpy().reshape(*latents.shape[:2], BOOKS, -1)
    books = quantizer.codebooks.detach().double().numpy()
    distance = ((z[..., None, :] - books) ** 2).sum(-1)
    indices = distance.argmin(-1)
    return z, np.take_along_axis(books[None, None], indices[..., None, None], axis=3)[..., 0, :], indices


def test_each_chunk_becomes_the_nearest_entry_of_its_own_codebook():
    quantizer, latents = _quantizer(), _latents()
    out = quantizer(latents)
    _, entries, indices = _by_hand(quantizer, latents)
    assert out.indices.shape == (BATCH, BOOKS, TOKENS)
    np.testing.assert_array_equal(out.indices.numpy(), indices.transpose(0, 2, 1))
    np.testing.assert_allclose(out.z_q.detach().numpy(), entries.reshape(BATCH, TOKENS, CHANNELS), atol=1e-6)


def test_the_loss_is_the_formula_averaged_over_codebooks():
    quantizer, latents = _quantizer(commitment=0.4), _latents()
    out = quantizer(latents)
    z, entries, _ = _by_hand(quantizer, latents)
    squared = np.stack([((z - entries)[:, :, book] ** 2).mean() for book in range(BOOKS)])
    assert out.loss.item() == pytest.approx(0.4 * squared.mean() + squared.mean(), rel=1e-5)
    assert out.stats["codebook_loss"].item() == pytest.approx(squared.mean(), rel=1e-5)


def test_commitment_pulls_latents_and_the_codebook_loss_pulls_entries():
    quantizer, latents = _quantizer(), _latents().requires_grad_()
    out = quantizer(latents)
    out.loss.backward()
    z, entries, indices = _by_hand(quantizer, latents)
    by_hand = 0.25 * 2 * (z - entries).reshape(latents.shape) / latents.numel()
    np.testing.assert_allclose(latents.grad.numpy(), by_hand, atol=1e-6)
    gradient = quantizer.codebooks.grad
    used = np.zeros((BOOKS, SIZE), dtype=bool)
    for book in range(BOOKS):
        used[book, indices[:, :, book].ravel()] = True
    np.testing.assert_array_equal(gradient.abs().sum(-1).numpy() > 0, used)


def test_the_gradient_goes_straight_through():
    quantizer, latents = _quantizer(), _latents().requires_grad_()
    weight = torch.randn(BATCH, TOKENS, CHANNELS)
    (quantizer(latents).z_q * weight).sum().backward()
    torch.testing.assert_close(latents.grad, weight)
    assert quantizer.codebooks.grad is None or not quantizer.codebooks.grad.any()


def test_codes_stand_for_the_quantised_latents():
    quantizer = _quantizer()
    out = quantizer(_latents())
    torch.testing.assert_close(quantizer.lookup(out.indices), out.z_q, atol=1e-6, rtol=1e-5)


def test_entries_quantise_to_themselves():
    quantizer = _quantizer()
    indices = torch.randint(SIZE, (BATCH, BOOKS, TOKENS))
    assert torch.equal(quantizer(quantizer.lookup(indices)).indices, indices)


def test_usage_is_the_share_of_entries_in_use():
    quantizer = _quantizer()
    indices = torch.tensor([[[0, 0, 1], [2, 2, 2], [3, 4, 5]]])
    usage = quantizer(quantizer.lookup(indices)).stats["codebook_usage"]
    assert usage.item() == pytest.approx((2 + 1 + 3) / (BOOKS * SIZE))


def test_under_autocast_everything_inside_is_fp32():
    # So many entries lie so close together that a search in bf16 finds others.
    torch.manual_seed(0)
    quantizer, latents = MultiCodebookQuantizer(CHANNELS, BOOKS, 512), _latents(tokens=50).bfloat16()
    plain = quantizer(latents.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = quantizer(latents)
    assert out.z_q.dtype == torch.bfloat16
    assert out.loss.dtype == torch.float32
    assert torch.equal(out.indices, plain.indices)
    assert out.loss.item() == plain.loss.item()


def test_by_default_there_is_no_state_but_the_codebooks_and_they_start_small():
    quantizer = _quantizer()
    assert set(quantizer.state_dict()) == {"codebooks"}
    assert quantizer.codebooks.abs().max() <= 1 / SIZE
    assert quantizer.codebooks.std().item() == pytest.approx(1 / SIZE / 3**0.5, rel=0.1)


def test_codebooks_can_start_from_the_first_training_batch():
    quantizer, latents = _quantizer(init="data"), _latents()
    assert set(quantizer.state_dict()) == {"codebooks", "initialised"}
    quantizer.eval()(latents)
    assert quantizer.codebooks.abs().max() <= 1 / SIZE  # not while evaluating
    quantizer.train()(latents)
    z = latents.reshape(-1, BOOKS, CHANNELS // BOOKS).transpose(0, 1)
    nearest = torch.cdist(quantizer.codebooks.detach(), z).amin(-1)
    assert nearest.max() < 0.15
    first = quantizer.codebooks.detach().clone()
    quantizer(_latents(seed=2))
    assert torch.equal(quantizer.codebooks, first)


def test_a_restored_codebook_is_not_drawn_again():
    trained, restored = _quantizer(init="data"), _quantizer(seed=3, init="data")
    trained(_latents())
    restored.load_state_dict(trained.state_dict())
    restored(_latents(seed=2))
    assert torch.equal(restored.codebooks, trained.codebooks)


def test_entries_without_use_are_moved_onto_latents_and_the_others_stay():
    quantizer = _quantizer(revive_after=2)
    assert set(quantizer.state_dict()) == {"codebooks", "idle_steps"}
    latents = quantizer.lookup(torch.tensor([[[0, 1], [0, 1], [0, 1]]])).detach()
    before = quantizer.codebooks.detach().clone()
    for _ in range(2):
        quantizer(latents)
        quantizer.end_step()
    quantizer(latents)
    assert torch.equal(quantizer.codebooks, before)
    quantizer.end_step()
    after = quantizer.codebooks.detach()
    assert torch.equal(after[:, :2], before[:, :2])
    z = latents.reshape(-1, BOOKS, CHANNELS // BOOKS).transpose(0, 1)
    moved = torch.cdist(after[:, 2:], z).amin(-1)
    assert moved.max() < 0.1 * torch.cdist(before[:, 2:], z).amin(-1).mean()
    assert not quantizer.idle_steps.any()


def test_no_entry_is_moved_while_evaluating():
    quantizer = _quantizer(revive_after=1).eval()
    before = quantizer.codebooks.detach().clone()
    for _ in range(4):
        quantizer(_latents(batch=1, tokens=1))
        quantizer.end_step()
    assert torch.equal(quantizer.codebooks, before)
    assert not quantizer.idle_steps.any()


def test_first_steps_can_pass_unquantised_and_the_codebooks_start_after_them():
    quantizer = MultiCodebookQuantizer(CHANNELS, BOOKS, SIZE, init="data", warmup_steps=2).train()
    before = quantizer.codebooks.detach().clone()
    for seed in range(2):
        out = quantizer(_latents(seed))
        torch.testing.assert_close(out.z_q, _latents(seed), rtol=0, atol=0)
        assert out.loss.item() == 0
        assert out.indices.shape == (BATCH, BOOKS, TOKENS)
        quantizer.end_step()
    torch.testing.assert_close(quantizer.codebooks.detach(), before, rtol=0, atol=0)
    assert quantizer(_latents(2)).loss.item() > 0
    assert not torch.equal(quantizer.codebooks, before)


def test_evaluation_quantises_during_the_first_steps_too():
    quantizer = MultiCodebookQuantizer(CHANNELS, BOOKS, SIZE, warmup_steps=2).eval()
    out = quantizer(_latents())
    torch.testing.assert_close(out.z_q, quantizer.lookup(out.indices))
    assert quantizer.steps_seen.item() == 0


def test_codebooks_that_cannot_share_the_channels_are_refused():
    with pytest.raises(ValueError, match="5 codebooks cannot share 12 channels"):
        MultiCodebookQuantizer(12, 5, 8)


def _same_codebooks(parts):
    """Return a quantizer after four steps, each of a batch that comes in so many parts."""
    quantizer = _quantizer(init="data", revive_after=1)
    torch.manual_seed(7)
    for step in range(4):
        latents = _latents(seed=step, batch=4).chunk(parts)
        if parts > 1 and quantizer.wants_preview():
            quantizer.begin_preview()
            for part in latents:
                assert torch.equal(quantizer(part).z_q, part)
            quantizer.end_preview()
        for part in latents:
            quantizer(part)
        quantizer.end_step()
    return quantizer.state_dict()


def test_how_a_batch_is_cut_does_not_show():
    whole, parts = _same_codebooks(1), _same_codebooks(4)
    assert whole.keys() == parts.keys() == {"codebooks", "initialised", "idle_steps"}
    torch.testing.assert_close(parts["codebooks"], whole["codebooks"])
    assert torch.equal(parts["idle_steps"], whole["idle_steps"])


def test_a_preview_is_wanted_once_and_after_the_unquantised_steps():
    assert not _quantizer().wants_preview()
    quantizer = _quantizer(init="data", warmup_steps=1)
    assert not quantizer.wants_preview()
    quantizer(_latents())
    quantizer.end_step()
    assert quantizer.wants_preview()
    quantizer(_latents())
    assert not quantizer.wants_preview()


def test_normalised_chunks_and_entries_are_used_at_length_one():
    torch.manual_seed(0)
    quantizer = MultiCodebookQuantizer(8, 2, 16, normalised=True)
    latents = torch.randn(2, 5, 8, requires_grad=True)
    out = quantizer(latents)
    z = F.normalize(latents.unflatten(-1, (2, 4)), dim=-1)
    entries = F.normalize(quantizer.codebooks, dim=-1)
    nearest = torch.stack([torch.cdist(z[:, :, i], entries[i]).argmin(-1) for i in range(2)], dim=1)
    assert torch.equal(out.indices, nearest)
    torch.testing.assert_close(out.z_q, quantizer.lookup(nearest))
    torch.testing.assert_close(out.loss, 1.25 * (z.flatten(2) - quantizer.lookup(nearest)).pow(2).mean())
    longer = quantizer(3 * latents)
    assert torch.equal(longer.indices, out.indices)
    torch.testing.assert_close(longer.loss, out.loss)
