"""`linker completion SHELL`: prints the script with which a shell completes commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from linker.cli.verb import Verb

VARIABLE = "_LINKER_COMPLETE"
"""The variable by which the script asks linker for completions; click derives it from the name of the program."""


@click.command(
    "completion",
    cls=Verb,
    short_help="Print the completion script of a shell.",
    epilog="""\b
Examples:
  linker completion bash
  eval "$(linker completion bash)"

\b
To install it, run the line of your shell once:
  bash  linker completion bash > ~/.linker-completion.bash
        echo '. ~/.linker-completion.bash' >> ~/.bashrc
  zsh   linker completion zsh > ~/.linker-completion.zsh
        echo '. ~/.linker-completion.zsh' >> ~/.zshrc
  fish  linker completion fish \\
            > ~/.config/fish/completions/linker.fish

Then open a new terminal. zsh needs `autoload -U compinit;
compinit` before that line, which most set-ups have.
""",
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script with which bash, zsh or fish completes commands, options, choices, profiles and files."""
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "linker", VARIABLE)
    click.echo(script.source_template % script.source_vars())  # `source()` would start a bash to ask for its version
    return 0
