"""Check the shape annotations of all code that handles tensors while it is tested.

The hook rewrites modules as they are imported, so it must be installed before anything of the package is. Users never
pay for it.
"""

import jaxtyping

jaxtyping.install_import_hook(
    ["vtbench.cost", "vtbench.data", "vtbench.evaluate", "vtbench.features", "vtbench.models", "vtbench.train"],
    "beartype.beartype",
)
