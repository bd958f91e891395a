"""The command as a whole: its version, the help of each verb, and what it says about mistakes in the command line."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.command import Command

import linker
from linker.cli import _VERBS, _command
from linker.cli.mistakes import reworded
from linker.cli.verb import GROUPS, Option

VERBS = list(_VERBS)
COMMANDS: dict[str, click.Command] = {verb: importlib.import_module(f"linker.cli.{verb}").command for verb in VERBS}
LONGEST_HELP = 60
VERB_FIRST = {
    "Accept", "Add", "Allow", "Answer", "Append", "Ask", "Change", "Choose", "Clear", "Continue", "Create", "Delete",
    "Draw", "Export", "Hide", "Keep", "Let", "Listen", "Log", "Look", "Name", "Never", "Open", "Print", "Read",
    "Remove", "Rename", "Resume", "Send", "Set", "Show", "Skip", "Stop", "Take", "Try", "Undo", "Use", "Wait", "Write",
}  # fmt: skip


def help_of(*arguments: str, width: int = 80) -> str:
    """What `linker ARGUMENTS --help` prints on a terminal of that width."""
    shown = CliRunner().invoke(_command, [*arguments, "--help"], terminal_width=width, prog_name="linker")
    assert shown.exit_code == 0, shown.output
    return shown.output


def mistake(*arguments: str) -> str:
    """What is said of a command line that is wrong."""
    with pytest.raises(click.ClickException) as raised:
        _command.main(list(arguments), prog_name="linker", standalone_mode=False)
    return reworded(raised.value).format_message()


@pytest.mark.parametrize("arguments", [["--version"], ["-m"]], ids=["linker", "python -m linker"])
async def test_the_version_is_told(command: Command, arguments: list[str]) -> None:
    """`linker --version`, by its script and by `python -m linker`."""
    program = (
        [str(Path(sys.executable).with_name("linker"))] if "-m" not in arguments else [sys.executable, "-m", "linker"]
    )
    finished = await command.program(*program, "--version")
    assert (finished.code, finished.stdout) == (0, f"linker, version {linker.__version__}\n")


async def test_help_is_printed_by_the_command_too(command: Command) -> None:
    """The process prints what the tests below look at."""
    finished = await command("run", "--help")
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.stdout.startswith("Usage: linker run [OPTIONS] FILE...")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_the_terminal_and_teaches(verb: str, width: int) -> None:
    """No line is wider than the terminal, unless it is one word; each verb shows examples to copy."""
    text = help_of(*verb.split(), width=width)
    too_wide = [line for line in text.splitlines() if len(line) > width and len(line.split()) > 1]
    assert too_wide == []
    if verb:
        assert re.search(rf"Examples:\n +linker {verb}\b", text)
        assert help_of().count(f"\n  {verb} ") == 1


@pytest.mark.parametrize("verb", VERBS)
def test_each_option_has_a_group_and_a_help_line_that_starts_with_a_verb(verb: str) -> None:
    """At most 60 characters; details are in the documentation."""
    for param in COMMANDS[verb].params:
        if not isinstance(param, click.Option):
            continue
        assert isinstance(param, Option), param.opts
        assert param.group != "Other", param.opts
        assert param.help is not None
        assert len(param.help) <= LONGEST_HELP, param.help
        assert param.help.split()[0] in VERB_FIRST, param.help
        assert not param.help.endswith("."), param.help


def test_the_overview_and_the_verbs_agree() -> None:
    """`linker --help` says of each verb what the verb says of itself; commands stand in groups, before options."""
    for verb, command in COMMANDS.items():
        assert command.short_help == _VERBS[verb]
        assert command.name == verb
    headings = re.findall(r"(?m)^(\w.*):$", help_of())
    assert headings == ["Main commands", "Look around", "Set up and rehearse", "Options"]


def test_groups_stand_in_order() -> None:
    """Account, Input, Safety, Speed, Output, and --help at the end."""
    headings = re.findall(r"(?m)^(\w+) options:$", help_of("run"))
    assert headings == list(GROUPS)


@pytest.mark.parametrize("verb", ["run", "sandbox"])
def test_a_flag_that_is_on_shows_how_to_switch_it_off(verb: str) -> None:
    """Of --preflight/--no-preflight the help shows the form that changes something; of --resume too."""
    text = help_of(verb)
    if verb == "run":
        assert "--no-preflight" in text
        assert " --preflight" not in text
        assert "--no-resume" not in text
    assert "x>=" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("rnu", 'no such command "rnu". Did you mean "run"?'),
        ("Run", 'no such command "Run". Did you mean "run"?'),
        ("exprot", 'no such command "exprot". Did you mean "export"?'),
        ("xyz", 'no such command "xyz". linker --help lists the commands.'),
        ("run x --moed add", 'no such option "--moed". Did you mean "--mode"?'),
        ("run x --no-prefligth", 'no such option "--no-prefligth". Did you mean "--no-preflight"?'),
        ("run x --qqqq", 'no such option "--qqqq". linker run --help lists the options.'),
        ("run x --mode repalce", '--mode must be replace, add or remove, not "repalce". Did you mean "replace"?'),
        ("run x --mode x", '--mode must be replace, add or remove, not "x".'),
        ("run x --mode", "the option --mode needs a value: --mode replace|add|remove"),
        ("run x --table", "the option --table needs a value: --table FIELD=PLACE"),
        ("run x --resume=3", "the option --resume takes no value."),
        ("run x --min-rows -1", '--min-rows must be a whole number, 0 or more, not "-1".'),
        ("run x --min-rows 1.5", '--min-rows must be a whole number, 0 or more, not "1.5".'),
        ("run x --share 2", '--share must be a number, more than 0 and at most 1, not "2.0".'),
        ("run x --create-wait long", '--create-wait must be a number, not "long".'),
        ("undo", "RESULTS is missing. For example: linker undo links.results.jsonl"),
        ("undo a b", 'too many arguments: "b". linker undo --help lists the options.'),
        ("export", "the option --kind is missing: add --kind KIND"),
    ],
)
def test_a_mistake_is_named_with_what_was_meant(arguments: str, said: str) -> None:
    """Commands, options, choices, numbers and missing parts, each with the next step."""
    assert mistake(*arguments.split()) == said
