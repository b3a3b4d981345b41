// What the counterpart's Socket.IO server does: see README.md.

import { plain } from "./client.mjs";

export function application(io) {
  const seen = [];
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const deferred = [];
  /** How often each event that is to be repeated came. */
  const repeated = new Map();

  const listeners = {
    echo(...args) {
      this.emit("echo", ...args);
    },
    message(...args) {
      this.send(...args);
    },
    answer(...args) {
      args.pop()(...args);
    },
    ignore() {},
    defer(ack) {
      deferred.push(ack);
    },
    "answer deferred"() {
      for (const ack of deferred.splice(0)) ack("late");
    },
    twice(ack) {
      ack("first");
      ack("second");
    },
    ask(time, ...args) {
      this.timeout(time).emit("question", ...args, (error, ...answer) => {
        this.emit("answered", error ? "timeout" : "ok", ...answer);
      });
    },
    burst(count) {
      for (let i = 0; i < count; i++) this.emit("tick", i);
    },
    shout(...args) {
      this.volatile.emit("shout", ...args);
    },
    again(number, ignored, ack) {
      const times = (repeated.get(number) ?? 0) + 1;
      repeated.set(number, times);
      if (times > ignored) ack(number, times);
    },
    whoami(ack) {
      ack(plain(this.handshake.auth), this.id, this.recovered, this.conn.transport.name);
    },
    leave(close) {
      this.disconnect(close);
    },
    hangup() {
      this.conn.close();
    },
    write(text) {
      this.conn.write(text);
    },
  };

  for (const name of ["/", "/news", "/admin", "/early", "/slow"]) {
    io.of(name).on("connection", (socket) => {
      const { pid, offset, ...auth } = socket.handshake.auth;
      note(name, "connection", plain(auth), socket.recovered);
      socket.on("disconnect", (reason) => note(name, "disconnect", reason));
      socket.onAny((event, ...args) => {
        const asked = typeof args.at(-1) === "function";
        note(name, "event", event, plain(asked ? args.slice(0, -1) : args), asked);
      });
      for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    });
  }

  io.of("/admin").use(({ handshake: { auth } }, next) => {
    if (auth.token === "secret") return next();
    next(Object.assign(new Error("not authorized"), { data: { token: auth.token ?? null } }));
  });
  io.of("/early").use((socket, next) => {
    socket.emit("early", 1, Buffer.from("one"));
    socket.emit("early", 2, (answer) => note("/early", "answer", answer));
    next();
  });
  io.of("/slow").use((_, next) => released.then(() => next()));

  function note(...entry) {
    seen.push(entry);
  }

  return { seen, release };
}
