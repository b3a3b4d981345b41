// The features server of README.md on the official packages. Where JavaScript has no such thing (an error handler,
// events that wait for the connection listener), it is made up here, so that the tests can run at all.

import { setMaxListeners } from "node:events";

export function features(io) {
  const counts = { sockets: 0, reasons: {} };
  const errors = [];
  const gates = new Map();

  /** A gate is opened once, and stays open. */
  function gate(name) {
    if (!gates.has(name)) gates.set(name, resolvers());
    return gates.get(name);
  }

  /** What a handler's failure comes to in a server that has an error handler. */
  const guarded = (nsp, event, listener) => async (...args) => {
    try {
      await listener(...args);
    } catch (error) {
      errors.push([nsp, event, error.message]);
    }
  };

  function counted(socket) {
    counts.sockets++;
    let rooms;
    socket.on("disconnecting", () => (rooms = named(socket)));
    socket.on("disconnect", (reason) => {
      counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
      io.to("watchers").emit("left", socket.id, reason, rooms, named(socket));
    });
  }

  io.on("connection", (socket) => {
    counted(socket);
    let seen = { incoming: [], outgoing: [] };
    let note = null;
    socket.onAny((event, ...args) => seen.incoming.push([event, ...withoutAck(args)]));
    socket.onAnyOutgoing((event, ...args) => seen.outgoing.push([event, ...args]));

    const on = (event, listener) => socket.on(event, guarded("/", event, listener));
    on("hello", (number, text, extra) => {
      if (typeof extra !== "object") throw new Error("no object");
      const { 3: three, 5: five } = extra;
      socket.emit("hello", number + 1, `${text}!`, { 3: `${three}!`, 5: Buffer.from([...five, 7]) });
    });
    on("request", ({ name }, text, ack) => ack({ status: "ok", name, text }));
    on("album", ({ title, photos }, cover, ack) => {
      const turned = { title, photos: photos.toReversed() };
      socket.emit("album", turned, cover);
      ack(turned, cover);
    });
    on("ask", async (how, time, ...args) => {
      const timed = socket.timeout(time ?? 30_000);
      const answered = (...answer) => io.to("watchers").emit("answered", socket.id, ...answer);
      if (how === "callback") {
        timed.emit("question", ...args, (error, first = null) => answered(...(error ? ["timeout"] : ["ok", first])));
      } else {
        try {
          answered("ok", (await timed.emitWithAck("question", ...args)) ?? null);
        } catch {
          answered("timeout");
        }
      }
    });
    on("twice", (ack) => {
      ack("first");
      ack("second");
    });
    socket.on("seen", (ack) => {
      ack(seen);
      seen = { incoming: [], outgoing: [] };
    });
    for (const i of [1, 2, 3]) socket.on("many", () => socket.emit("many", i));
    socket.once("once", () => socket.emit("once"));
    socket.on("off", (which, ack) => {
      if (which === "all") socket.removeAllListeners("many");
      else socket.off("many", socket.listeners("many")[1]);
      ack();
    });
    on("join", (rooms, ack) => {
      socket.join(rooms);
      ack(named(socket));
    });
    on("leave", (room, ack) => {
      socket.leave(room);
      ack(named(socket));
    });
    on("publish", ({ by, nsp, to, except }, ...args) => {
      let operator = by === "socket" ? socket.broadcast : io.of(nsp);
      for (const rooms of to) operator = operator.to(rooms);
      for (const rooms of except) operator = operator.except(rooms);
      operator.emit("news", ...args);
    });
    on("manage", ({ to, except }, verb, argument, ack) => {
      const selection = io.to(to).except(except);
      if (verb === "join") selection.socketsJoin(argument);
      else if (verb === "leave") selection.socketsLeave(argument);
      else selection.disconnectSockets(argument);
      ack();
    });
    on("handshake", (header, name, ack) => {
      const { headers, query, address, url, auth, secure, xdomain, issued } = socket.handshake;
      ack({ header: headers[header], query: query[name], address, url, auth, secure, xdomain, issued });
    });
    on("note", (value, ack) => {
      ack(note);
      note = value;
    });
    on("send", (...args) => socket.send(...args));
    on("burst", (count) => {
      for (let i = 0; i < count; i++) socket.emit("tick", i);
    });
    on("measure", (data) => socket.emit("measured", Buffer.byteLength(data)));
    on("fill", (count) => socket.emit("filled", "x".repeat(count)));
    on("hold", async (name, label) => {
      socket.emit("holding", label);
      await gate(name).promise;
      socket.emit("held", label);
      io.to("watchers").emit("completed", label);
    });
    socket.on("open", (name, ack) => {
      gate(name).resolve();
      ack();
    });
    on("panic", (text) => {
      throw new Error(text);
    });
    on("fail", (text) => {
      throw new Error(text);
    });
    on("typed", (number, ack) => {
      if (typeof number !== "number") throw new Error("no number");
      ack(number + 1);
    });
    on("broadcasts", (ack) => ack([]));
    on("errors", (ack) => ack(errors.splice(0)));
    on("kick", (close) => socket.disconnect(close));
    socket.emit("hello", 1, "2", { 3: "4", 5: Uint8Array.from([6]) });
  });

  const guardedNamespace = io.of("/guarded");
  guardedNamespace.use(async (socket, next) => {
    await new Promise(setImmediate);
    socket.data.passed = ["first"];
    next(socket.handshake.auth.token ? undefined : new Error("no token"));
  });
  guardedNamespace.use((socket, next) => {
    socket.data.passed.push("second");
    const { token } = socket.handshake.auth;
    if (token === "secret") return next();
    next(Object.assign(new Error("wrong token"), { data: { code: 401, tokens: [token] } }));
  });
  guardedNamespace.on("connection", (socket) => {
    counted(socket);
    socket.emit("passed", socket.data.passed);
  });

  io.of("/slow").on("connection", async (socket) => {
    counted(socket);
    const opened = gate(socket.handshake.auth.gate).promise;
    setMaxListeners(0, socket);
    // In JavaScript, what comes before the listeners are there is lost.
    for (const event of ["late", "known"]) {
      socket.on(event, async (...args) => {
        await opened;
        if (typeof args.at(-1) === "function") args.pop()(...args);
        socket.emit(event, ...args);
      });
    }
    socket.emit("early");
  });

  io.of("/endless").on("connection", async (socket) => {
    counted(socket);
    socket.on("echo", (...args) => socket.emit("echo", ...args));
    await new Promise(() => {});
  });

  const failing = io.of("/failing");
  failing.on("connection", (socket) => {
    counted(socket);
    socket.on("echo", (...args) => socket.emit("echo", ...args));
    const { text } = socket.handshake.auth;
    void guarded("/failing", "connect", () => Promise.reject(new Error(text)))();
  });

  process.once("SIGTERM", async () => {
    await io.close();
    console.log(JSON.stringify({ ...counts, idle: io.engine.clientsCount === 0 }));
    process.exit(0);
  });
}

/** The rooms of a socket but the one of its own id, sorted. */
function named(socket) {
  return [...socket.rooms].filter((room) => room !== socket.id).sort();
}

function withoutAck(args) {
  return typeof args.at(-1) === "function" ? args.slice(0, -1) : args;
}

function resolvers() {
  const gate = {};
  gate.promise = new Promise((resolve) => (gate.resolve = resolve));
  return gate;
}
