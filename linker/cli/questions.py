"""The questions of `linker init`: asked on a terminal, or answered by what is proposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from linker.cli.config_file import nearest
from linker.errors import LinkerError, UsageError
from linker.text import harmless


class Terminal:
    """Asks on the terminal."""

    def valid(self, prompt: str, proposal: str | None, parse: Callable[[str], str]) -> str:
        """Ask until an answer can be parsed, and return what it is parsed to."""

        def checked(text: str) -> str:
            try:
                return parse(text)
            except LinkerError as error:
                raise click.UsageError(str(error)) from None

        return str(click.prompt(prompt, default=proposal, value_proc=checked, err=True))

    def choose(self, prompt: str, choices: Iterable[str], proposal: str | None) -> str:
        """Ask for one of the choices, by its number or its name."""
        known = list(map(str, choices))
        if len(known) > 3:
            for number, choice in enumerate(known, start=1):
                click.echo(f"  {number:>2}  {harmless(choice)}", err=True)
        else:
            prompt = f"{prompt} ({', '.join(known)})"

        def chosen(text: str) -> str:
            text = text.strip()
            if text.isdecimal() and 1 <= int(text) <= len(known) and text not in known:
                return known[int(text) - 1]
            found = [choice for choice in known if choice.lower() == text.lower()]
            if not found:
                raise UsageError(f'"{text[:80]}" is not one of them; {nearest(text, known)}')
            return found[0]

        return self.valid(prompt, proposal, chosen)

    def confirm(self, prompt: str, *, default: bool) -> bool:
        """Ask yes or no."""
        return click.confirm(prompt, default=default, err=True)

    def secret(self, prompt: str) -> str:
        """Ask for something that is not shown; empty if nothing is entered."""
        return str(click.prompt(prompt, default="", hide_input=True, show_default=False, err=True))


class Proposals(Terminal):
    """Accepts every proposal; where there is none, it says which option helps."""

    def valid(self, prompt: str, proposal: str | None, parse: Callable[[str], str]) -> str:
        """Return the proposal."""
        if proposal is None:
            raise UsageError(f"{prompt}: there is nothing to propose; run linker init on a terminal, without --yes")
        return parse(proposal)

    def confirm(self, prompt: str, *, default: bool) -> bool:
        """Return the default."""
        if not default:
            raise UsageError(f"{prompt} --yes says no to that; run linker init without --yes")
        return True

    def choose(self, prompt: str, choices: Iterable[str], proposal: str | None) -> str:
        """Return the proposal."""
        return self.valid(prompt, proposal, str)
