"""Names to components, without importing any of them.

A registry is a table of `name -> "module:attribute"` strings. Listing names imports nothing; loading one imports its
module alone. A user's own package adds rows through the entry-point group `vtbench.plugins`: an entry point named
`<kind>.<name>` (for example `metric.my_metric = "my_package.metrics:MyMetric"`) is a row of the registry of that
kind.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from vtbench.errors import RegistryError, suggest

PLUGIN_GROUP = "vtbench.plugins"


class Registry:
    """A lazy table of components of one kind.

    Args:
        kind: what the rows are, in the singular; used in messages and in plugin names.
        table: name -> `"package.module:attribute"`.
    """

    def __init__(self, kind: str, table: Mapping[str, str]) -> None:
        self.kind = kind
        self._table = dict(table)
        self._plugins: dict[str, str] | None = None

    def _rows(self) -> dict[str, str]:
        if self._plugins is None:
            prefix = f"{self.kind}."
            self._plugins = {
                point.name.removeprefix(prefix): point.value
                for point in entry_points(group=PLUGIN_GROUP)
                if point.name.startswith(prefix)
            }
        return {**self._plugins, **self._table}

    def names(self) -> list[str]:
        """Return all names, sorted; imports nothing."""
        return sorted(self._rows())

    def __contains__(self, name: object) -> bool:
        return name in self._rows()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def check(self, name: str) -> None:
        """Raise a `RegistryError` with the nearest name if there is no such row; imports nothing."""
        if name not in self._rows():
            raise RegistryError(f"No {self.kind} is called '{name}'.{suggest(name, self.names())}")

    def load(self, name: str) -> Any:
        """Import and return the component called `name`.

        Raises:
            RegistryError: no such row, its module cannot be imported (the message names the missing package), or the
                module lacks the attribute.
        """
        self.check(name)
        module_name, _, attribute = self._rows()[name].partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise RegistryError(
                f"The {self.kind} '{name}' needs the package '{error.name}', which is not installed."
                ' `pip install -e ".[demo]"` installs what the embedded data and features need.'
            ) from error
        if not hasattr(module, attribute):
            raise RegistryError(
                f"The {self.kind} '{name}' is registered as {module_name}:{attribute}, and {module_name} has no"
                f" '{attribute}'.{suggest(attribute, [each for each in dir(module) if not each.startswith('_')])}"
            )
        return getattr(module, attribute)
