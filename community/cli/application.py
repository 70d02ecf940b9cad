"""The Typer application: all commands in one tree, and what the `community` script calls."""

from __future__ import annotations

import typer

from community.cli import (
    attack_command,
    broker_command,
    classic_command,
    init_command,
    join_command,
    lock_commands,
    machine_commands,
    mcp_command,
    mind_commands,
    model_commands,
    result_commands,
    retract_command,
    role_commands,
    run_command,
    study_command,
    transfer_command,
)
from community.cli.failures import ReportingGroup

_ABOUT = """
A community of research agents improves real training code on this machine.

Researchers post hypotheses on an MQTT board, review and reproduce one another's results, build on
one another's commits and share a pool of slots; a locked scorer that none of them can reach decides
what counts.

Try, in this order:

\b
  community doctor                  can this machine run it?
  community run quickstart          six researchers, about nine minutes, no GPU, no API key
  community show                    leaderboard of the newest run
  community report                  one HTML page with plots
  community run lone                the control: one agent alone
  community init PATH               your own repository
"""

_AFTER = """
A RUN is a run folder (runs/latest, or any folder with a ledger.db in it); the newest is taken when
you name none.
"""


def application() -> typer.Typer:
    """Return the command tree."""
    app = typer.Typer(
        cls=ReportingGroup,
        help=_ABOUT,
        epilog=_AFTER,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command("run", epilog=run_command.EXAMPLES)(run_command.run)
    app.command("init", epilog=init_command.EXAMPLES)(init_command.init)
    app.command("show")(result_commands.show)
    app.command("report")(result_commands.report)
    app.command("export")(result_commands.export)
    app.command("watch")(result_commands.watch)
    app.command("replay")(result_commands.replay)
    app.command("join", epilog=join_command.EXAMPLES)(join_command.join)
    app.command("mcp", epilog=mcp_command.EXAMPLES)(mcp_command.mcp)
    app.command("retract", epilog=retract_command.EXAMPLES)(retract_command.retract)
    app.command("prompt", epilog=mind_commands.PROMPT_EXAMPLES)(mind_commands.prompt)
    app.command("estimate")(mind_commands.estimate)
    app.command("attack", epilog=attack_command.EXAMPLES)(attack_command.attack)
    app.command("classic", epilog=classic_command.EXAMPLES)(classic_command.classic)
    app.command("study", epilog=study_command.EXAMPLES)(study_command.study)
    app.command("transfer", epilog=transfer_command.EXAMPLES)(transfer_command.transfer)
    app.command("doctor")(machine_commands.doctor)
    app.command("tasks")(machine_commands.tasks)
    app.command("roles", epilog=role_commands.EXAMPLES)(role_commands.roles)
    broker = typer.Typer(help=broker_command.ABOUT, no_args_is_help=True, rich_markup_mode=None)
    broker.callback()(lambda: None)
    broker.command("config")(broker_command.config)
    app.add_typer(broker, name="broker", short_help="Files for a Mosquitto of your own.")
    scenario = typer.Typer(help="Look at scenario files.", no_args_is_help=True)
    scenario.command("check")(machine_commands.check)
    app.add_typer(scenario, name="scenario")
    model = typer.Typer(help=model_commands.ABOUT, no_args_is_help=True, rich_markup_mode=None)
    model.command("fit")(model_commands.fit)
    model.command("show")(model_commands.show)
    app.add_typer(model, name="model", short_help="Landscapes learnt from real runs.")
    lock = typer.Typer(help=lock_commands.ABOUT, no_args_is_help=True, rich_markup_mode=None)
    lock.command("write")(lock_commands.write)
    lock.command("verify")(lock_commands.verify)
    app.add_typer(lock, name="lock", short_help="What a task's scores rest on.")
    return app


def main() -> None:
    """Run the command line with `sys.argv` and exit with its status."""
    application()()
