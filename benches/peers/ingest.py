"""What an ingest does to interactions, by DuckDB or Polars: prints one JSON object.

usage: ingest.py duckdb|polars INTERACTIONS ITEMS OUT [--shards 100] [--memory MIB] [--threads N]
       ingest.py --check

INTERACTIONS and ITEMS are Parquet files or globs: user_id, item_id and timestamp; item_id. Items are
numbered by the rank of their ids (u32), interactions get these numbers instead of ids, users are divided
among shards by a hash, and every shard, a Parquet file in OUT, is sorted by user, timestamp and item and
compressed as Sojourn's are (zstd, level 1). Columns: user, item, timestamp. Interactions with unknown
items are left out, as Sojourn leaves them out; duplicates are kept, which Sojourn takes out.

Both engines first divide the rows among files, in the order in which they come, and then sort file by
file. With 20 million rows on two cores this is faster than what else was tried: to sort all rows at once,
and write them by partition or shard by shard; to select each shard from all rows. (DuckDB's write by
partition also leaves some files of sorted rows unsorted.) It is the frugal way, too.

--memory limits what DuckDB uses; for Polars it is the budget of its streaming engine, which open files
are no part of. So the object has the peak of the process as well. Seconds are those of a clock, and the
processor's, which are the better measure where others use the machine.
`ingest.py --check` runs both on a few rows and looks at every one that came out."""

import argparse
import collections
import datetime
import glob
import importlib
import importlib.metadata
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

# For files that are read once, soon after they are written.
SCRATCH_COMPRESSION = "lz4"
ZSTD_LEVEL = 1


class Work:
    """What is to be done, and where."""

    def __init__(self, interactions, items, out, shards, memory, threads):
        self.interactions, self.items, self.out = interactions, items, pathlib.Path(out)
        self.shards, self.memory, self.threads = shards, memory, threads
        self.scratch = self.out / "scratch"

    def divided(self):
        """Files of one shard each, by the names that both engines give to folders; and where the shard
        goes. There is none where no user has the hash."""
        for shard in range(self.shards):
            folder = self.scratch / "divided" / f"shard={shard}"
            if folder.is_dir():
                yield folder / "*.parquet", self.out / f"{shard:05}.parquet"

    def bytes_in(self):
        return sum(map(os.path.getsize, glob.glob(self.interactions) + glob.glob(self.items)))


def duckdb(work):
    import duckdb

    def quoted(path):
        return "'" + str(path).replace("'", "''") + "'"

    shard_format = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL}"
    with duckdb.connect() as database:
        database.execute(f"SET threads = {work.threads}")
        database.execute(f"SET temp_directory = {quoted(work.scratch)}")
        if work.memory:
            database.execute(f"SET memory_limit = '{work.memory}MiB'")
        # Else a file is closed, and another one begun, whenever many are open.
        database.execute(f"SET partitioned_write_max_open_files = {max(100, work.shards)}")
        database.execute("SET preserve_insertion_order = false")
        database.execute(f"""
            CREATE TEMP TABLE numbers AS
            SELECT item_id, (row_number() OVER (ORDER BY item_id) - 1)::UINTEGER AS item
            FROM (SELECT DISTINCT item_id FROM read_parquet({quoted(work.items)}))
        """)
        database.execute(f"""
            COPY (
                SELECT (hash(user_id) % {work.shards})::UINTEGER AS shard, user_id AS user, item, timestamp
                FROM read_parquet({quoted(work.interactions)}) JOIN numbers USING (item_id)
            ) TO {quoted(work.scratch / "divided")}
            (FORMAT parquet, COMPRESSION {SCRATCH_COMPRESSION}, PARTITION_BY (shard))
        """)
        # A COPY says how many rows it has written.
        return sum(
            database.execute(f"""
                COPY (
                    SELECT "user", item, timestamp
                    FROM read_parquet({quoted(files)}, hive_partitioning = false)
                    ORDER BY "user", timestamp, item
                ) TO {quoted(shard)} ({shard_format})
            """).fetchone()[0]
            for files, shard in work.divided()
        )


