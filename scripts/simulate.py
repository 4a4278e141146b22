"""Many simulated runs: `make sim SEEDS=10000`, or one of them again: `make sim SEED=7`.

A seed decides the query, its rows, the order of every step and where the process dies. Prints what
failed with the command that replays it; exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from pystream.simulation import SimulatedFailure, run_simulated


def run_block(start: int, stop: int) -> tuple[int, int, list[tuple[int, str]]]:
    """Lives, epochs and failures of some seeds."""
    lives = epochs = 0
    failures = []
    for seed in range(start, stop):
        try:
            report = run_simulated(seed)
            lives += report.lives
            epochs += report.epochs
        except SimulatedFailure as failure:
            failures.append((seed, str(failure)))
        except Exception:
            text = f"{traceback.format_exc()}replay with: make sim SEED={seed}"
            failures.append((seed, text))
    return lives, epochs, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.seed is not None:
        print(run_simulated(options.seed))
        return 0
    began = time.monotonic()
    starts = range(0, options.seeds, 50)
    stops = [min(start + 50, options.seeds) for start in starts]
    lives = epochs = failed = 0
    with ProcessPoolExecutor(options.processes) as pool:
        for number, found in enumerate(pool.map(run_block, starts, stops), 1):
            lives += found[0]
            epochs += found[1]
            failed += len(found[2])
            for _, text in found[2]:
                print(text, flush=True)
            if number % 20 == 0:
                print(f"{stops[number - 1]:,} seeds, {lives:,} lives, {failed} failed", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{options.seeds:,} seeds: {lives:,} lives, {lives - options.seeds:,} crashes, {epochs:,} "
        f"epochs decided, {failed} failed, {seconds:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
