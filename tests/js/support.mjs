// What the tests share: a server under test as a child process, bounded waits, and a TCP proxy that fails on request.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";

/** How long anything may take that has no deadline in the protocol, in milliseconds. */
export const PATIENCE = 20_000;

/**
 * Starts the server whose command is in the environment variable `variable`, on a free port.
 * Gives `{ port, url, printed, prints(line), stop(), terminate() }`; `stop` fails if the server has ended by itself.
 * `terminate` asks it to end and gives its exit code (or the signal that ended it) and the last line that it printed.
 */
export async function startServer(variable, args = []) {
  const command = process.env[variable];
  if (!command) throw new Error(`${variable} is not set: it must hold the command of the server to test`);
  const child = spawn("/bin/sh", ["-c", `exec ${command} "$@"`, "sh", "--port", "0", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);

  const printed = [];
  let last;
  const lines = createInterface({ input: child.stdout }).on("line", (line) => (last = line));
  const ready = new Promise((resolve) => lines.once("line", resolve));
  const closed = new Promise((resolve) => lines.once("close", resolve));
  const line = await within(Promise.race([ready, exit.then((code) => `ended with ${code}`)]), `${command} to be ready`);
  const port = Number(/^listening on 127\.0\.0\.1:([1-9]\d*)$/.exec(line)?.[1]);
  if (!port) {
    kill();
    throw new Error(`${command}: expected "listening on 127.0.0.1:<port>", got "${line}"`);
  }
  lines.on("line", (line) => printed.push(line));
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    /** What it has printed since, without the lines that `prints` has found. */
    printed,
    /** Waits until it has printed this line. */
    async prints(line) {
      const all = () => `${command} to print "${line}"; it has printed:\n${printed.join("\n")}`;
      while (!printed.includes(line)) await within(once(lines, "line"), all);
      printed.splice(printed.indexOf(line), 1);
    },
    async stop() {
      const ended = child.exitCode ?? child.signalCode;
      kill();
      await exit;
      process.off("exit", kill);
      if (ended !== null) throw new Error(`${command} ended by itself during the tests: ${ended}`);
    },
    async terminate() {
      child.kill("SIGTERM");
      const [code] = await within(Promise.all([exit, closed]), `${command} to end`);
      return { code, last };
    },
  };
}

/** `promise`, or a failure that names `what` (a text, or what gives one then) after `ms`. */
export function within(promise, what, ms = PATIENCE) {
  let timer;
  const fail = (reject) => reject(new Error(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`));
  const late = new Promise((_, reject) => (timer = setTimeout(fail, ms, reject).unref()));
  const result = Promise.race([promise, late]).finally(() => clearTimeout(timer));
  // A test that has failed for another reason no longer looks at it.
  result.catch(() => {});
  return result;
}

/** The arguments of the next `event` of `emitter`. */
export function next(emitter, event) {
  return within(new Promise((resolve) => emitter.once(event, (...args) => resolve(args))), `"${event}"`);
}

/** The arguments of the first `event` of `emitter` that `accept` says yes to. */
export function nextWhere(emitter, event, accept) {
  let listener;
  const found = new Promise((resolve) => {
    listener = (...args) => accept(...args) && resolve(args);
    emitter.on(event, listener);
  });
  return within(found, `"${event}"`).finally(() => emitter.off(event, listener));
}

/** The arguments of the next `count` times of `event`. */
export function take(emitter, event, count) {
  const seen = [];
  let listener;
  const all = new Promise((resolve) => {
    listener = (...args) => {
      seen.push(args);
      if (seen.length === count) resolve(seen);
    };
    emitter.on(event, listener);
  });
  return within(all, `${count} times "${event}"`).finally(() => emitter.off(event, listener));
}

/** A TCP proxy in front of `port` that can drop connections, reset them, refuse new ones, or go silent. */
export async function startProxy(port) {
  const pairs = new Set();
  /** How many sessions are still to be refused. */
  let refusing = 0;
  /** Connections that wait to be let through, while they are to wait. */
  let held;
  let silent = false;
  let onSent = () => {};
  const server = createServer((near) => {
    near.on("error", () => {});
    if (refusing === Infinity) return near.destroy();
    if (held) return held.push(near);
    if (refusing === 0) return join(near);
    near.once("data", (first) => {
      // A session begins with a request that names none; others are goodbyes.
      if (refusing === 0 || /^[A-Z]+ \S*[?&]sid=/.test(first.toString("latin1"))) return join(near).write(first);
      refusing--;
      near.destroy();
    });
  });
  function join(near) {
    const far = createConnection(port, "127.0.0.1");
    const pair = [near, far];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      // A silent network does not tell one end what the other did.
      if (!silent) pair.forEach((socket) => socket.destroy());
    };
    near.on("data", (chunk) => silent || far.write(chunk, () => onSent()));
    far.on("data", (chunk) => silent || near.write(chunk));
    for (const socket of pair) socket.on("error", () => {}).on("close", end);
    return far;
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const destroyAll = () => pairs.forEach((pair) => pair.forEach((socket) => socket.destroy()));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Waits until the client's next bytes are on their way to the server. */
    sent: () => within(new Promise((resolve) => (onSent = resolve)), "the client to send something"),
    /** How many bytes the client has been given of the server's connection with this port; `undefined` while some wait. */
    delivered(remotePort) {
      const [near, far] = [...pairs].find(([, { localPort }]) => localPort === remotePort) ?? [];
      return near?.writableLength === 0 ? far.bytesRead : undefined;
    },
    /** Ends every connection and refuses new ones until `restore`. */
    cut() {
      refusing = Infinity;
      destroyAll();
    },
    /** Ends every connection, and refuses the next `count` sessions. */
    refuse(count) {
      refusing = count;
      destroyAll();
    },
    /** Ends every connection; new ones wait until `restore`. */
    hold() {
      held = [];
      destroyAll();
    },
    /** How many wait. */
    held: () => held?.length ?? 0,
    /** Ends every connection with a TCP reset. */
    reset() {
      pairs.forEach((pair) => pair.forEach((socket) => socket.resetAndDestroy()));
    },
    /** Passes nothing on any more, in either direction, without closing anything. */
    silence() {
      silent = true;
    },
    /** Lets new connections through again, and those that wait, unless they are to be dropped. */
    restore(dropped = false) {
      refusing = 0;
      silent = false;
      for (const near of held ?? []) {
        if (dropped) near.destroy();
        else if (!near.destroyed) join(near);
      }
      held = undefined;
    },
    close() {
      silent = false;
      destroyAll();
      held?.forEach((near) => near.destroy());
      server.close();
    },
  };
}
