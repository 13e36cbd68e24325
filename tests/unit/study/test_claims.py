import pytest

from vtbench.errors import StudyError
from vtbench.study.cards import load_cards
from vtbench.study.claims import choose_claims, load_claims

GOOD = """claims:
  - id: ratio
    group: Costs
    text: Twice as dear.
    source: a paper
    terms:
      dear: {model: big}
      cheap: {model: small, resolution: 64x64}
    as_published: {dear: full, cheap: linear_only}
    figures:
      - {label: ratio, published: 2, unit: x, formula: dear / cheap}
  - id: speed
    group: Speed
    text: Fast.
    source: a paper
    needs: a GPU
"""


def _load(tmp_path, text, models=("big", "small")):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    return load_claims(path, models)


def test_the_file_of_claims_is_right_and_its_models_exist():
    claims = load_claims(models=load_cards())
    assert len(claims) > 30
    assert {"ablation-gflops", "grid-33-percent", "gen-63x", "flextok-vocabulary"} <= {claim.id for claim in claims}


def test_a_good_file(tmp_path):
    ratio, speed = _load(tmp_path, GOOD)
    assert ratio.terms["cheap"].resolution == "64x64"
    assert ratio.tolerance_percent == 1
    assert ratio.conventions[0] == "full"
    assert speed.figures == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("label: ratio", "lable: ratio", "claims.yaml:11: unknown key 'claims[0].figures[0].lable'. Did you mean"),
        ("published: 2", "published: two", "claims.yaml:11: claims[0].figures[0].published: a number is needed"),
        ("unit: x", "unit: GFLOP", "'GFLOP'. Did you mean 'GFLOPs'?"),
        (
            "dear / cheap",
            "dear / cheep",
            "claims.yaml:11: ratio: the formula has no term 'cheep'. Did you mean 'cheap'",
        ),
        ("dear / cheap", "dear", "claims.yaml:8: ratio: no formula uses the term 'cheap'."),
        ("dear / cheap", "open(dear) + cheap", "there is no function 'open'"),
        ("model: big", "model: bigg", "claims.yaml:7: ratio: no model is called 'bigg'. Did you mean 'big'?"),
        ("model: big", "model: big, value: 3", "a term has a value or a model, and not both"),
        ("resolution: 64x64", "resolution: 64", "claims.yaml:8"),
        ("cheap: linear_only", "cheap: linear_olny", "claims.yaml:9: ratio: no convention is called 'linear_olny'."),
        ("dear: full, ", "", "needs a convention for every term that counts FLOPs; add dear"),
        ("dear: full, ", "dear: full, deer: full, ", "no term 'deer' counts FLOPs. Did you mean 'dear'?"),
        ("as_published:", "conventions: [macs]\n    as_published:", "'full' must be one of the conventions"),
        ("as_published:", "conventions: [full, mac]\n    as_published:", "no convention is called 'mac'"),
        ("id: speed", "id: ratio", "claims.yaml:12: the id 'ratio' is taken; line 2 has it too."),
        ("id: speed", "id: Speed", "claims.yaml:12: Speed: an id has small letters"),
        ("      dear:", "      min:", "'min' cannot name a term"),
        ("    needs: a GPU\n", "", "claims.yaml:12: speed: nothing tests this claim"),
        (", formula: dear / cheap", "", "the figure 'ratio' has no formula"),
        ("claims:", "claim:", "Did you mean 'claims'?"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(StudyError) as caught:
        _load(tmp_path, GOOD.replace(old, new, 1))
    assert said in str(caught.value)


def test_every_problem_is_named(tmp_path):
    with pytest.raises(StudyError) as caught:
        _load(tmp_path, GOOD.replace("model: big", "model: c").replace("model: small", "model: d"))
    assert len(str(caught.value).splitlines()) == 2


def test_models_are_checked_only_if_they_are_known(tmp_path):
    assert _load(tmp_path, GOOD.replace("model: big", "model: nobody"), None)[0].terms["dear"].model == "nobody"


def test_claims_are_chosen_in_the_files_order(tmp_path):
    claims = _load(tmp_path, GOOD)
    assert choose_claims(claims, ()) == claims
    assert choose_claims(claims, ["speed", "ratio"]) == claims
    assert choose_claims(claims, ["speed"]) == claims[1:]
    with pytest.raises(StudyError, match=r"No claim is called 'sped'. Did you mean 'speed'"):
        choose_claims(claims, ["sped"])
