import pytest

from vtbench.errors import StudyError
from vtbench.launch.cluster_file import cluster_folder, load_cluster
from vtbench.schema.cluster import ClusterConfig


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def write(name, text):
        cluster_folder().mkdir(parents=True, exist_ok=True)
        (cluster_folder() / f"{name}.yaml").write_text(text)

    return write


def test_a_lab_writes_its_account_once(write):
    write("lab", "account: vision\npartition: h200\nsetup: [module load cuda]\nsbatch: {reservation: icml}\n")
    found = load_cluster("lab")
    assert found == ClusterConfig(
        account="vision", partition="h200", setup=("module load cuda",), sbatch={"reservation": "icml"}
    )


def test_plain_slurm_needs_no_file_and_may_have_one(write):
    assert load_cluster("slurm") == ClusterConfig()
    write("slurm", "account: vision\n")
    assert load_cluster("slurm").account == "vision"


def test_an_unknown_name_has_a_nearest_one(write):
    write("jureca", "account: x\n")
    with pytest.raises(StudyError, match="Did you mean 'jureca'") as caught:
        load_cluster("jurreca")
    assert str(cluster_folder() / "jurreca.yaml") in str(caught.value)


def test_a_mistake_has_its_place(write):
    write("lab", "account: vision\nminuets: 10\n")
    with pytest.raises(StudyError, match=r"lab\.yaml:2: unknown key 'minuets'\. Did you mean 'minutes'\?"):
        load_cluster("lab")
    write("lab", "minutes: soon\n")
    with pytest.raises(StudyError, match=r"lab\.yaml:1: minutes: a whole number is needed, not 'soon'"):
        load_cluster("lab")
