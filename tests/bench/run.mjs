#!/usr/bin/env node
// Compares clients against one server, round by round, and prints three tables of medians with ratios: CPU time of the
// client per answer and memory per idle connection; answers per second; CPU time of the client to that of the server
// beside it. README.md beside it says how.
//
//   tests/bench/run.mjs [--rounds 5] [--seconds 2] [--only REGEX] [--clients REGEX] [--connections 100] [--cpus 0,1]

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    only: { type: "string", default: "" },
    clients: { type: "string", default: "" },
    // How many of each client, but for the idle ones.
    connections: { type: "string", default: "100" },
    // Where the server and the client run, so that neither is moved about; the other way round in each second round.
    cpus: { type: "string", default: "0,1" },
  },
});
const CPUS = values.cpus.split(",");

const example = (name) => [join(TARGET, "release/examples", name)];
const SERVER = example("bench_server");
const ALL_CLIENTS = {
  "sockeye-tokio": example("bench_client"),
  "sockeye-async-std": example("bench_client_async_std"),
  rust_socketio: [join(ROOT, "tests/bench/rust_socketio/target/release/bench-rust-socketio")],
  "socket.io-client": [process.execPath, fileURLToPath(new URL("client.mjs", import.meta.url))],
};
const CLIENTS = Object.fromEntries(
  Object.entries(ALL_CLIENTS).filter(([name]) => new RegExp(values.clients).test(name)),
);
if (Object.keys(CLIENTS).length === 0) throw new Error(`no client is like ${values.clients}: ${Object.keys(ALL_CLIENTS)}`);
const SCENARIOS = {
  "echo 16 B": { scenario: "echo" },
  "echo 16 B, 16 on the way": { scenario: "echo", window: 16 },
  "echo 1 KiB": { scenario: "echo", size: 1024 },
  "acknowledgement 16 B": { scenario: "ack" },
  "acknowledgement 16 B, 16 on the way": { scenario: "ack", window: 16 },
  "binary 1 KiB": { scenario: "binary", size: 1024 },
  "idle, 1000 connections": { scenario: "idle", clients: 1000, seconds: 1 },
};

for (const [program] of [SERVER, ...Object.values(CLIENTS)]) {
  if (!existsSync(program)) throw new Error(`${program} is not there: README.md says how to build it`);
}

// Not a number if there are none.
const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const pinned = (cpu, [program, ...args], stdio) => spawn("taskset", ["-c", cpu, program, ...args], { stdio });

// CPU time of a process with all of its threads, in microseconds. (`stat` has it in hundredths of a second only.)
function cpuTime(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const of = (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  return threads.map(of).reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1000;
}
const memory = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);

const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

// One client program against one server of its own.
async function measure(client, [serverCpu, clientCpu], { clients = Number(values.connections), ...options }) {
  const port = await freePort();
  const server = pinned(serverCpu, [...SERVER, "--port", port, "--threads", "1"], ["ignore", "pipe", "inherit"]);
  await new Promise((resolve) => server.stdout.once("data", resolve));
  const args = Object.entries({ seconds: values.seconds, clients, ...options, url: `http://127.0.0.1:${port}` });
  const command = [...client, ...args.flatMap(([name, value]) => [`--${name}`, String(value)])];
  // What a client complains of is not shown: one that fails has no answers.
  const running = pinned(clientCpu, command, ["pipe", "pipe", "ignore"]);
  const look = () => ({ client: cpuTime(running.pid), server: cpuTime(server.pid), memory: memory(running.pid) });
  // A client that stalls ends without a result.
  const patience = setTimeout(() => running.kill("SIGKILL"), 60_000);
  let before, after, messages;
  for await (const line of createInterface({ input: running.stdout })) {
    if (line === "begin") before = look();
    if (!line.startsWith("end ")) continue;
    after = look();
    messages = Number(line.slice(4));
    running.stdin.end();
  }
  clearTimeout(patience);
  server.kill();
  if (!after) return undefined;
  if (options.scenario === "idle") return { value: (after.memory - before.memory) / clients };
  // Each connection has had an answer, but not one each tenth of a second: its answers do not come back.
  if (messages < 10 * values.seconds * clients) return undefined;
  return {
    value: (after.client - before.client) / messages,
    server: (after.server - before.server) / messages,
    relative: (after.client - before.client) / (after.server - before.server),
    rate: messages / values.seconds / 1000,
  };
}

const results = new Map();
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const [title, options] of Object.entries(SCENARIOS)) {
    if (!new RegExp(values.only).test(title)) continue;
    for (const [name, client] of Object.entries(CLIENTS)) {
      const key = `${title}/${name}`;
      const result = await measure(client, round % 2 ? CPUS : CPUS.toReversed(), options);
      if (result) results.set(key, [...(results.get(key) ?? []), result]);
    }
  }
  console.error(`round ${round} of ${values.rounds}`);
}

const names = Object.keys(CLIENTS);

// One row for each scenario that was run: what the median client needs or does, and `last` of the first one.
function table(what, digits, unitOf, last) {
  console.log(`| | ${names.join(" | ")} |${last ? ` ${last.title} |` : ""}`);
  console.log(`| --- |${" --- |".repeat(names.length + (last ? 1 : 0))}`);
  for (const [title, { scenario }] of Object.entries(SCENARIOS)) {
    const unit = unitOf(scenario);
    if (!unit || !names.some((name) => results.has(`${title}/${name}`))) continue;
    const of = (name, what) => median((results.get(`${title}/${name}`) ?? []).map((result) => result[what]));
    const first = of(names[0], what);
    const cells = names.map((name) => {
      const value = of(name, what);
      if (Number.isNaN(value)) return "stalls";
      const ratio = Number.isNaN(first) ? "-" : (value / first).toFixed(2);
      return `${value.toFixed(digits)} ${unit} (${ratio})`;
    });
    const server = last && scenario !== "idle" && !Number.isNaN(first) ? `${of(names[0], last.what).toFixed(2)} us` : "";
    console.log(`| ${title} | ${cells.join(" | ")} |${last ? ` ${server} |` : ""}`);
  }
}
table("value", 2, (scenario) => (scenario === "idle" ? "KiB" : "us"), {
  title: `bench_server beside ${names[0]}`,
  what: "server",
});
console.log();
table("rate", 1, (scenario) => (scenario === "idle" ? undefined : "k/s"));
console.log();
table("relative", 3, (scenario) => (scenario === "idle" ? undefined : "of the server's"));
