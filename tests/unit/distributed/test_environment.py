import pytest

from vtbench import distributed


def test_alone_it_is_the_only_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)


@pytest.mark.parametrize(("rank", "is_main"), [(0, True), (3, False)])
def test_the_launchers_variables_are_read_each_time(monkeypatch, rank, is_main):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (rank, 4, is_main)
