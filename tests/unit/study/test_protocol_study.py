import subprocess
import sys
from pathlib import Path

import pytest

from vtbench.errors import StudyError
from vtbench.schema.preset import CANONICAL
from vtbench.study.protocol_study import load_protocol_study

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "tests" / "fakes" / "small_protocol_study.yaml").read_text()


@pytest.fixture
def load(tmp_path):
    """Load the study, with one piece of its text replaced."""

    def load(old="", new=""):
        assert old in TEXT
        (tmp_path / "small.yaml").write_text(TEXT.replace(old, new, 1))
        return load_protocol_study(tmp_path / "small.yaml")

    return load


def test_a_good_file(load):
    study = load()
    assert [arm.name for arm in study.arms][:2] == ["canonical", "seed_voken"]
    assert study.degradations[1].kind == "jpeg"
    assert study.arm("truncate").resolved().changes(CANONICAL)["rounding"] == ("round", "truncate")


def test_the_committed_study():
    study = load_protocol_study(ROOT / "studies" / "protocols.yaml")
    assert {"canonical", "titok", "llamagen", "seed_voken", "unitok", "alit"} <= {arm.preset for arm in study.arms}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("question:", "qestion:", "qestion", "unknown key 'qestion'. Did you mean 'question'?"),
        ("preset: seed_voken", "preset: seedvoken", "  seed_voken:", "Did you mean 'seed_voken'?"),
        ("prepared_by: canonical", "prepared_by: canonic", "  unitok:", "prepared_by: 'canonic' is no protocol."),
        ("rounding: truncate", "rouding: truncate", "  truncate:", "'rouding' is no field of images. Did you mean"),
        ("rounding: truncate", "rounding: floor", "  truncate:", "'floor' is no rounding of any protocol."),
        ("rounding: truncate", "antialias: 'False'", "  truncate:", "arms.truncate.set.antialias: Input should be"),
        ("reference_jpeg: 75", "reference_jpeg: 100", "  jpeg:", "whole number from 1 to 95"),
        ("reference: other images", "reference: others", "  others:", "arms.others.reference"),
        ("strength: 20", "strength: 20.5", "  jpeg_20:", "degradations.jpeg_20.strength: a JPEG quality"),
        ("kind: blur", "kind: smear", "  blur_1:", "degradations.blur_1.kind"),
        ("reference_arm: canonical", "reference_arm: canon", "reference_arm:", "Did you mean 'canonical'?"),
        ("rfid, psnr]", "rfid, psrn]", "metrics:", "'psrn' is no metric. Did you mean 'psnr'?"),
        ("rfid, psnr]", "rfid, rfid]", "metrics:", "twice"),
        ("name: icons", "name: icns", "data:", "Did you mean 'icons'?"),
        ("resolution: 32x32", "resolution: '32'", "resolution: '", "HEIGHTxWIDTH"),
    ],
)
def test_a_mistake_is_named_with_its_line(load, tmp_path, old, new, line, words):
    with pytest.raises(StudyError) as error:
        load(old, new)
    lines = (tmp_path / "small.yaml").read_text().splitlines()
    number = next(index for index, text in enumerate(lines, 1) if text.startswith(line))
    assert f"small.yaml:{number}: " in str(error.value)
    assert words in str(error.value)


def test_reading_a_study_does_not_import_torch():
    code = (
        "import sys; from pathlib import Path; from vtbench.study.protocol_study import load_protocol_study;"
        "load_protocol_study(Path('studies/protocols.yaml')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
