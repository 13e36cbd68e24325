import subprocess
import sys

import pytest

from vtbench.errors import RegistryError
from vtbench.models.generators import GENERATORS
from vtbench.models.generators.base import Generator
from vtbench.schema.base import Frozen


@pytest.mark.parametrize("name", GENERATORS.names())
def test_every_row_is_a_generator_with_options_of_its_own(name):
    kind = GENERATORS.load(name)
    assert issubclass(kind, Generator)
    assert issubclass(kind.Config, Frozen)
    assert kind.Config is not Frozen


def test_listing_needs_no_torch():
    code = "import sys, vtbench.models.generators as g; g.GENERATORS.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(RegistryError, match="Did you mean 'llamagen'"):
        GENERATORS.load("lamagen")
