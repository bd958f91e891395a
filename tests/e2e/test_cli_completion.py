"""Completion in a shell: what is offered, and that real shells take the scripts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from linker.cli import _VERBS, _command, _load, outline
from linker.cli.outline import outline_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and the variable by which a shell asks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("_LINKER_COMPLETE", "bash_complete")
    monkeypatch.delenv("LINKER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    completion = ShellComplete(_command, {}, "linker", "_LINKER_COMPLETE")
    return [item.value for item in completion.get_completions(list(words[:-1]), words[-1])]


def test_verbs_options_choices_and_profiles_are_offered(tmp_path: Path) -> None:
    """And nothing is asked of the network, no settings file can break it."""
    assert offered("") == list(_VERBS)
    assert offered("re") == ["records"]
    assert offered("run", "--mo") == ["--mode"]
    assert offered("run", "--mode", "re") == ["replace", "remove"]
    assert "--no-preflight" in offered("run", "--no-")
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    (tmp_path / "linker.toml").write_text("[profile.prod.account]\nname = 'a'\n[profile.test]\n")
    assert offered("check", "--profile", "") == ["prod", "test"]
    assert offered("check", "--profile", "p") == ["prod"]
    (tmp_path / "linker.toml").write_text("[profile\n")
    assert offered("check", "--profile", "") == []


def test_file_arguments_are_left_to_the_shell() -> None:
    """It knows the files."""
    completion = ShellComplete(_command, {}, "linker", "_LINKER_COMPLETE")
    for words in (["run"], ["undo"], ["check"], ["run", "--results"], ["init"]):
        assert [item.type for item in completion.get_completions(words, "x")] == ["file"]


@pytest.mark.parametrize("verb", list(_VERBS))
def test_an_outline_has_the_options_of_its_verb(verb: str, cache: Path) -> None:
    """From the verb itself the first time, from the cache from then on; a broken cache is made anew."""
    real = _load(verb)
    options = [(param.opts, param.secondary_opts) for param in real.params if isinstance(param, click.Option)]
    for _ in range(2):
        made = outline_of(verb, lambda: real)
        assert [
            (param.opts, param.secondary_opts) for param in made.params if isinstance(param, click.Option)
        ] == options
    outline_of(verb, lambda: pytest.fail("it is in the cache"))
    (cache / f"linker/completion/{verb}.json").write_text('{"stamp": 3')
    assert len(outline_of(verb, lambda: real).params) == len(real.params)


def test_an_outline_is_made_anew_when_the_command_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its version, or by the time of its files; where nothing can be written, it works all the same."""
    outline_of("run", lambda: click.Command("run", params=[click.Option(["--old"])]))
    monkeypatch.setattr(outline, "__version__", "999")
    assert outline_of("run", lambda: click.Command("run")).params == []
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert outline_of("run", lambda: click.Command("run")).params == []


SCRIPTS = {
    "bash": """
        . ./script
        COMP_WORDS=(linker ru) COMP_CWORD=1
        _linker_completion linker
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -U compinit; compinit -u -d ./dump
        . ./script
        whence -w _linker_completion
        COMP_WORDS='linker ru' COMP_CWORD=1 _LINKER_COMPLETE=zsh_complete linker | sed -n 2p
    """,
    "fish": """
        source ./script
        complete --do-complete 'linker ru' | cut -f1
    """,
}


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_a_real_shell_takes_its_script(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`linker completion SHELL`, read by that shell, completes `linker ru` to `linker run`."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.delenv("_LINKER_COMPLETE")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    program = Path(sys.executable).with_name("linker")
    script = subprocess.run([program, "completion", shell], capture_output=True, text=True, check=True)
    (tmp_path / "script").write_text(script.stdout)
    shown = subprocess.run([shell, "-c", SCRIPTS[shell]], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[-1] == "run"
    assert shown.stderr == ""
