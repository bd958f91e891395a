"""The commands of README and docs, run as a reader runs them, with the output that the pages show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import reference
from console import PAGES, ROOT, fences, masked, run_page, updated
from offline import loaded_from_elsewhere

COMMANDS_ON_ALL_PAGES = 60
"""Each start of the command takes most of a second; the suite has no more to give."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    """Every command in a console block prints what stands below it; `make outputs` brings the pages up to date."""
    ran = await run_page(page.read_text(encoding="utf-8"), tmp_path)
    for step in (step for steps in ran.values() for step in steps):
        assert "Traceback" not in step.output
        assert masked(step.output) == masked(step.step.output), step.step.command
        assert step.works, step.step.command


def test_the_readme_and_the_tutorial_are_run() -> None:
    """The pages that a newcomer types along have commands, and all pages together are soon run."""
    assert {ROOT / "README.md", ROOT / "docs" / "tutorial.md"} <= set(PAGES)
    steps = [step for page in PAGES for fence in fences(page.read_text(encoding="utf-8")) for step in fence.steps]
    assert len([step for step in steps if step.command.startswith("linker ")]) <= COMMANDS_ON_ALL_PAGES


def test_every_block_with_a_prompt_is_a_console_block() -> None:
    """No block shows a command behind `$ ` without being run."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "jobs").glob("*.md")]:
        blocks = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        assert [text for language, text in blocks if language != "console" and text.startswith("$ ")] == [], page


PAGE = """\
```csv title="data/one.csv"
a,b
```

```console
$ export WORD=hello
$ echo $WORD \\
    again
goodbye
$ cat data/one.csv
a,b
```

<!-- after merge -->
```console
$ echo pending
```

<!-- after merge -->
```console
$ false || exit 2
```
"""


async def test_outputs_are_updated(tmp_path: Path) -> None:
    """The updater corrects outputs, and leaves the marks of a page on which something cannot be run yet."""
    (tmp_path / "first").mkdir()
    ran = await run_page(PAGE, tmp_path / "first", pending=True)
    assert updated(PAGE, ran) == PAGE.replace("goodbye", "hello again")
    works = PAGE.replace("exit 2", "true")
    (tmp_path / "second").mkdir()
    new = updated(works, await run_page(works, tmp_path / "second", pending=True))
    assert "after merge" not in new
    assert "$ echo pending\npending\n```" in new


def test_outputs_are_compared_but_for_times() -> None:
    """Durations, dates and what depends on them may differ; counts and words may not."""
    assert masked("4 rows in 0.1 s, 6 requests") == masked("4 rows in 1 min 2.5 s, 6 requests")
    assert masked("about 5 minutes") == masked("about 40 seconds")
    assert masked('{"elapsed_s": 0.25, "linked": 1}') == masked('{"elapsed_s": 10, "linked": 1}')
    assert masked("4 rows in 0.1 s, 6 requests") != masked("4 rows in 0.1 s, 7 requests")
    assert masked("300/60s and 20/1s") != masked("300/30s and 20/1s")


def test_the_readme_is_short() -> None:
    """The README can be read in a few minutes; details belong in docs."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 140


def test_the_links_of_the_readme_lead_somewhere() -> None:
    """Each file that a page outside the site links to exists; `make docs` checks the links of the site."""
    for page in (*ROOT.glob("*.md"), *(ROOT / "jobs").glob("*.md")):
        links = re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_the_reference_has_every_command_and_option() -> None:
    """The reference of the command line is generated from the commands, and leaves out none of their options."""
    import click

    from linker.cli import _command as group

    context = click.Context(group, info_name="linker")
    sections = dict(zip(*[iter(re.split(r"^## `(.*)`$", reference(), flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert set(sections) == {"linker", *(f"linker {name}" for name in group.list_commands(context))}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert any(f"{form}" in sections[f"linker {name}"] for form in (*option.opts, *option.secondary_opts))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ("b.html", '<link rel="stylesheet" href="//fonts.example/css">', ["//fonts.example/css"]),
        ("c.css", "@font-face { src: url('https://fonts.example/a.woff2') }", ["https://fonts.example/a.woff2"]),
        ("d.html", '<a href="https://www.aha.io">Aha!</a><script src="assets/x.js"></script>', []),
        ("e.html", '<link rel="canonical" href="https://docs.example/">', []),
    ],
)
def test_a_site_that_loads_something_from_a_network_is_noticed(
    tmp_path: Path, name: str, text: str, found: list[str]
) -> None:
    """`make docs` fails if a browser would load scripts, styles or fonts from another host; links are fine."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(loaded_from_elsewhere(tmp_path / name)) == found


def test_the_recording_plays_anywhere() -> None:
    """The README's picture is of a real run, loads nothing and runs no script, and shows its last screen by default."""
    recording = ROOT / "docs" / "recording.svg"
    text = recording.read_text(encoding="utf-8")
    assert list(loaded_from_elsewhere(recording)) == []
    assert "<script" not in text
    last = text.count('<g transform="translate(0 ') - 2  # less one that holds the film, and counted from zero
    assert f".film {{ transform: translateY(-{last * 360}px)" in text
