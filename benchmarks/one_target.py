"""Runs one link per row, with all rows for one target: what a row costs must not grow with their number.

    python benchmarks/one_target.py [--few 2000] [--many 20000]

The sandbox runs in a process of its own, and so does each run. Ratios count; times are this machine's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.connection
import resource
import sys
import tempfile
import time
from pathlib import Path

from many_jobs import serve

import linker


def measure(pipe: multiprocessing.connection.Connection, url: str, records: list[str], results: Path) -> None:
    """Link the records to one feature, and send the CPU seconds that took and the peak memory in MiB."""
    source = results.with_suffix(".csv")
    rows = (f"PRJ1-1,customers,{id},add,row-{number}\n" for number, id in enumerate(records))
    source.write_text("id,field,record_ids,mode,key\n" + "".join(rows))
    linker.Linker(url=url, token="sandbox")  # imports what a run needs
    started = time.process_time()
    summary = linker.link(source, url=url, token="sandbox", results=results, rate=())
    cpu_s = time.process_time() - started
    assert summary.linked == len(records)
    pipe.send((cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Measure few and many rows, and print what one costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--many", type=int, default=20_000)
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    bytes_a_row: list[float] = []
    cpu_a_row: list[float] = []
    for rows in (arguments.few, arguments.many):
        ours, theirs = multiprocessing.Pipe()
        server = spawn.Process(target=serve, args=(theirs, 1, rows), daemon=True)
        server.start()
        theirs.close()  # so that a process that dies is noticed
        url, records = ours.recv()
        receiver, sender = multiprocessing.Pipe()
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results.jsonl"
            run = spawn.Process(target=measure, args=(sender, url, records[:rows], results), daemon=True)
            run.start()
            sender.close()
            cpu_s, mib = receiver.recv()
            run.join()
            size = results.stat().st_size
        ours.send("stop")
        ours.recv()
        server.join(10)
        bytes_a_row.append(size / rows)
        cpu_a_row.append(cpu_s / rows)
        print(
            f"{rows:,} rows on one target: {size / 2**20:.1f} MiB of results, {size / rows:.0f} bytes a row; "
            f"{cpu_s:.2f} s of CPU, {cpu_s / rows * 1e6:.0f} µs a row; {mib:.0f} MiB at most"
        )
    in_bytes, in_cpu = bytes_a_row[1] / bytes_a_row[0], cpu_a_row[1] / cpu_a_row[0]
    print(f"a row of many costs {in_bytes:.2f} times the bytes and {in_cpu:.2f} times the CPU of a row of few")
    sys.exit(0 if in_bytes < 1.1 and in_cpu < 2 else 1)


if __name__ == "__main__":
    main()
