import pytest

from vtbench.data import DATASETS
from vtbench.evaluate import METRICS
from vtbench.features import FEATURES
from vtbench.models.generators import GENERATORS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.study.cards import load_cards


@pytest.mark.parametrize(
    ("kind", "registry"),
    [
        ("metrics", METRICS),
        ("datasets", DATASETS),
        ("tokenizers", TOKENIZERS),
        ("generators", GENERATORS),
        ("features", FEATURES),
    ],
)
def test_registries(call, kind, registry):
    words = call("list", kind).stdout.split()
    assert set(registry.names()) <= set(words)


def test_studies_with_their_questions_and_broken_ones(call, folder):
    (folder / "studies" / "bad.yaml").write_text("name: bad\nquetion: x\n")
    text = call("list", "studies").stdout
    assert any(line.split() == ["small", "Which", "positions?"] for line in text.splitlines())
    assert "broken: studies/bad.yaml:2: unknown key 'quetion'" in text


def test_models_are_what_cost_can_count(call):
    lines = call("list", "models").stdout.splitlines()
    assert {line.split()[0] for line in lines if line.strip()} >= set(load_cards())
    assert any("generator: LlamaGen GPT-XXL" in line for line in lines)


def test_claims_are_no_baseline(call):
    text = call("list", "baselines").stdout
    assert "titok" in text
    assert "claims" not in text
    assert "broken" not in text


def test_everything(call):
    text = call("list").stdout
    for kind in ("studies", "tokenizers", "datasets", "metrics", "features", "baselines", "models"):
        assert f"{kind} " in text
    assert "vibetoken" in text
