"""The program: its verbs, and what becomes of errors.

A `VtbenchError` is a message on standard error and the error's exit code, without a traceback; a mistyped command is
2; Ctrl-C is 130. Anything else is a fault of this program and is shown in full.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from vtbench.cli.audit import audit
from vtbench.cli.cancel import cancel
from vtbench.cli.cost import cost
from vtbench.cli.evaluate import evaluate
from vtbench.cli.list import list_names
from vtbench.cli.plan import plan
from vtbench.cli.protocols import protocols
from vtbench.cli.report import report
from vtbench.cli.run import run
from vtbench.cli.status import status
from vtbench.errors import VtbenchError

INTERRUPTED = 130


class VtbenchGroup(TyperGroup):
    """The verbs; turns the package's errors into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except VtbenchError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order in which a newcomer needs them."""
        return list(self.commands)


app = typer.Typer(
    cls=VtbenchGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.callback()
def describe() -> None:
    """Benchmarks and ablation studies for visual tokenizers.

    A study is one YAML file in `studies/` that asks one question, for example which position embedding reconstructs
    best at resolutions that were never trained on. Start with:

    `python -m vtbench run studies/smoke.yaml` — train, measure and report in under a minute

    `python -m vtbench plan studies/pos_embed.yaml --profile paper` — what the full scale would cost
    """


app.command("run")(run)
app.command("plan")(plan)
app.command("status")(status)
app.command("cancel")(cancel)
app.command("report")(report)
app.command("list")(list_names)
app.command("evaluate")(evaluate)
app.command("protocols")(protocols)
app.command("cost")(cost)
app.command("audit")(audit)
