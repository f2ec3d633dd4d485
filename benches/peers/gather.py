"""Rows gathered from a file that is mapped into memory, by numpy: prints one JSON object, in nanoseconds
a row.

usage: gather.py FILE ROW_BYTES [--rows 1000000] [--chunk 100] [--seconds 1]

Rows are any of the file's, a chunk at a time, and copied out; nothing is done with them. cold: all are
different; warm: the same chunk again and again. The file is read once before, so it is in memory."""

import argparse
import json
import time

import numpy


def best_round(rows, chunks, seconds):
    begun, best = time.perf_counter(), float("inf")
    while best == float("inf") or time.perf_counter() - begun < seconds:
        round_begun = time.perf_counter()
        for chunk in chunks:
            rows.take(chunk)
        best = min(best, time.perf_counter() - round_begun)
    return best * 1e9 / chunks.size


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("file")
    parser.add_argument("row_bytes", type=int)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--chunk", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    file = numpy.memmap(given.file, mode="r")
    file.max()
    rows = file[: file.size // given.row_bytes * given.row_bytes].view(f"V{given.row_bytes}")
    shape = given.rows // given.chunk, given.chunk
    different = numpy.random.default_rng(1).integers(0, rows.size, shape)
    same = numpy.broadcast_to(different[0], shape)
    print(
        json.dumps(
            {
                "version": f"numpy {numpy.__version__}",
                "rows_in_file": rows.size,
                "cold": best_round(rows, different, given.seconds),
                "warm": best_round(rows, same, given.seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
