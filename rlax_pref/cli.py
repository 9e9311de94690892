"""The command line: `rlax-pref COMMAND`. JAX is imported only once it is known what to do."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from rlax_pref.agents.configs import AGENTS
from rlax_pref.commands import COMMANDS, Train, summary
from rlax_pref.names import lookup

_ARGUMENTS = {
    "train": " AGENT",
    "resume": " RUN",
    "evaluate": " RUN",
    "collect": " RUN ...",
    "inspect": " FILE",
}


def _help(title: str, rows: dict[str, str], hint: str) -> str:
    width = max(map(len, rows))
    lines = [f"  {name:<{width}}  {what}" for name, what in rows.items()]
    return "\n".join([title, "", *lines, "", hint])


def parse(args: Sequence[str]) -> Any:
    """Turns arguments into a command, ready to be called. Imports no JAX.

    Raises:
      ValueError: a command or an agent is unknown.
      SystemExit: help was asked for, or an option is wrong; it has been said.
    """
    if not args or args[0] in ("-h", "--help"):
        rows = {f"{name}{_ARGUMENTS.get(name, '')}": summary(c) for name, c in COMMANDS.items()}
        hint = "Each has a --help of its own. RLAX_PREF_DEBUG=1 shows where an error came from."
        print(_help("usage: rlax-pref COMMAND ...", rows, hint))
        raise SystemExit(0)
    name, *rest = args
    command = lookup(COMMANDS, name, "command")
    program = f"rlax-pref {name}"
    if command is not Train:
        return tyro.cli(command, args=rest, prog=program)
    if not rest or rest[0].startswith("-"):
        rows = {agent: summary(config) for agent, config in AGENTS.items()}
        hint = "`rlax-pref train AGENT --help` shows what can be set."
        print(_help("usage: rlax-pref train AGENT --env ENV ...", rows, hint))
        raise SystemExit(0 if rest and rest[0] in ("-h", "--help") else 2)
    agent, *rest = rest
    config = lookup(AGENTS, agent, "agent")
    return tyro.cli(
        Train,
        args=rest,
        prog=f"{program} {agent}",
        default=Train(agent=agent, config=config()),
    )


def _prepare(command: Any) -> None:
    """Settles what JAX has to know before it looks for devices."""
    if command.cache:
        from rlax_pref import compilation

        compilation.enable_cache()
    if getattr(command, "devices", None):
        from rlax_pref import machines

        machines.split_cpu(command.devices)
    if getattr(command, "threads", None) is not None:
        from rlax_pref import machines

        machines.limit_threads(command.threads)
    if getattr(command, "distributed", False):
        from rlax_pref import machines

        machines.join()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    try:
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `rlax-pref list | head` ends quietly
        command = parse(sys.argv[1:] if args is None else args)
        _prepare(command)
        command()
    except (ArithmeticError, ImportError, OSError, RuntimeError, ValueError) as error:
        if os.environ.get("RLAX_PREF_DEBUG"):
            raise
        print(f"rlax-pref: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
