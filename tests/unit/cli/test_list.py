import pytest

from vtbench.data import DATASETS
from vtbench.evaluate import METRICS
from vtbench.features import FEATURES
from vtbench.models.tokenizers import TOKENIZERS


@pytest.mark.parametrize(
    ("kind", "registry"),
    [("metrics", METRICS), ("datasets", DATASETS), ("tokenizers", TOKENIZERS), ("features", FEATURES)],
)
def test_registries(call, kind, registry):
    words = call("list", kind).stdout.split()
    assert set(registry.names()) <= set(words)


def test_studies_with_their_questions_and_broken_ones(call, folder):
    (folder / "studies" / "bad.yaml").write_text("name: bad\nquetion: x\n")
    text = call("list", "studies").stdout
    assert any(line.split() == ["small", "Which", "positions?"] for line in text.splitlines())
    assert "broken: studies/bad.yaml:2: unknown key 'quetion'" in text


def test_everything(call):
    text = call("list").stdout
    for kind in ("studies", "tokenizers", "datasets", "metrics", "features", "baselines"):
        assert f"{kind} " in text
    assert "vibetoken" in text
