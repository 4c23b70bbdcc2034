"""The command tree, and how errors leave it: as messages and exit codes, never as tracebacks.

Exit codes: 0 done; 1 the answer is no (a mismatch, a quarantine with --strict, a failure); 2 misuse or wrong configuration;
130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from bus import __version__
from bus.cli.commands import CommandTree
from bus.cli.context import err
from bus.errors import BusError, ConfigurationError
from bus.ops.supervisor import EXIT_CONFIGURATION

_HELP = """Simpul: facts entered once in an agency become proven numbers.

[bold]Try it[/bold] (nothing but Python):
  bus demo                                   the whole bus with a made-up regency, until Ctrl-C

[bold]Process files and take the numbers away[/bold]:
  bus run --until-idle --input dlh=exports/ --export out/

[bold]Run it for real[/bold] (make kafka starts a node):
  export BUS_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092
  bus topics apply
  bus run --input dlh=/srv/dlh               all roles in one process tree
  bus verify --all                           recompute every published number from the log
  bus quarantine list                        what was refused, and why
  bus history dlh.pm25_mean                  what was published when, and why it changed
  bus withdraw dlh/ispu/3 --dry-run          take a wrongly sent batch back
  bus indicators deploy FILE --wait          bring a definition into force

[bold]Join[/bold]:
  bus new-agency perpustakaan --into DIR     a working agency to begin with
  bus try perpustakaan contoh.csv --overlay DIR
"""

app = typer.Typer(
    cls=CommandTree,
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"bus {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (default: this process's) and exit."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="bus")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0 if done.code is None else 1
    except ConfigurationError as error:
        for problem in error.problems:
            err.print(f"[red]error:[/red] {_plain(str(problem))}", soft_wrap=True)
        return EXIT_CONFIGURATION
    except BusError as error:
        err.print(f"[red]error:[/red] {_plain(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 (the outermost frame: what arrives here is a fault of ours)
        err.print(f"[red]internal error:[/red] {_plain(f'{type(error).__name__}: {error}')}", soft_wrap=True)
        if os.environ.get("BUS_LOG__LEVEL") == "debug":
            traceback.print_exc()
        else:
            err.print("This is a fault of the bus. Run it again with BUS_LOG__LEVEL=debug to see where, and report it.")
        return 1
    return 0


def _plain(text: str) -> str:
    """Text that may hold square brackets, safe to print with markup."""
    return text.replace("[", r"\[")
