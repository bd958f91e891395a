"""Measures a resume: reads a results file of many lines, and skips all of them in a batch of as many jobs.

python benchmarks/resume.py --jobs 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path

import orjson

from linker.batch.batch import Batch
from linker.batch.change import FieldChange
from linker.batch.merge import Job
from linker.model.job import LinkJob, Mode
from linker.model.target import Kind, Target
from linker.results.result import Result, Status
from linker.results.resume import read_done


def write_results(path: Path, count: int) -> None:
    """Write lines as a run does, one for each target."""
    with path.open("wb") as file:
        for job in map(job_of, range(count)):
            changes = {"customers": FieldChange(list(job.links["customers"]), [])}
            result = Result.of(
                job,
                Status.LINKED,
                before={"customers": []},
                after=job.links,
                change=job.number,
                changes=changes,
                http_status=200,
                attempts=1,
                elapsed_ms=182.4,
            )
            file.write(result.to_json() + b"\n")


def job_of(number: int) -> Job:
    """The job of that number."""
    target = Target(Kind.FEATURE, f"PRJ{number % 7}-{number}")
    links = {"customers": (str(640362830 + number),)}
    return Job(number, "links.jsonl", number + 1, target, Mode.REPLACE, links, f"crm-{number}")


def rss_mib() -> float:
    """The peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Read a results file, and pass over all of its jobs.")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    count = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        write_results(path, count)
        base = rss_mib()
        begun = time.perf_counter()
        done = read_done(path)
        read_s, read_mib = time.perf_counter() - begun, rss_mib() - base
    batch = Batch(Mode.REPLACE)
    for job in map(job_of, range(count)):
        batch.add(job.number, job.source, job.line, LinkJob(job.target.id, job.links, key=job.key))
    begun = time.perf_counter()
    passed = asyncio.run(asyncio.to_thread(batch.skip, done.holds))
    assert passed == count
    told = {
        "jobs": count,
        "read_s": round(read_s, 1),
        "pass_over_s": round(time.perf_counter() - begun, 1),
        "results_bytes_a_job": round(read_mib * 2**20 / count),
        "all_bytes_a_job": round(rss_mib() * 2**20 / count),
    }
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
