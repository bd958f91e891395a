"""Carries out a dry run, which `plan`, `verify` and the question before the first write have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linker.cli.access import Access
from linker.cli.drive import follow
from linker.cli.progress import Progress
from linker.client.linker import Linker
from linker.client.plan import Plan
from linker.client.run import Run
from linker.results.result import Outcome, Result
from linker.results.summary import Summary
from linker.results.undo import UndoFile
from linker.sources import JobFile


@dataclass(slots=True)
class DryRun:
    """What a dry run found.

    `code` is the exit code of a dry run that ended early, and 0 of one that did not; if it ended early, the plan is
    incomplete.
    """

    run: Run
    plan: Plan
    code: int = 0
    problems: Summary = field(default_factory=Summary)
    """The rows that a run would reject, or whose target could not be read."""


async def dry_run(
    aha: Linker,
    access: Access,
    sources: Sequence[JobFile] | UndoFile,
    *,
    doing: str,
    words: tuple[str, str] = ("to change", "unchanged"),
    describe: Callable[[Outcome, Run], list[str]] | None = None,
    keep_reads: bool = False,
    done_in: Path | None = None,
    failed_only: bool = False,
    most: int | None = None,
    unfinished: str = "the plan is incomplete",
) -> DryRun:
    """Do a dry run and return what it found.

    Args:
        doing: the word for it in the progress display.
        words: the words for targets that would change, and for those that would not.
        describe: returns the lines to print for an outcome.
        keep_reads: keep what is read for a run after it.
        done_in: a results file that a run would resume.
        failed_only: leave out all but the targets of rows that failed or were rejected.
        most: stop after so many targets that would change.
        unfinished: what to say of its result if it was interrupted.
    """
    run = aha.dry_run(sources, keep_reads=keep_reads, done_in=done_in, failed_only=failed_only)
    dry = DryRun(run, Plan(access.settings))
    plan = dry.plan
    progress = Progress(
        access.settings,
        visible=access.progress,
        doing=doing,
        counts=lambda _: {
            words[0]: plan.puts,
            words[1]: plan.unchanged,
            "failed": plan.failed,
            "rejected": plan.rejected,
        },
        talks=describe is not None,
    )

    def take(outcome: Outcome) -> None:
        if most is not None and plan.puts >= most:
            run.stop()
            return
        plan.add(outcome, keep=False)
        if isinstance(outcome, Result):
            dry.problems.add(outcome)
        for line in describe(outcome, run) if describe is not None else ():
            progress.say(line)

    dry.code = await follow(run, progress, take, unfinished=unfinished)
    plan.end(run.visibility)
    plan.reads, plan.new_records, plan.unreadable = run.summary.requests, run.new_records, run.unreadable
    plan.creations = run.creations
    dry.problems.requests, dry.problems.elapsed_s = run.summary.requests, run.summary.elapsed_s
    dry.problems.rows = run.summary.rows
    return dry
