// The official server as the counterpart of our client, at a test's command: node counterpart.mjs
// Prints `listening on 127.0.0.1:P` and ends with its standard input. Each connection to that port is a world of its own,
// with at most one Socket.IO server and one proxy in front of it, and these end with the connection. It takes commands and
// gives answers, each a line of JSON: see README.md.

import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

import { Server } from "socket.io";
import OldServer from "socket.io-2";

import { application } from "./counterpart-app.mjs";
import { plain, unplain } from "./client.mjs";
import { PATIENCE, startProxy } from "./support.mjs";

class World {
  sockets = new Set();
  requests = [];
  posts = 0;

  /** Starts the server. */
  async listen({ options = {}, heartbeat, tls, redirect, old }) {
    const http = tls ? createHttpsServer({ ...tls, ...pem(tls) }) : createHttpServer();
    if (redirect) {
      const { status, to } = redirect;
      http.on("request", ({ url }, response) => response.writeHead(status, { location: to + url }).end());
      http.on("upgrade", (_, socket) => socket.end(`HTTP/1.1 ${status} Moved\r\nlocation: ${to}\r\ncontent-length: 0\r\n\r\n`));
    } else if (old) {
      new OldServer(http);
    } else {
      this.io = new Server(http, options);
      this.app = application(this.io);
      // Only the first handshake tells other times than these.
      if (heartbeat) this.io.engine.once("connection", () => Object.assign(this.io.engine.opts, heartbeat));
    }
    this.http = http;
    http.on("connection", (socket) => this.sockets.add(socket.on("close", () => this.sockets.delete(socket))));
    for (const event of ["request", "upgrade"]) {
      // Where nobody listens to upgrades, they are requests.
      if (http.listenerCount(event) > 0) http.prependListener(event, (...args) => this.#record(...args));
    }
    await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
    return { port: http.address().port };
  }

  #record({ method, url, headers }, response) {
    this.requests.push({ method, url, headers });
    if (method !== "POST") return;
    this.posts++;
    response.once("close", () => this.posts--);
  }

  async proxy() {
    this.link = await startProxy(this.http.address().port);
    return { port: Number(new URL(this.link.url).port) };
  }

  /** Ends all links once nothing is under way; the next `refused` sessions are refused. */
  async cut({ refused = 0 }) {
    await this.#quiet();
    this.link.refuse(refused);
  }

  /** Ends all links once nothing is under way; new ones wait until `restore`. `lossy`: whatever is on its way is lost. */
  async hold({ lossy }) {
    await (lossy ? this.#until(() => this.#polled(), "the clients to poll") : this.#quiet());
    this.link.hold();
    // What is sent to one that polls and has gone already is sent, for the server, and nobody is missed.
    this.paused = true;
    await this.gone();
    this.paused = false;
  }

  /** Waits until a connection waits. */
  async held() {
    await this.#until(() => this.link.held() > 0, "a connection to wait");
  }

  /** Waits until all clients have gone. */
  async gone() {
    await this.#until(() => this.io.engine.clientsCount === 0, "the clients to go");
  }

  silence() {
    this.link.silence();
  }

  /** Passes everything on again; the connections that wait, too, unless they are to be `dropped`. */
  restore({ dropped }) {
    this.link.restore(dropped);
  }

  /** Waits until nothing is under way but a GET of each client that polls: no POST, and nothing that the proxy still holds. */
  async #quiet() {
    const delivered = () =>
      [...this.sockets].every(({ remotePort, bytesWritten }) => this.link.delivered(remotePort) === bytesWritten);
    await this.#until(() => this.posts === 0 && this.#polled() && delivered(), "no request to be under way");
  }

  /** Whether the server can send to all clients, and so notices at once when their links end. */
  #polled() {
    return Object.values(this.io.engine.clients).every(({ transport }) => transport.writable);
  }

  async #until(condition, what) {
    const end = Date.now() + PATIENCE;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
      await pause();
    }
  }

  emit({ nsp, event, args }) {
    this.io.of(nsp).emit(event, ...args.map(unplain));
  }

  /** Begins to emit numbers to all clients of a namespace, some at a time. */
  stream(given) {
    void this.#stream(given);
  }

  async #stream({ nsp, event, count }) {
    for (let number = 0; number < count; number++) {
      while (this.paused) await pause();
      this.io.of(nsp).emit(event, number);
      if (number % 5 === 4) await pause();
    }
  }

  /** Lets the clients of `/slow` in. */
  release() {
    this.app.release();
  }

  /** The requests since the last time. */
  requested() {
    return { requests: this.requests.splice(0) };
  }

  /** Waits until all clients have gone. What the server's application saw. */
  async finish() {
    await this.gone();
    return { seen: plain(this.app.seen) };
  }

  end() {
    this.http?.close();
    this.io?.engine.close();
    for (const socket of this.sockets) socket.destroy();
    this.link?.close();
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 2));

/** Keys and certificates, which come as hexadecimal digits. */
function pem(given) {
  const labels = { key: "PRIVATE KEY", cert: "CERTIFICATE", ca: "CERTIFICATE" };
  const armoured = ([name, hex]) => {
    const text = Buffer.from(hex, "hex").toString("base64");
    return [name, `-----BEGIN ${labels[name]}-----\n${text}\n-----END ${labels[name]}-----\n`];
  };
  return Object.fromEntries(Object.entries(given).filter(([name]) => name in labels).map(armoured));
}

const COMMANDS = ["listen", "proxy", "cut", "hold", "held", "gone", "silence", "restore", "emit", "stream", "release", "requested", "finish"];

const control = createServer(async (connection) => {
  const world = new World();
  connection.on("close", () => world.end()).on("error", () => {});
  for await (const line of createInterface({ input: connection })) {
    const { do: name, ...given } = JSON.parse(line);
    let answer;
    try {
      if (!COMMANDS.includes(name)) throw new Error("no such command");
      answer = (await world[name](given)) ?? {};
    } catch (error) {
      answer = { error: `${name}: ${error.message}` };
    }
    connection.write(`${JSON.stringify(answer)}\n`);
  }
});
control.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${control.address().port}`));
process.stdin.resume().on("end", () => process.exit());
