"""What the library costs the code that it tracks: CPU time of imports, calls, runs and whole scripts.

    python benchmarks/library.py [--json]

Each case is repeated and the median is given; `target` is the bound that the architecture sets.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15


def child_cpu_s(code: str, folder: str) -> float:
    """CPU seconds of a whole Python process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median_child_ms(code: str, folder: str) -> float:
    child_cpu_s(code, folder)
    return 1000 * statistics.median(child_cpu_s(code, folder) for _ in range(ROUNDS))


def metric_call_us(*, stepped: bool = False) -> tuple[float, float]:
    """Median and 99th percentile of one `ds.metric` call, with a step or without; the first one aside."""
    import dotscience as ds

    ds.start()
    ds.metric("loss", 0, step=0 if stepped else None)
    times = []
    for index in range(20_000):
        step = index if stepped else None
        began = time.perf_counter_ns()
        ds.metric("loss", index, step=step)
        times.append((time.perf_counter_ns() - began) / 1000)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def full_run_ms() -> float:
    """CPU of start, 10 parameters, 10 metrics and publish, the process's first publish aside."""
    import io

    import dotscience as ds

    def run() -> None:
        ds.start("benchmark")
        for index in range(10):
            ds.parameter(f"p{index}", index)
            ds.metric(f"m{index}", index)
        ds.publish(stream=io.StringIO())

    run()
    began = time.process_time()
    for _ in range(200):
        run()
    return 1000 * (time.process_time() - began) / 200


def cases(folder: str):
    bare = median_child_ms("pass", folder)
    yield "bare Python", bare, "ms CPU", None
    yield "import dotscience", median_child_ms("import dotscience", folder) - bare, "ms CPU", 60
    script = "import dotscience as ds; ds.start('smallest'); ds.publish()"
    yield "smallest tracked script, whole process", median_child_ms(script, folder), "ms CPU", 150
    yield "full run in process", full_run_ms(), "ms CPU", 1
    median, slowest = metric_call_us()
    yield "ds.metric, median", median, "µs", 8
    yield "ds.metric, p99", slowest, "µs", 30
    median, slowest = metric_call_us(stepped=True)
    yield "ds.metric with a step, median", median, "µs", 8
    yield "ds.metric with a step, p99", slowest, "µs", 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "dotscience.cli", "init", folder, "--offline"], check=True, capture_output=True
        )
        os.chdir(folder)
        for case, value, unit, target in cases(folder):
            if as_json:
                print(json.dumps({"case": case, "value": round(value, 3), "unit": unit, "target": target}))
            else:
                print(f"{case:42} {value:8.2f} {unit:7} {'' if target is None else f'target {target}'}")
        os.chdir(Path(__file__).parent)


if __name__ == "__main__":
    main()
