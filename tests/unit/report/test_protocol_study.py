import re

import pytest

from vtbench.errors import StoreError
from vtbench.report.protocol_study import check, render, render_protocols


@pytest.fixture
def folder(protocol_data, tmp_path):
    return render_protocols(protocol_data, tmp_path).parent


def test_both_forms_show_question_values_refusal_and_credit(folder, protocol_data):
    for name in ("README.md", "index.html"):
        text = (folder / name).read_text()
        for piece in (protocol_data.study.question, "cut to 8 bits", "+30.00", "measured in two ways", "OpenMoji"):
            assert piece in text
    assert (folder / "figures" / "protocol_values.png").stat().st_size > 10_000
    assert not re.search(r"https?://", (folder / "index.html").read_text())


def test_a_report_is_a_function_of_its_data(folder):
    check(folder)
    before = (folder / "README.md").read_text()
    render(folder)
    assert (folder / "README.md").read_text() == before
    (folder / "README.md").write_text(before.replace("+30.00", "+31.00"))
    with pytest.raises(StoreError, match=r"README\.md is stale"):
        check(folder)
