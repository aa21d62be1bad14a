"""Damages sound files and reads them: nothing but errors of the package may come out.

    python tests/fuzz/fuzz.py --inputs 20000          # every reader
    python tests/fuzz/fuzz.py --reader pictures --seed 4711 --inputs 1

Every reader runs in a process of its own, so that a library that crashes is one finding and not
the end. An input is told by its seed; none is kept.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

from fuzz_readers import READERS

MAX_CPU_S = 5.0
"""CPU time that one input may take."""

MAX_GROWTH_BYTES = 768 * 2**20
"""Memory that one input may take, on top of what was in use at most before."""


def fuzz_reader(name: str, *, first_seed: int, inputs: int, progress: Path | None) -> list[str]:
    """Reads damaged files with one reader.

    Args:
        name: A name of `READERS`.
        first_seed: Seed of the first input; the next ones follow.
        inputs: How many.
        progress: File that holds the seed at work, which tells what a crash was at.

    Returns:
        What was found, a line each; equal kinds once.
    """
    from dwpose_infer.errors import DwposeError

    reader = READERS[name]
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        samples = list(reader.samples(Path(scratch)))
        for sample in samples:
            path = Path(scratch) / f"sound_{sample.name}"
            path.write_bytes(sample.data)
        for seed in range(first_seed, first_seed + inputs):
            rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
            sample = samples[int(rng.integers(len(samples)))]
            path = Path(scratch) / sample.name
            path.write_bytes(sample.damage(sample.data, rng))
            if progress is not None:
                progress.write_text(str(seed))
            started_s, peak_kib = time.process_time(), _peak_kib()
            problem = None
            try:
                reader.read(path)
            except DwposeError:
                pass
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(place.filename).name}:{place.lineno}"
                problem = f"{type(error).__name__} at {where}: {str(error)[:200]}"
            took_s = time.process_time() - started_s
            grown_bytes = (_peak_kib() - peak_kib) * 1024
            if took_s > MAX_CPU_S:
                problem = f"took {took_s:.1f} s"
            elif grown_bytes > MAX_GROWTH_BYTES:
                problem = f"took {grown_bytes / 2**20:.0f} MiB"
            if problem is not None:
                kind = problem.partition(": ")[0]
                found.setdefault(kind, f"{name}, seed {seed} ({sample.name}): {problem}")
    return list(found.values())


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run_reader(name: str, *, first_seed: int, inputs: int, timeout_s: float) -> list[str]:
    """Does the work of `fuzz_reader` in a process of its own, and goes on after crashes."""
    found, end = [], first_seed + inputs
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "seed"
        while first_seed < end:
            command = [sys.executable, __file__, "--reader", name, "--seed", str(first_seed)]
            command += ["--inputs", str(end - first_seed), "--progress", str(progress)]
            try:
                done = subprocess.run(
                    command,
                    check=False,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=timeout_s,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
                status, said, complaint = done.returncode, done.stdout, done.stderr
            except subprocess.TimeoutExpired:
                status, said, complaint = -1, "", f"no end within {timeout_s:.0f} s"
            found += [line for line in said.splitlines() if line.startswith(f"{name}, seed ")]
            if status in (0, 1):
                return found
            if not progress.exists():
                return [*found, f"{name}: {complaint[-2000:]}"]
            crashed = int(progress.read_text())
            found.append(f"{name}, seed {crashed}: status {status}: {complaint[-600:]}")
            first_seed = crashed + 1
    return found


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first input")
    parser.add_argument("--reader", choices=READERS, help="this one alone, in this process")
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        faulthandler.enable()
        warnings.simplefilter("ignore")
        logging.disable()
        found = fuzz_reader(
            options.reader,
            first_seed=options.seed,
            inputs=options.inputs,
            progress=options.progress,
        )
        print(*found, sep="\n")
        return 1 if found else 0
    status = 0
    for name, reader in READERS.items():
        inputs = max(1, round(options.inputs * reader.share / 100))
        started_s = time.perf_counter()
        found = run_reader(
            name, first_seed=options.seed, inputs=inputs, timeout_s=60 + 2.0 * inputs
        )
        took_s = time.perf_counter() - started_s
        print(f"{name}: {inputs} inputs, {len(found)} findings, {took_s:.0f} s", flush=True)
        for line in found:
            status = 1
            print(f"  {line}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
