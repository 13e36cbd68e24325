import pytest
import torch

from vtbench.errors import RegistryError, WeightsError
from vtbench.models.losses.tokenizer_loss import TokenizerLoss
from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.models.tokenizers.base import TokenizerOutput
from vtbench.schema.run import GanConfig, LossConfig, PerceptualConfig

GAN = GanConfig(start_step=10, base_channels=4, num_layers=1, weight=0.1, discriminator_factor=0.5, lecam_weight=0.01)


def _output(reconstruction, loss=0.5):
    z_q = torch.zeros(2, 4, 8)
    quantizer = QuantizerOutput(
        z_q=z_q, indices=torch.zeros(2, 1, 4, dtype=torch.int64), loss=torch.tensor(loss), stats={}
    )
    return TokenizerOutput(reconstruction=reconstruction, quantizer=quantizer)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.rand(2, 3, 16, 16, requires_grad=True), torch.rand(2, 3, 16, 16)


def test_terms_are_weighted_and_reported_unweighted(pair):
    reconstruction, targets = pair
    total, scalars = TokenizerLoss(LossConfig(mse=2.0, quantizer=3.0)).generator(_output(reconstruction), targets, 0)
    mse = (reconstruction - targets).square().mean()
    assert total.item() == pytest.approx(2 * mse.item() + 1.5)
    assert set(scalars) == {"loss", "mse", "quantizer"}
    assert scalars["mse"].item() == pytest.approx(mse.item())
    assert scalars["loss"].item() == total.item()
    assert not any(value.requires_grad for value in scalars.values())


def test_a_perceptual_term_is_added_and_not_saved(pair):
    reconstruction, targets = pair
    config = LossConfig(mse=0.0, quantizer=0.0, perceptual=(PerceptualConfig(name="effnet_lite0", weight=0.5),))
    loss = TokenizerLoss(config)
    total, scalars = loss.generator(_output(reconstruction), targets, 0)
    assert total.item() == pytest.approx(0.5 * scalars["perceptual_effnet_lite0"].item())
    total.backward()
    assert reconstruction.grad.abs().sum() > 0
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []


def test_perceptual_networks_follow_to():
    loss = TokenizerLoss(LossConfig(perceptual=(PerceptualConfig(),))).to(torch.float64)
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    assert {parameter.dtype for parameter in loss._perceptual[0].parameters()} == {torch.float64}
    assert loss._perceptual[0](image, image) == 0


def test_the_gan_begins_at_its_step(pair):
    reconstruction, targets = pair
    loss = TokenizerLoss(LossConfig(gan=GAN))
    assert not loss.gan_active(9)
    assert loss.gan_active(10)
    before, scalars = loss.generator(_output(reconstruction), targets, 9)
    assert "gan_generator" not in scalars
    after, scalars = loss.generator(_output(reconstruction), targets, 10)
    assert after.item() == pytest.approx(before.item() + 0.1 * scalars["gan_generator"].item())
    assert scalars["gan_generator"].item() == pytest.approx(-loss.patch_discriminator(reconstruction).mean().item())


def test_each_side_trains_its_own_parameters(pair):
    reconstruction, targets = pair
    loss = TokenizerLoss(LossConfig(mse=0.0, quantizer=0.0, gan=GAN))
    loss.generator(_output(reconstruction), targets, 10)[0].backward()
    assert reconstruction.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in loss.parameters())
    reconstruction.grad = None
    loss.discriminator(targets, reconstruction, 10)[0].backward()
    assert reconstruction.grad is None
    assert all(parameter.grad is not None for parameter in loss.parameters())


def test_the_discriminator_loss_is_hinge_and_lecam(pair):
    reconstruction, targets = pair
    loss = TokenizerLoss(LossConfig(gan=GAN))
    loss.lecam.real.fill_(0.5)
    total, scalars = loss.discriminator(targets, reconstruction, 10)
    hinge, lecam = scalars["gan_discriminator"].item(), scalars["gan_lecam"].item()
    assert lecam > 0
    assert total.item() == pytest.approx(0.5 * hinge + 0.01 * lecam)
    assert set(scalars) == {"gan_discriminator", "gan_lecam", "gan_real", "gan_fake"}


def test_lecam_averages_move_in_training_only_and_are_restored(pair):
    reconstruction, targets = pair
    loss = TokenizerLoss(LossConfig(gan=GAN)).eval()
    loss.discriminator(targets, reconstruction, 10)
    loss.lecam.end_step()
    assert loss.lecam.real == 0
    loss.train()
    loss.discriminator(targets, reconstruction, 10)
    loss.lecam.end_step()
    assert loss.lecam.real != 0
    other = TokenizerLoss(LossConfig(gan=GAN))
    other.load_state_dict(loss.state_dict())
    assert other.lecam.real == loss.lecam.real
    assert {key.split(".")[0] for key in loss.state_dict()} == {"patch_discriminator", "lecam"}


def test_the_discriminator_before_its_step_is_a_bug(pair):
    reconstruction, targets = pair
    with pytest.raises(AssertionError, match="begins at step 10"):
        TokenizerLoss(LossConfig(gan=GAN)).discriminator(targets, reconstruction, 9)


def test_check_finds_unknown_names_and_missing_files(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    TokenizerLoss.check(LossConfig(perceptual=(PerceptualConfig(name="effnet_lite0"),)))
    with pytest.raises(WeightsError):
        TokenizerLoss.check(LossConfig(perceptual=(PerceptualConfig(name="lpips"),)))
    with pytest.raises(RegistryError, match="convnext_s"):
        TokenizerLoss.check(LossConfig(perceptual=(PerceptualConfig(name="convnext"),)))
