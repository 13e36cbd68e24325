import json

import pytest

QUICK = ("flextok-vocabulary", "flextok-epochs", "speed", "tokens-16x-64x")


def test_verdicts_come_with_their_arithmetic(call, folder):
    result = call("audit", *QUICK)
    assert result.exit_code == 0
    text = result.stdout
    assert text.index("CONTRADICTED (1)") < text.index("REPRODUCED (2)") < text.index("NOT TESTABLE HERE (1)")
    assert "eight**3 * five**3 = 8**3 * 5**3 = 64,000 entries (published 64,000 entries, 0.0 %)" in text
    assert "The arithmetic gives 98.39 B tokens instead of 94 B tokens." in text
    assert "Needed: One H100-class GPU" in text
    assert "grid_tokens / fewest = 4,096 / 64 = 64x" in text
    assert not (folder / "reports").exists()  # a part of the claims does not replace the report of all


def test_json(call):
    found = json.loads(call("audit", "flextok-vocabulary", "--json").stdout)
    assert found["results"][0]["verdict"] == "reproduced"
    assert found["results"][0]["figures"][0] == {"any": 64000.0}
    assert found["provenance"]["command"] == "python -m vtbench audit"


def test_a_report_of_some_claims_goes_where_it_is_told(call, folder):
    result = call("audit", *QUICK, "--report-dir", "out")
    assert "report: out/index.html" in result.stdout
    assert "64,000" in (folder / "out" / "README.md").read_text()
    stale = call("audit", "--check", "--report-dir", "out")
    assert stale.exit_code == 2
    assert "is stale: the claims " in stale.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["flextok-vocabulry"], "No claim is called 'flextok-vocabulry'. Did you mean 'flextok-vocabulary'?"),
        (["--check", "--report-dir", "nowhere"], "nowhere holds no audit"),
    ],
)
def test_mistakes(call, arguments, said):
    result = call("audit", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
