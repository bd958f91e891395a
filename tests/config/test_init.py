"""`linker init`: a few questions, and a settings file with which the other verbs need no options."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.command import Command
from support.runs import names
from support.terminal import Terminal, terminal

from linker import Kind, UsageError
from linker.cli.guess import holds_ids, kind_in, kind_of, read_own_table, record_column, reference_column
from linker.sandbox import Sandbox

TABLE = "Opportunity,Account Name,Aha Ref,Stage\n1,Acme Corp,PRJ1-1,Won\n2,Zane Corp,PRJ1-2,Open\n"


@pytest.fixture
def folder(command: Command) -> Path:
    """A folder with a table of the user's own; the environment has no state of other tests."""
    (command.folder / "accounts.csv").write_text(TABLE)
    command.environment["XDG_CONFIG_HOME"] = str(command.folder / "config")
    return command.folder


def settings_in(folder: Path) -> dict[str, Any]:
    """What was written."""
    return tomllib.loads((folder / "linker.toml").read_text())


async def answer(shown: Terminal, *answers: tuple[str, str]) -> None:
    """Wait for each question, and type its answer."""
    for question, text in answers:
        await shown.shows(question)
        shown.type(f"{text}\n")


async def test_the_answers_become_a_settings_file_that_the_verbs_use(
    command: Command, sandbox: Sandbox, folder: Path
) -> None:
    """With Enter to every proposal; the columns, the field and its table are found by the file and the account."""
    async with terminal(command, "init", "accounts.csv") as shown:
        await answer(
            shown,
            (f"[{sandbox.url}]: ", ""),
            ("Use the token in AHA_TOKEN? [Y/n]: ", ""),
            ("[Aha Ref]: ", ""),
            ("[Account Name]: ", ""),
            ("Does it hold names or ids? (names, ids) [names]: ", ""),
            ("Link field of features (customers, customers_table, contracts) [customers]: ", "3"),
            ("links to (PRJ1/contracts, PRJ1/customers) [PRJ1/contracts]: ", "PRJ1/Contracts"),
            ("(replace, add, remove) [replace]: ", "ad"),
            ('Error: "ad" is not one of them; did you mean "add"?', "add"),
            ("Write this to linker.toml? [Y/n]: ", ""),
        )
        assert await shown.ended() == 0
        assert "the token is valid and belongs to Mary Humpty" in shown.screen
        assert shown.screen.endswith(
            "linker.toml is written. Next:\n  linker check accounts.csv\n  linker plan accounts.csv\n"
        )
    assert settings_in(folder) == {
        "account": {"url": sandbox.url},
        "columns": {"id": "Aha Ref", "record_names": "Account Name"},
        "set": {"field": "contracts"},
        "tables": {"contracts": "PRJ1/contracts"},
        "run": {"mode": "add"},
    }
    del command.environment["AHA_URL"]
    assert "Acme Corp" in (await command("plan", "accounts.csv")).stdout
    assert sandbox.stats.methods.keys() == {"GET"}


async def test_a_token_goes_to_a_file_of_its_own(command: Command, sandbox: Sandbox, folder: Path) -> None:
    """Not shown while it is typed, not in linker.toml; the file is for its owner alone."""
    del command.environment["AHA_TOKEN"]
    command.environment["HOME"] = str(folder)
    async with terminal(command, "init") as shown:
        await answer(
            shown,
            (f"[{sandbox.url}]: ", ""),
            ("Keep the token in a file that only you can read? [Y/n]: ", ""),
            (f"/linker/{sandbox.url.removeprefix('http://').replace(':', '-')}.token]: ", "secrets/token"),
            ("Token (it is not shown; press Enter to add it to the file later): ", "sandbox"),
            ("[replace]: ", ""),
            ("Write this to linker.toml? [Y/n]: ", ""),
        )
        assert await shown.ended() == 0
        assert "sandbox\n" not in shown.screen.split("not shown")[1]
    token = folder / "secrets/token"
    assert token.read_text() == "sandbox\n"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert settings_in(folder)["account"] == {"url": sandbox.url, "token_file": "secrets/token"}
    del command.environment["AHA_URL"]
    assert (await command("check")).code == 0


QUESTIONS = (".io) [http://127.0.0.1:", "AHA_TOKEN? [Y/n]: ", "[replace]: ", "linker.toml? [Y/n]: ")


