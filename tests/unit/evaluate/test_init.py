import subprocess
import sys

import pytest

from vtbench.errors import RegistryError
from vtbench.evaluate import METRICS


def test_listing_needs_no_torch():
    code = "import sys, vtbench.evaluate as e; e.METRICS.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(RegistryError, match=r"No metric is called 'psnrr'\. Did you mean 'psnr'"):
        METRICS.check("psnrr")
