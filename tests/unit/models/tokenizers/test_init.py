import subprocess
import sys

import pytest

from vtbench.errors import RegistryError
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.schema.base import Frozen


@pytest.mark.parametrize("name", TOKENIZERS.names())
def test_every_row_is_a_tokenizer_with_options_of_its_own(name):
    kind = TOKENIZERS.load(name)
    assert issubclass(kind, Tokenizer)
    assert issubclass(kind.Config, Frozen)
    assert kind.Config is not Frozen


def test_listing_needs_no_torch():
    code = "import sys, vtbench.models.tokenizers as t; t.TOKENIZERS.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(RegistryError, match="Did you mean 'vibetoken'"):
        TOKENIZERS.load("vibetokn")