@pytest.mark.parametrize("at", QUESTIONS)
async def test_an_interrupt_leaves_nothing(command: Command, folder: Path, at: str) -> None:
    """Ctrl-C at any question: no file, exit 130."""
    before = names(folder, "*")
    async with terminal(command, "init", forked=False) as shown:
        for question in QUESTIONS:
            await shown.shows(question)
            await shown.shows("]: ")
            if question == at:
                break
            shown.type("\n")
        shown.interrupt()
        shown.type("\n")  # a signal that comes just before the command waits for a line does not end the wait
        assert await shown.ended() == 130
        assert shown.screen.rstrip("\n").endswith("Nothing was written.")
    assert names(folder, "*") == before


async def test_a_settings_file_is_replaced_only_if_you_say_so(command: Command, folder: Path) -> None:
    """The default is no."""
    (folder / "linker.toml").write_text("# mine\n")
    async with terminal(command, "init") as shown:
        await answer(shown, ("linker.toml exists. Replace it? [y/N]: ", ""))
        assert await shown.ended() == 1
    assert (folder / "linker.toml").read_text() == "# mine\n"
    refused = await command("init", "--yes")
    assert (refused.code, refused.stdout) == (2, "")
    assert "--yes does not replace it" in refused.stderr


async def test_without_a_terminal_proposals_are_taken_only_with_yes(
    command: Command, sandbox: Sandbox, folder: Path
) -> None:
    """Else it says what to add; nothing is written."""
    asked = await command("init")
    assert (asked.code, asked.stdout) == (2, "")
    assert "needs a terminal. Without one, add --yes" in asked.stderr
    assert names(folder, "*.toml") == []
    taken = await command("init", "accounts.csv", "--yes")
    assert taken.code == 0, taken.stderr
    assert settings_in(folder)["columns"] == {"id": "Aha Ref", "record_names": "Account Name"}
    assert settings_in(folder)["set"] == {"field": "customers"}


async def test_an_account_that_cannot_be_asked_is_no_obstacle(command: Command, folder: Path) -> None:
    """It says why, and writes what is known."""
    command.environment["AHA_TOKEN"] = "wrong"
    written = await command("init", "--yes")
    assert written.code == 0
    assert "linker cannot read the account: " in written.stderr
    assert settings_in(folder)["run"] == {"mode": "replace"}


@pytest.mark.parametrize(
    ("text", "reference", "record"),
    [
        (TABLE, 2, 1),
        ("Feature;Customer\nPRJ1-1;Acme\n", 0, 1),
        ("Id\tReference\tCompany\n1\tPRJ1-I-1\tAcme\n", 1, 2),
        ("Link,Client\nhttps://company.aha.io/features/PRJ1-1,Acme\n", 0, 1),
        ("A,B\nx,y\n", None, None),
        ("Aha Ref,Account\n", 0, 1),
    ],
)
def test_columns_are_guessed(tmp_path: Path, text: str, reference: int | None, record: int | None) -> None:
    """By the look of the cells, then by the words of the headers; nothing if neither says anything."""
    (tmp_path / "own.csv").write_text(text)
    table = read_own_table(tmp_path / "own.csv")
    assert reference_column(table) == reference
    assert record_column(table, reference) == record


def test_other_guesses(tmp_path: Path) -> None:
    """Kinds by references, ids by digits, and the encoding of a file that is not UTF-8."""
    assert kind_in(["PRJ1-I-1", "PRJ1-I-2", "PRJ1-1"]) is Kind.IDEA
    assert kind_in(["12", "13"]) is None
    assert kind_of("https://company.aha.io/products/PRJ1") is Kind.PRODUCT
    assert kind_of("PRJ1") is None
    assert holds_ids(["640362830", "8397122; 136661093"])
    assert not holds_ids(["Acme Corp", "8397122"])
    (tmp_path / "own.csv").write_bytes("Aha Ref,Kunde\nPRJ1-1,Müller Größe\n".encode("cp1252"))
    table = read_own_table(tmp_path / "own.csv")
    assert table.encoding == "cp1252"
    assert table.rows[0][1] == "Müller Größe"
    for content in (b"", b"\n\n", b",,\n"):
        (tmp_path / "own.csv").write_bytes(content)
        with pytest.raises(UsageError, match="has no header"):
            read_own_table(tmp_path / "own.csv")
