def test_a_study_that_never_ran(call):
    result = call("report", "small")
    assert result.exit_code == 2
    assert "has no plan of 'small'" in result.stderr


def test_a_report_that_is_not_there(call):
    result = call("report", "studies/small.yaml", "--check")
    assert result.exit_code == 2
    assert "reports/small" in result.stderr


def test_a_report_without_data_cannot_be_rendered_from_them(call):
    result = call("report", "small", "--from-data")
    assert result.exit_code == 2
    assert "reports/small" in result.stderr


def test_checking_and_writing_do_not_go_together(call):
    result = call("report", "small", "--check", "--from-data")
    assert result.exit_code == 2
    assert "--check and --from-data" in result.stderr
