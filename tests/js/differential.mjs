// Runs scripts with the official client, for tests/tests/reference/differential.rs, whose own client runs them too:
//   node differential.mjs CONTROL_PORT SCRIPT.json...
// Runs each of them in each mode, all at once, and prints for each a line of JSON: {script, mode, client, server}, what
// either side saw. README.md says what a script is.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { basename } from "node:path";
import { createInterface } from "node:readline";

import { Manager } from "socket.io-client";

import { MODES, plain, unplain } from "./client.mjs";
import { within } from "./support.mjs";

const MANAGER_EVENTS = ["open", "error", "close", "reconnect_attempt", "reconnect", "reconnect_error", "reconnect_failed"];

class Run {
  log = [];
  awaited = 0;
  sockets = new Map();
  #changed = () => {};

  constructor(script, { transports }, world) {
    Object.assign(this, { script, transports, world });
  }

  async start() {
    const { server, heartbeat, client } = this.script;
    await this.command("listen", { options: server, heartbeat });
    const { port } = await this.command("proxy");
    this.manager = new Manager(`http://127.0.0.1:${port}`, {
      autoConnect: false,
      transports: this.transports,
      reconnectionDelay: 20,
      reconnectionDelayMax: 20,
      randomizationFactor: 0,
      ...client,
    });
    for (const [name, ...args] of this.script.steps) await this[name](...args);
    const { seen } = this.script["server log"] === false ? {} : await this.command("finish");
    return { client: this.log, server: seen };
  }

  command(name, given) {
    return this.world({ do: name, ...given });
  }

  say(...line) {
    this.log.push(plain(line));
    if (this.script.recovery) withoutOffset(this.log.at(-1));
    this.#changed();
  }

  socket(nsp) {
    if (this.sockets.has(nsp)) return this.sockets.get(nsp);
    const { auth, provider, ...options } = this.script.sockets?.[nsp] ?? {};
    let asked = 0;
    const socket = this.manager.socket(nsp, {
      auth: provider ? (give) => give({ asked: asked++ }) : auth,
      ...options,
    });
    this.sockets.set(nsp, socket);
    socket.on("connect", () => this.say(nsp, "connect", Boolean(socket.recovered)));
    socket.on("connect_error", ({ message, data }) => this.say(nsp, "connect_error", message, data ?? null));
    socket.on("disconnect", (reason) => this.say(nsp, "disconnect", reason));
    socket.onAny((event, ...args) => this.say(nsp, "any", event, withoutAck(args)));
    socket.onAnyOutgoing((event, ...args) => this.say(nsp, "out", event, args));
    for (const event of this.script.listen ?? []) {
      socket.on(event, (...args) => {
        this.say(nsp, "event", event, withoutAck(args), typeof args.at(-1) === "function");
        const answer = this.script.answers?.[event];
        if (answer && typeof args.at(-1) === "function") args.at(-1)(...unplain(answer));
      });
    }
    return socket;
  }

  connect(nsp) {
    this.socket(nsp).connect();
    // As where an application has a namespace first, and then looks at its manager.
    this.listeners ??= MANAGER_EVENTS.map((event) => [event, (detail) => this.say("manager", event, told(detail))]);
    for (const [event, listener] of this.listeners) this.manager.off(event, listener).on(event, listener);
  }

  disconnect(nsp) {
    this.socket(nsp).disconnect();
  }

  emit(nsp, event, ...args) {
    try {
      this.socket(nsp).emit(event, ...unplain(args));
    } catch (error) {
      this.say(nsp, "failed", error.message);
    }
  }

  /** Emits an event so many times, with its number. */
  many(nsp, count, event, ...args) {
    for (let i = 0; i < count; i++) this.emit(nsp, event, i, ...args);
  }

  volatile(nsp, event, ...args) {
    this.socket(nsp).volatile.emit(event, ...unplain(args));
  }

  ask(nsp, label, timeout, event, ...args) {
    let socket = this.socket(nsp);
    if (timeout !== null) socket = socket.timeout(timeout);
    const callback = (error, ...answer) => this.say(nsp, "ack", label, error ? error.message : answer);
    // As `emitWithAck` has it, which tells of the first argument alone, and later.
    callback.withError = true;
    socket.emit(event, ...unplain(args), callback);
  }

  open() {
    this.manager.open();
  }

  close() {
    this.manager.disconnect();
  }

  state(nsp) {
    const { connected, active, id } = this.socket(nsp);
    this.say(nsp, "state", connected, active, id !== undefined);
  }

  /** Waits for a line that begins so, behind the one that was awaited before. */
  async await(...prefix) {
    const wanted = JSON.stringify(prefix);
    const begins = (line) => JSON.stringify(line.slice(0, prefix.length)) === wanted;
    const search = async () => {
      for (;;) {
        const line = this.log.slice(this.awaited).findIndex(begins);
        if (line >= 0) return void (this.awaited += line + 1);
        await new Promise((resolve) => (this.#changed = resolve));
      }
    };
    await within(search(), `${wanted} behind the first ${this.awaited} lines`);
  }

  /** Waits until the connection is on the transport where it is to stay. */
  async settled() {
    const { engine } = this.manager;
    if (engine.transport.name !== this.transports.at(-1)) await within(once(engine, "upgrade"), "the upgrade");
  }

  /** Has the counterpart do something. */
  async server(name, given) {
    await this.command(name, given);
  }
}

function told(detail) {
  return detail instanceof Error ? detail.message : (detail ?? null);
}

function withoutAck(args) {
  return typeof args.at(-1) === "function" ? args.slice(0, -1) : args;
}

/** Events of a server with recovery have a last argument that is different each time. */
function withoutOffset([, kind, , args]) {
  if ((kind === "any" || kind === "event") && /^[\w.-]{7,64}$/.test(args.at(-1))) args.pop();
}

/** A world of the counterpart: a function that has it do something and gives its answer. */
async function world(port) {
  const connection = createConnection(port, "127.0.0.1");
  const answers = createInterface({ input: connection })[Symbol.asyncIterator]();
  return Object.assign(
    async (command) => {
      connection.write(`${JSON.stringify(command)}\n`);
      const { value = '{"error":"the counterpart is gone"}' } = await within(answers.next(), JSON.stringify(command));
      const { error, ...answer } = JSON.parse(value);
      if (error) throw new Error(error);
      return answer;
    },
    { end: () => connection.destroy() },
  );
}

const [control, ...files] = process.argv.slice(2);
// Whoever started it has gone.
process.stdin.resume().on("end", () => process.exit(1));

async function run(file, mode) {
  const script = JSON.parse(await readFile(file, "utf8"));
  const own = await world(control);
  const run = new Run(script, mode, own);
  const logs = await run.start().catch((error) => {
    throw new Error(`${basename(file)}, ${mode.name}: ${JSON.stringify(run.log)}`, { cause: error });
  });
  own.end();
  console.log(JSON.stringify({ script: basename(file), mode: mode.name, ...logs }));
}

await Promise.all(files.flatMap((file) => MODES.map((mode) => run(file, mode))));
process.stdin.destroy();
