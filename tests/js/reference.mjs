// The servers of README.md on the official packages, to hold the tests against:
//   node reference.mjs --port P             the conformance server
//   node reference.mjs --port P --engine    the same for Engine.IO alone
//   node reference.mjs --port P --interop   the interop server
//   node reference.mjs --port P --features  the features server
// With --recovery, connection state recovery is on in the first and the third.

import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { Server as Engine } from "engine.io";
import { Server } from "socket.io";

import { features } from "./reference-features.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string" },
    engine: { type: "boolean" },
    interop: { type: "boolean" },
    features: { type: "boolean" },
    recovery: { type: "boolean" },
  },
});

// As here: middlewares decide again.
const recovery = options.recovery && { connectionStateRecovery: { skipMiddlewares: false } };
const CONFORMANCE = {
  pingInterval: 300,
  pingTimeout: 200,
  maxHttpBufferSize: 1_000_000,
  connectTimeout: 1_000,
  cors: { origin: "*" },
  ...recovery,
};
const INTEROP = { pingInterval: 500, pingTimeout: 2_500, cors: { origin: "*" }, ...recovery };

const http = createServer((_, response) => response.writeHead(404).end());
if (options.engine) conformanceEngine();
else if (options.interop) interop();
else if (options.features) features(new Server(http, INTEROP));
else conformance();
http.listen(Number(options.port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${http.address().port}`));

function conformance() {
  const io = new Server(http, CONFORMANCE);
  io.on("connection", (socket) => {
    socket.emit("auth", socket.handshake.auth);
    socket.on("message", (...args) => socket.emit("message-back", ...args));
    socket.on("message-with-ack", (...args) => args.pop()(...args));
  });
  io.of("/custom").on("connection", (socket) => socket.emit("auth", socket.handshake.auth));
}

function conformanceEngine() {
  const engine = new Engine(CONFORMANCE);
  engine.attach(http, { path: "/engine.io" });
  engine.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
}

function interop() {
  const io = new Server(http, INTEROP);
  for (const name of ["/", "/admin"]) {
    const nsp = io.of(name);
    nsp.use((socket, next) => {
      const { refuse } = socket.handshake.auth;
      next(refuse === undefined ? undefined : Object.assign(new Error("refused"), { data: refuse }));
    });
    nsp.on("connection", (socket) => interopSocket(nsp, socket));
  }
}

function interopSocket(nsp, socket) {
  const events = {
    echo: (...args) => socket.emit("echo", ...args),
    "echo-ack": (...args) => args.pop()(...args),
    join(room, ack) {
      socket.join(room);
      ack();
    },
    leave(room, ack) {
      socket.leave(room);
      ack();
    },
    broadcast: (rooms, excepted, ...args) => nsp.to(rooms).except(excepted).emit("news", ...args),
    ask: (time, ...args) =>
      socket.timeout(time).emit("question", ...args, (error, ...answer) => {
        if (error) socket.emit("answered", "timeout");
        else socket.emit("answered", "ok", ...answer);
      }),
    burst(count) {
      for (let i = 0; i < count; i++) socket.emit("tick", i);
    },
    kick: (close) => socket.disconnect(close),
  };
  for (const [event, listener] of Object.entries(events)) socket.on(event, listener);
  socket.onAny((event, ...args) => {
    if (Object.hasOwn(events, event)) return;
    if (typeof args.at(-1) === "function") args.pop();
    // Catch-all listeners run a tick before the others: this keeps the answers in order.
    process.nextTick(() => socket.emit("caught", event, ...args));
  });
  socket.on("disconnect", (reason) => nsp.to("watchers").emit("left", socket.id, reason));
  socket.emit("auth", socket.handshake.auth);
}
