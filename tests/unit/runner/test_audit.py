import pytest

from vtbench.errors import CostError
from vtbench.runner.audit import audit_claims
from vtbench.schema.baseline import ModelCard
from vtbench.schema.claim import Claim, ClaimedFigure, Term
from vtbench.schema.record import Provenance
from vtbench.study.cards import load_cards, workload
from vtbench.study.claims import load_claims

MADE = Provenance(commit=None, dirty_hash=None, packages={}, hardware="h", command="c", started="2026")
LAYER = {"width": 32, "num_layers": 1, "num_heads": 2}
CARDS = {
    "tokenizer": ModelCard(
        kind="tokenizer",
        title="small",
        config={
            "name": "vibetoken", "encoder": LAYER, "decoder": LAYER, "num_latent_tokens": 4, "latent_width": 8,
            "num_codebooks": 2, "codebook_size": 4, "patch_embed": "fixed", "patch_size": 8,
        },
        resolution="32x32",
        num_tokens=4,
        source="made up",
    ),
    "generator": ModelCard(
        kind="generator",
        title="small",
        config={
            "name": "vibetoken_gen", "size": LAYER, "num_head_layers": 1, "num_codebooks": 2, "codebook_size": 8,
            "max_num_tokens": 8, "num_classes": 3, "ffn_multiple": 1,
        },
        num_tokens=4,
        source="made up",
    ),
}  # fmt: skip
TRUNK = 4 * 32**2 + 3 * 32 * 85  # attention's four matrices and SwiGLU's three, of width int(8 / 3 * 32)


def _audit(terms, *figures, published=1.0, **fields):
    claim = Claim(
        id="one",
        group="g",
        text="t",
        source="s",
        terms={name: Term(**term) for name, term in terms.items()},
        figures=tuple(ClaimedFigure(label=text, published=published, unit="FLOPs", formula=text) for text in figures),
        **fields,
    )
    found = audit_claims([claim], CARDS, workload, MADE)
    return found, found.results[0]


def test_a_generator_is_counted_under_each_convention():
    forward = 2 * TRUNK * 5  # the condition and 4 tokens
    found, result = _audit({"a": {"model": "generator"}}, "a", published=forward)
    assert (result.verdict, result.convention) == ("reproduced under", "trunk_only")
    values = result.figures[0]
    assert list(values) == ["full", "macs", "linear_only", "hook_no_mha", "trunk_only"]
    assert values["trunk_only"] == forward
    assert values["full"] == 2 * values["macs"] > values["linear_only"] > values["trunk_only"]
    assert result.terms["a"] == values
    assert "fvcore" in found.tool
    assert found.provenance == MADE


def test_conventions_for_generators_are_not_tried_on_tokenizers():
    _, result = _audit({"a": {"model": "tokenizer"}, "b": {"model": "generator"}}, "a / b")
    assert list(result.figures[0]) == ["full", "macs", "linear_only", "hook_no_mha"]


def test_a_ratio_whose_sides_were_counted_differently():
    terms = {"a": {"model": "generator", "num_tokens": 8}, "b": {"model": "generator"}}
    _, alike = _audit(terms, "a / b", published=9 / 5, conventions=("full", "trunk_only"))
    assert alike.convention == "trunk_only"
    both = {"a": "full", "b": "trunk_only"}
    plain = alike.terms["a"]["full"] / alike.terms["b"]["trunk_only"]
    _, mixed = _audit(terms, "a / b", published=plain, as_published=both)
    assert (mixed.verdict, mixed.convention) == ("reproduced under", "as published")
    assert mixed.terms["a"]["as published"] == alike.terms["a"]["full"]
    assert mixed.terms["b"]["as published"] == alike.terms["b"]["trunk_only"]


def test_parts_options_and_components_of_models():
    terms = {
        "trunk": {"model": "generator", "quantity": "parameters", "part": "trunk"},
        "deep": {
            "model": "generator",
            "quantity": "parameters",
            "part": "trunk",
            "set": {"size": {**LAYER, "num_layers": 3}},
        },
        "tokens": {"model": "tokenizer", "quantity": "tokens"},
        "decode": {"model": "tokenizer", "component": "decode"},
        "encode": {"model": "tokenizer", "component": "encode"},
        "quantize": {"model": "tokenizer", "component": "quantize"},
        "all": {"model": "tokenizer"},
    }
    _, result = _audit(terms, "trunk + deep", "tokens", "all - decode - encode - quantize")
    trunk, deep = result.terms["trunk"]["any"], result.terms["deep"]["any"]
    assert deep - trunk == pytest.approx(2 * TRUNK, rel=0.02)  # norms are the rest
    assert result.terms["tokens"] == {"any": 4}
    assert set(result.figures[2].values()) == {0}


def test_products_of_attention_alone():
    terms = {"a": {"model": "generator", "quantity": "attention_flops"}, "all": {"model": "generator"}}
    _, result = _audit(terms, "a", "all", conventions=("full", "linear_only"))
    assert result.terms["a"]["any"] == result.terms["all"]["full"] - result.terms["all"]["linear_only"] > 0


def test_plain_arithmetic_needs_no_model():
    found, result = _audit({"eight": {"value": 8}, "five": {"value": 5}}, "eight**3 * five**3", published=64000)
    assert (result.verdict, result.convention) == ("reproduced", "any")
    assert found.tool == "arithmetic alone"


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ({"model": "tokeniser"}, "no model is called 'tokeniser'. Did you mean 'tokenizer'"),
        ({"model": "tokenizer", "component": "decod"}, "has no component 'decod'. Did you mean 'decode'"),
        ({"model": "generator", "quantity": "parameters", "part": "trunc"}, "no part 'trunc'. Did you mean 'trunk'"),
        ({"model": "tokenizer", "resolution": "33x32"}, "33"),
        ({"model": "tokenizer", "set": {"pos_embd": "grid"}}, "no option 'pos_embd'. Did you mean 'pos_embed'"),
    ],
)
def test_what_cannot_be_counted_is_an_error_and_no_verdict(term, said):
    with pytest.raises(CostError) as caught:
        _audit({"a": term}, "a")
    assert str(caught.value).startswith("The claim 'one' cannot be recomputed: ")
    assert said in str(caught.value)


def test_a_formula_without_a_result_is_an_error():
    with pytest.raises(CostError, match="'one' cannot be recomputed: 'a / 0' has no result"):
        _audit({"a": {"value": 1}}, "a / 0")


VERDICTS = {
    "ablation-gflops": "hook_no_mha",
    "grid-33-percent": "hook_no_mha",
    "adaptive-patch-3x": "hook_no_mha",
    "tokenizer-1t": "hook_no_mha",
    "tokenizer-constant": "full",
    "gen-179g": "trunk_only",
    "gen-constant": "full",
    "llamagen-growth": "linear_only",
    "gen-63x": "as published",
    "llamagen-sizes": "any",
    "flextok-vocabulary": "any",
    "flextok-ar-sizes": "any",
    "tokens-16x-64x": "any",
    "flextok-epochs": None,
    "ibq-match": None,
}


@pytest.mark.slow
def test_the_published_claims_come_out_as_known():
    cards = load_cards()
    claims = [claim for claim in load_claims(models=cards) if claim.id in VERDICTS]
    found = {result.claim.id: result.convention for result in audit_claims(claims, cards, workload, MADE).results}
    assert found == VERDICTS
