// BullMQ beside Sojourn's queue: pushes jobs that do nothing, then does them all, and prints one JSON
// object.
//
// usage: index.mjs REDIS_URL JOBS [--payload 200] [--batch 1000] [--concurrency 100] [--threads 1]
//
// --payload is the size of a job's data in bytes. A job is consumed when Redis has said that it is
// completed. Jobs that are done are removed, as Sojourn's are. Packages are those that
// scripts/bench/install puts in .tools/bullmq; scripts/bench/check tries it.
//
// BullMQ at its best, as far as we could find out: 1,000 jobs in each addBulk, one call after the other
// (100 and 5,000, and four calls at once, are no faster); 100 jobs at once for each worker (20, 50 and
// 300 are slower, 1,000 much). Automatic pipelining by ioredis, and workers without renewal of locks or
// checks for stalled jobs, make no difference. --threads are Node's, each with a worker and connections
// of its own: on two cores, which Redis needs one of, a second one gains nothing (Node takes 38 us for
// a job, Redis 31); with more cores it may.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker as Thread, isMainThread, parentPort, workerData } from "node:worker_threads";

function fail(message) {
  console.error(message);
  process.exit(1);
}

const packages = new URL("../../../../.tools/bullmq/", import.meta.url);
const require = createRequire(packages);

function load(name) {
  try {
    return require(name);
  } catch (error) {
    return fail(`${name} is missing: run scripts/bench/install (${error.code} in ${fileURLToPath(packages)})`);
  }
}

const { Queue, Worker } = load("bullmq");
const { Redis } = load("ioredis");

function number(text, name, least) {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  return fail(`${name}: ${text} is no number from ${least} on`);
}

function settings() {
  const defaults = { payload: "200", batch: "1000", concurrency: "100", threads: "1" };
  const options = Object.entries(defaults).map(([name, value]) => [name, { type: "string", default: value }]);
  let given;
  try {
    given = parseArgs({ options: Object.fromEntries(options), allowPositionals: true });
  } catch (error) {
    fail(error.message);
  }
  const [url, jobs, ...more] = given.positionals;
  if (jobs === undefined || more.length > 0) {
    fail("usage: index.mjs REDIS_URL JOBS [--payload 200] [--batch 1000] [--concurrency 100] [--threads 1]");
  }
  return {
    url,
    jobs: number(jobs, "JOBS", 1),
    payload: number(given.values.payload, "--payload", 0),
    batch: number(given.values.batch, "--batch", 1),
    concurrency: number(given.values.concurrency, "--concurrency", 1),
    threads: number(given.values.threads, "--threads", 1),
    queue: `sojourn-bench-${process.pid}`,
    // Jobs that are done, counted by all threads.
    done: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  };
}

// BullMQ wants this of connections that wait for jobs, so that it can wait for Redis.
const connection = (url) => new Redis(url, { maxRetriesPerRequest: null });

async function push(queue, jobs, { payload, batch }) {
  const data = "x".repeat(payload);
  for (let left = jobs; left > 0; left -= batch) {
    await queue.addBulk(Array.from({ length: Math.min(batch, left) }, () => ({ name: "job", data })));
  }
}

// Does jobs until all threads together have done all.
function consume(worker, { jobs, done }) {
  return new Promise((resolve, reject) => {
    worker.on("failed", (_, error) => reject(error));
    worker.on("completed", () => {
      if (Atomics.add(done, 0, 1) + 1 === jobs) resolve();
    });
    worker.run().catch(reject);
  });
}

// A thread does as it is told: "push" a share of the jobs, "consume" them, "close".
async function thread({ share, ...settings }) {
  const { url, queue: name, concurrency } = settings;
  const queue = new Queue(name, { connection: connection(url) });
  const worker = new Worker(name, async () => {}, {
    connection: connection(url),
    concurrency,
    autorun: false,
    removeOnComplete: { count: 0 },
  });
  const orders = {
    push: () => push(queue, share, settings),
    consume: () => consume(worker, settings),
    close: () => process.exit(0),
  };
  parentPort.on("message", (order) => orders[order]().then(() => parentPort.postMessage(order)));
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
  parentPort.postMessage("ready");
}

const said = (thread, what) =>
  new Promise((resolve) => thread.on("message", (message) => message === what && resolve()));

// Seconds until all of the threads, or the first of them, have done what they are told.
async function timed(threads, order, until) {
  const begun = performance.now();
  const ends = threads.map((thread) => said(thread, order));
  threads.forEach((thread) => thread.postMessage(order));
  await until(ends);
  return (performance.now() - begun) / 1000;
}

async function main() {
  const given = settings();
  const { url, jobs, queue: name } = given;
  const redis = new Redis(url, { retryStrategy: null });
  redis.on("error", (error) => fail(`no Redis at ${url}: ${error.message}`));

  const threads = Array.from({ length: given.threads }, (_, at) => {
    const share = Math.floor((jobs * (at + 1)) / given.threads) - Math.floor((jobs * at) / given.threads);
    const thread = new Thread(fileURLToPath(import.meta.url), { workerData: { ...given, share } });
    return thread.on("error", (error) => fail(`a thread has failed: ${error.message}`));
  });
  await Promise.all(threads.map((thread) => said(thread, "ready")));

  const pushed = await timed(threads, "push", (ends) => Promise.all(ends));
  const queue = new Queue(name, { connection: redis });
  const waiting = await queue.getWaitingCount();
  if (waiting !== jobs) fail(`${waiting} of ${jobs} jobs wait in Redis`);
  const consumed = await timed(threads, "consume", (ends) => Promise.race(ends));
  const left = await queue.getJobCountByTypes("waiting", "active", "failed", "delayed");
  if (left !== 0) fail(`${left} of ${jobs} jobs are left in Redis`);
  threads.forEach((thread) => thread.postMessage("close"));
  await queue.obliterate({ force: true });

  const { jobs: _, url: __, queue: ___, done: ____, ...how } = given;
  console.log(
    JSON.stringify({
      jobs,
      ...how,
      pushed_per_second: jobs / pushed,
      consumed_per_second: jobs / consumed,
      version: `BullMQ ${require("bullmq/package.json").version}, Node ${process.versions.node}`,
    }),
  );
  process.exit(0);
}

await (isMainThread ? main() : thread(workerData));
