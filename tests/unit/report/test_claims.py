import json

import pytest

from vtbench.errors import StoreError
from vtbench.report.claims import check_claims, load_audit, render_claims
from vtbench.schema.claim import Audit, Claim, ClaimedFigure, ClaimResult, Term, judge
from vtbench.schema.record import Provenance

MADE = Provenance(
    commit="abc", dirty_hash=None, packages={"torch": "2", "rich": "9"}, hardware="h", command="c", started="2026"
)


def _result(name, published, figures, needs="", formula="a / b"):
    claim = Claim(
        id=name,
        group="Costs <of all>",
        text=f"The claim {name} & more",
        source="a paper",
        terms={"a": Term(model="big"), "b": Term(value=2, about="a divisor")},
        figures=(ClaimedFigure(label="ratio", published=published, unit="x", formula=formula),),
        needs=needs,
        lesson="Look twice.",
    )
    verdict, convention = judge(claim, (figures,))
    terms = {"a": {rule: 2e9 * value for rule, value in figures.items()}, "b": {"any": 2.0}}
    return ClaimResult(claim=claim, verdict=verdict, convention=convention, terms=terms, figures=(figures,))


@pytest.fixture
def audit():
    return Audit(
        results=(
            _result("held", 5, {"full": 5.01, "macs": 2.5}),
            _result("hooked", 2.5, {"full": 5.01, "macs": 2.5}),
            _result("wrong", 9, {"full": 5.01, "macs": 2.5}),
            _result("later", 9, {}, needs="a GPU", formula=None),
        ),
        tool="a counter",
        provenance=MADE,
    )


@pytest.fixture
def claims(audit):
    return tuple(result.claim for result in audit.results)


def test_both_forms_show_verdicts_arithmetic_and_the_honest_figure(tmp_path, audit):
    html = render_claims(audit, tmp_path).read_text()
    text = (tmp_path / "README.md").read_text()
    for form in (html, text):
        assert "reproduced only under macs" in form
        assert "a / b = 10 G / 2" in form or "a / b = 10.02 G / 2" in form
        assert "Everything counted (full)" in form
        assert "+100 %" in form
        assert "a GPU" in form
        assert "Look twice." in form
        assert "multiply-accumulates of every matrix product" in form
        assert "torch 2" in form
        assert "rich" not in form
        assert "hook_no_mha" not in form  # a convention that nothing was counted under
    assert "Costs &lt;of all&gt;" in html
    assert "<of all>" not in html
    assert "http" not in html
    assert "Look twice.\n\n| Figure |" in text


def test_claims_stand_under_their_verdict(tmp_path, audit):
    render_claims(audit, tmp_path)
    text = (tmp_path / "README.md").read_text()
    order = ["another convention\n", "[hooked]", "## Contradicted", "[wrong]", "## Reproduced\n", "[held]", "[later]"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "- Contradicted: 1" in text


def test_a_report_is_checked_against_its_data_and_the_claims(tmp_path, audit, claims):
    render_claims(audit, tmp_path)
    assert load_audit(tmp_path) == audit
    check_claims(tmp_path, claims)
    changed = claims[1].model_copy(update={"text": "other"})
    with pytest.raises(StoreError, match="the claim hooked is not what was audited"):
        check_claims(tmp_path, (claims[0], changed, *claims[2:]))
    with pytest.raises(StoreError, match="the claims held, hooked are not"):
        check_claims(tmp_path, claims[2:])
    with pytest.raises(StoreError, match="another order"):
        check_claims(tmp_path, claims[::-1])
    (tmp_path / "index.html").write_text("old")
    with pytest.raises(StoreError, match=r"index\.html is stale: run `python -m vtbench audit`"):
        check_claims(tmp_path, claims)


def test_a_report_that_is_not_there_or_broken(tmp_path, claims):
    with pytest.raises(StoreError, match="holds no audit"):
        check_claims(tmp_path, claims)
    (tmp_path / "data.json").write_text(json.dumps({"schema_version": 1, "results": 3}))
    with pytest.raises(StoreError, match=r"data\.json"):
        load_audit(tmp_path)