def polars(work):
    import polars

    items = polars.scan_parquet(work.items).select(polars.col("item_id").unique()).sort("item_id")
    numbers = items.with_row_index("item").collect(engine="streaming").lazy()
    interactions = polars.scan_parquet(work.interactions).join(numbers, on="item_id", maintain_order="none")
    shard = (polars.col("user_id").hash() % work.shards).cast(polars.UInt32).alias("shard")
    interactions.select(shard, polars.col("user_id").alias("user"), "item", "timestamp").sink_parquet(
        polars.PartitionBy(
            work.scratch / "divided", key="shard", include_key=False, approximate_bytes_per_file=None
        ),
        compression=SCRATCH_COMPRESSION,
        maintain_order=False,
        mkdir=True,
        engine="streaming",
    )
    rows = 0
    for files, path in work.divided():
        shard = polars.read_parquet(files, hive_partitioning=False).sort("user", "timestamp", "item")
        shard.write_parquet(path, compression="zstd", compression_level=ZSTD_LEVEL)
        rows += len(shard)
    return rows


ENGINES = {"duckdb": duckdb, "polars": polars}


def measured(engine, work):
    for what in (work.interactions, work.items):
        if not glob.glob(what):
            sys.exit(f"{what}: there is no such file")
    try:
        version = importlib.metadata.version(engine)
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"{engine} is missing: run scripts/bench/install, and .tools/journeys/bin/python")
    try:
        work.out.mkdir(parents=True)
    except FileExistsError:
        sys.exit(f"{work.out} is there already: remove it")
    work.scratch.mkdir()
    # Every shard is an open file.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Polars reads these when it is loaded.
    os.environ["POLARS_MAX_THREADS"] = str(work.threads)
    os.environ["POLARS_OOC_SPILL_DIR"] = str(work.scratch)
    if work.memory:
        os.environ["POLARS_OOC_MEMORY_BUDGET_MB"] = str(work.memory)
    importlib.import_module(engine)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    rows = ENGINES[engine](work)
    shutil.rmtree(work.scratch)
    took, took_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    return {
        "engine": engine,
        "version": version,
        "rows": rows,
        "bytes_in": work.bytes_in(),
        "seconds": took,
        "cpu_seconds": took_cpu,
        "threads": work.threads,
        "memory_limit_bytes": work.memory and work.memory << 20,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        "shards": len(list(work.out.glob("*.parquet"))),
    }


def check():
    """Every row, by both engines: in a shard of its user alone, in order, with the right number."""
    import polars

    rng = random.Random(1)
    items = [f"item-{number}" for number in rng.sample(range(1000), 50)]
    number_of = {item: number for number, item in enumerate(sorted(items))}
    days = [datetime.datetime(2025, 1, day, tzinfo=datetime.UTC) for day in range(1, 31)]
    # A user has several rows of one time; one item is unknown.
    rows = [
        (f"user-{rng.randrange(40)}", rng.choice([*items, "unknown"]), rng.choice(days))
        for _ in range(2000)
    ]
    known = [row for row in rows if row[1] in number_of]
    expected = collections.Counter((user, number_of[item], at) for user, item, at in known)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        polars.DataFrame({"item_id": items}).write_parquet(folder / "items.parquet")
        frame = polars.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
        for part in range(2):
            frame[part::2].write_parquet(folder / f"interactions-{part}.parquet")
        for engine in ENGINES:
            out = folder / engine
            command = [sys.executable, __file__, engine, folder / "interactions-*.parquet"]
            command += [folder / "items.parquet", out, "--shards", "7", "--memory", "256"]
            said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            found, shard_of = collections.Counter(), {}
            for path in sorted(out.iterdir()):
                shard = polars.read_parquet(path)
                if shard.columns != ["user", "item", "timestamp"] or shard["item"].dtype != polars.UInt32:
                    sys.exit(f"{engine}: the columns are {shard.schema}")
                rows_of_shard = shard.rows()
                if rows_of_shard != sorted(rows_of_shard, key=lambda row: (row[0], row[2], row[1])):
                    sys.exit(f"{engine}: {path.name} is not sorted")
                if any(shard_of.setdefault(user, path) != path for user in shard["user"]):
                    sys.exit(f"{engine}: a user is in two shards")
                found.update(rows_of_shard)
            if found != expected:
                sys.exit(f"{engine}: the rows are not those that went in")
            if said["rows"] != expected.total() or said["shards"] != len(set(shard_of.values())):
                sys.exit(f"{engine}: wrong counts: {said}")
    return {"checked": list(ENGINES), "rows": expected.total()}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("engine", choices=ENGINES, nargs="?")
    parser.add_argument("interactions", nargs="?")
    parser.add_argument("items", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    if given.check:
        print(json.dumps(check()))
        return
    if given.out is None or given.shards < 1:
        parser.error("name an engine, interactions, items, and a folder for one shard or more")
    work = Work(given.interactions, given.items, given.out, given.shards, given.memory, given.threads)
    print(json.dumps(measured(given.engine, work)))


if __name__ == "__main__":
    main()
