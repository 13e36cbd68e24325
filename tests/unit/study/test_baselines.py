import pytest

from vtbench.errors import StoreError, StudyError
from vtbench.study.baselines import CLAIMS, baseline_names, load_baseline

GOOD = """
name: other
title: Another system
architecture: a network
models:
  other-s: {kind: tokenizer, title: small, config: {name: vibetoken}, source: s}
figures:
  - {row: Second, metric: rfid, value: 1.5, protocol: p, source: s, comparable: true, why: w}
  - {row: First, metric: rfid, value: 2, protocol: p, source: s, comparable: true, why: w}
"""


@pytest.mark.parametrize("name", baseline_names())
def test_every_baseline_loads_and_says_each_figure_once(name):
    figures = load_baseline(name).figures
    assert figures
    keys = [(figure.row, figure.metric, str(figure.params)) for figure in figures]
    assert len(set(keys)) == len(keys)


def test_published_values_are_what_their_sources_say():
    def values(name, metric, **params):
        found = [f for f in load_baseline(name).figures if f.metric == metric and params.items() <= f.params.items()]
        return {figure.row: figure.value for figure in found}

    assert values("flextok", "gfid", num_tokens=32)["d18-d28"] == 1.86
    assert values("flextok", "rfid", num_tokens=4) == {
        "uniform nested dropout": 19.97,
        "pow2 dropout": 10.39,
        "unifpow2 dropout": 30.17,
    }
    assert values("llamagen", "gflops_as_published") == {"GPT-XXL": 11300}
    assert values("titok", "rfid", num_tokens=128, table="GPSToken") == {"S-128": 1.73}
    assert values("ibq", "rfid", num_tokens=256)["262144 codes"] == 1.00


def test_the_list_of_claims_is_no_system(tmp_path):
    (tmp_path / "b.yaml").touch()
    (tmp_path / "a.yaml").touch()
    (tmp_path / f"{CLAIMS}.yaml").touch()
    assert baseline_names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: other", "name: wrong", r"other\.yaml:2: name is 'wrong'"),
        ("row: Second", "raw: Second", r"other\.yaml:8"),
        ("value: 2", "value: two", r"other\.yaml:9: figures\.1\.value"),
        ("architecture: a network", "architecture: a network\ncheckpont: x", "Did you mean 'checkpoint'"),
        ("title: small", "titel: small", r"other\.yaml:6: models\.other-s\.titel: .* Did you mean 'title'"),
        ("source: s}", "source: s, patch: 0}", r"other\.yaml:6: models\.other-s\.patch"),
        ("{name: vibetoken}", "{encoder: small}", "config needs the 'name' of a registered component"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, old, new, said):
    (tmp_path / "other.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(StoreError, match=said):
        load_baseline("other", tmp_path)


def test_a_repeated_key_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "other.yaml").write_text(GOOD + "title: again\n")
    with pytest.raises(StudyError, match="repeated"):
        load_baseline("other", tmp_path)
    with pytest.raises(StoreError, match="Did you mean 'other'"):
        load_baseline("othr", tmp_path)
