// What the conformance suite speaks with: a server process, HTTP exchanges and WebSocket connections at the level of
// single packets. Every wait is bounded and fails with the words of what was waited for.

import { request } from "node:http";
import WebSocket from "ws";

import { PATIENCE, startServer, within } from "./support.mjs";

/** The timings of the conformance server, in milliseconds. */
export const PING_INTERVAL = 300;
export const PING_TIMEOUT = 200;
export const CONNECT_TIMEOUT = 1000;
export const MAX_PAYLOAD = 1_000_000;

/** The separator of the packets of a polling payload. */
export const SEPARATOR = "\x1e";

/** Runs `attempt` again and again until it gives something truthy, which is returned. */
export async function eventually(attempt, what, ms = PATIENCE) {
  const end = performance.now() + ms;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One conformance server: the command in `CONFORMANCE_CMD`, on a port of its own. */
export class Host {
  /** @param {string} path the request path, `/engine.io/` or `/socket.io/` */
  constructor(path) {
    this.path = path;
  }

  async start() {
    this.server = await startServer("CONFORMANCE_CMD", this.path === "/engine.io/" ? ["--engine"] : []);
    this.port = this.server.port;
  }

  stop() {
    return this.server.stop();
  }

  /** The URL with this query; a value of `undefined` leaves its parameter out. */
  url(scheme, query, path = this.path) {
    const params = Object.entries({ EIO: 4, ...query }).filter(([, value]) => value !== undefined);
    return `${scheme}://127.0.0.1:${this.port}${path}?${new URLSearchParams(params)}`;
  }

  /** One HTTP exchange: the status, the headers and the body. */
  async http(method, query, { body, headers, path, signal } = {}) {
    const response = await fetch(this.url("http", { transport: "polling", ...query }, path), {
      method,
      body,
      headers,
      signal: signal ?? AbortSignal.timeout(PATIENCE),
    });
    return { status: response.status, headers: response.headers, body: await response.text() };
  }

  get(query, options) {
    return this.http("GET", query, options);
  }

  post(query, body, options) {
    return this.http("POST", query, { body, ...options });
  }

  /** A POST of which only the head and `start` are sent. `response` settles when it is answered. */
  halfPost(query, start, length) {
    const request_ = request(this.url("http", { transport: "polling", ...query }), {
      method: "POST",
      agent: false,
      headers: { "Content-Length": String(length) },
    });
    const response = new Promise((resolve, reject) => {
      request_.on("response", (message) => {
        let body = "";
        message.setEncoding("utf8");
        message.on("data", (chunk) => (body += chunk));
        message.on("end", () => resolve({ status: message.statusCode, headers: message.headers, body }));
        message.on("error", reject);
      });
      request_.on("error", reject);
    });
    response.catch(() => {});
    request_.write(start);
    return { response, finish: (rest) => request_.end(rest), abort: () => request_.destroy() };
  }

  /** A new polling session. */
  async poll() {
    const response = await this.get({});
    if (response.status !== 200) throw new Error(`${response.status} ${response.body}`);
    return new Poll(this, JSON.parse(response.body.slice(1)).sid);
  }

  /** A WebSocket connection whose handshake with HTTP succeeds. */
  async websocket(query = {}, options = {}) {
    const socket = new Socket(this.url("ws", { transport: "websocket", ...query }), options);
    await within(socket.opened, "the answer 101");
    return socket;
  }

  /** A new session on WebSocket, after its `open` packet. */
  async connect(options = {}) {
    const socket = await this.websocket(options.query, options);
    const open = await socket.next();
    socket.sid = JSON.parse(open.slice(1)).sid;
    return socket;
  }

  /** A request to open a WebSocket that is refused with an HTTP answer: its status and body. */
  refused(query, headers = {}) {
    const socket = new WebSocket(this.url("ws", { transport: "websocket", ...query }), { headers });
    return within(
      new Promise((resolve, reject) => {
        socket.on("open", () => reject(new Error("was answered 101")));
        socket.on("error", reject);
        socket.on("unexpected-response", (_, message) => {
          let body = "";
          message.setEncoding("utf8");
          message.on("data", (chunk) => (body += chunk));
          message.on("end", () => resolve({ status: message.statusCode, headers: message.headers, body }));
        });
      }),
      "the refusal",
    ).finally(() => {
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.terminate();
    });
  }

  /**
   * Whether the session exists, asked without disturbing it: a POST with a pong, which also keeps it from its ping
   * timeout. A session on WebSocket refuses the POST with code 3, an unknown one with code 1.
   */
  async exists(sid) {
    const { status, body } = await this.post({ sid }, "3");
    if (status === 200) return true;
    return JSON.parse(body || '{"code":1}').code !== 1;
  }

  /** Waits until the session is gone. */
  gone(sid) {
    return eventually(async () => !(await this.exists(sid)), "the session's end");
  }
}

/** A session on long-polling. */
export class Poll {
  constructor(host, sid) {
    this.host = host;
    this.sid = sid;
    this.packets = [];
  }

  get(options) {
    return this.host.get({ sid: this.sid }, options);
  }

  post(body, options) {
    return this.host.post({ sid: this.sid }, body, options);
  }

  /** Sends packets; they must be taken. */
  async send(...packets) {
    const { status, body } = await this.post(packets.join(SEPARATOR));
    if (status !== 200 || body !== "ok") throw new Error(`${status} ${body}`);
  }

  /** The next packet. Pings are answered and left out. */
  async next() {
    while (this.packets.length === 0) {
      const { status, body } = await this.get();
      if (status !== 200) throw new Error(`${status} ${body}`);
      for (const packet of body.split(SEPARATOR)) {
        if (packet === "2") await this.send("3");
        else this.packets.push(packet);
      }
    }
    return this.packets.shift();
  }

  gone() {
    return this.host.gone(this.sid);
  }
}

/** A WebSocket connection: what it receives, in order, and its end. */
export class Socket {
  #events = [];
  #waiting = [];

  /** @param {{ heartbeat?: boolean }} options with `heartbeat: false` pings are given out and not answered */
  constructor(url, { heartbeat = true } = {}) {
    this.ws = new WebSocket(url);
    this.ws.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      if (heartbeat && message === "2") this.ws.send("3");
      else this.#push({ message });
    });
    this.ws.on("close", (code, reason) => this.#push({ close: { code, reason: reason.toString() } }));
    this.ws.on("error", (error) => (this.error = error));
    this.opened = new Promise((resolve, reject) => {
      this.ws.on("open", resolve);
      this.ws.on("error", reject);
    });
    this.opened.catch(() => {});
  }

  #push(event) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(event);
    else this.#events.push(event);
  }

  #event(what, ms) {
    const event = this.#events.shift();
    if (event) return Promise.resolve(event);
    return within(new Promise((resolve) => this.#waiting.push(resolve)), what, ms);
  }

  send(...messages) {
    for (const message of messages) this.ws.send(message);
  }

  /** The next message: a string, or a Buffer. */
  async next() {
    const { message, close } = await this.#event("a message");
    if (close) throw new Error(`closed with ${close.code} ${close.reason}`);
    return message;
  }

  /** Waits for the end; a message before it is an error. */
  async closed(ms = PATIENCE) {
    const { message, close } = await this.#event("the end of the connection", ms);
    if (message !== undefined) throw new Error(`got ${message} instead of the end`);
    return close;
  }

  close() {
    this.ws.close();
  }
}
