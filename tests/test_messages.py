"""All that linker says is in tests/messages.txt, so that a review sees each new sentence; it keeps the house rules."""

from __future__ import annotations

import re

import pytest
from support.messages import SNAPSHOT, messages, snapshot

UPDATE = ".venv/bin/python tests/support/messages.py"

RIDDLES = (
    r"\btold\b",
    r"\bheld\b(?! its lock)",
    r"so already",
    r"\bis none\b",
    r"goes with\b",
    r"(?<!there )\b(is|are) no [a-z]",
    r"\bwhere no\b",
    r"\bunder way\b",
    r"\banew\b",
    r"\bby now\b",
    r"\b(go|goes) on\b",
    r"\bmend\b",
    r"\bin place of\b",
    r"\bis well\b",
    r"\bstands (twice|there)\b",
    r"\b(is|are) not known\b",
    r"\bby way of\b",
    r"\b(tells|tell) it\b",
    r"\bif that is meant\b",
    r"\bwhat is so\b",
    r"\bno longer any\b",
    r"\b(somebody|nobody)\b",
    r"\bsay --",
)
"""Words that made users stumble; the right-hand side says it plainly: reported, current, already, missing, invalid."""

VERBS = frozenset(
    [
        "Accept",
        "Act",
        "Add",
        "Allow",
        "Append",
        "Answer",
        "Apply",
        "Ask",
        "Begin",
        "Change",
        "Check",
        "Choose",
        "Clear",
        "Continue",
        "Convert",
        "Copy",
        "Count",
        "Create",
        "Delete",
        "Describe",
        "Do",
        "Draw",
        "Empty",
        "End",
        "Exit",
        "Export",
        "Find",
        "Follow",
        "Get",
        "Give",
        "Hide",
        "Ignore",
        "Import",
        "Include",
        "Keep",
        "Let",
        "Limit",
        "Link",
        "List",
        "Listen",
        "Load",
        "Log",
        "Look",
        "Make",
        "Map",
        "Match",
        "Move",
        "Name",
        "Open",
        "Overwrite",
        "Pass",
        "Pause",
        "Pick",
        "Print",
        "Process",
        "Prove",
        "Put",
        "Quit",
        "Read",
        "Record",
        "Refuse",
        "Reject",
        "Remove",
        "Rename",
        "Replace",
        "Report",
        "Require",
        "Reset",
        "Restore",
        "Resume",
        "Retry",
        "Return",
        "Run",
        "Save",
        "Search",
        "Seed",
        "Select",
        "Send",
        "Serve",
        "Set",
        "Share",
        "Show",
        "Skip",
        "Sort",
        "Spread",
        "Start",
        "State",
        "Stop",
        "Store",
        "Take",
        "Tell",
        "Test",
        "Try",
        "Turn",
        "Undo",
        "Update",
        "Use",
        "Verify",
        "Wait",
        "Warn",
        "Watch",
        "Write",
    ]
)
"""Words with which a help line may begin. Add one if it is a verb."""

LONGEST_HELP = 60
LONGEST_SENTENCE = 120
"""The first sentence of a command's own help may be longer than the line of an option."""


def test_each_message_is_in_the_reviewed_file() -> None:
    """A new or changed text shows in the diff of one file."""
    known, now = SNAPSHOT.read_text().splitlines(), snapshot().splitlines()
    new, gone = [line for line in now if line not in known], [line for line in known if line not in now]
    assert (new, gone) == ([], []), f"Read the new ones aloud, then run: {UPDATE}"
    assert known == now, f"The texts are in another order; run: {UPDATE}"


def test_a_change_of_any_kind_of_text_is_seen() -> None:
    """Errors, results, logs, prompts and help are all collected, with placeholders by their expressions."""
    texts = {(message.file, message.text) for message in messages()}
    assert ("linker/model/target.py", "{quoted(text)} is not a reference such as PRJ1-12") in texts
    assert ("linker/log/sentences.py", "{keys['source']} has no rows") in texts
    assert any(file == "linker/cli/options.py" for file, _ in texts)
    assert any(message.is_help and message.file.startswith("linker/cli/") for message in messages())
    assert not any("Parse the reply to a request" in text for _, text in texts)


@pytest.mark.parametrize("riddle", RIDDLES)
def test_no_message_is_a_riddle(riddle: str) -> None:
    """Words that read as translated are not used again."""
    found = [
        f"{message.file}:{message.line}: {message.text}" for message in messages() if re.search(riddle, message.text)
    ]
    assert found == []


def test_help_lines_are_short_and_start_with_a_verb() -> None:
    """So that `--help` can be read at a glance."""
    lines = [message for message in messages() if message.is_help]
    assert [
        line for line in lines if len(line.text) > (LONGEST_SENTENCE if line.text.endswith(".") else LONGEST_HELP)
    ] == []
    assert [message for message in lines if message.text.split()[0].rstrip(".,") not in VERBS] == []
