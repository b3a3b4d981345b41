// Connection state recovery, seen by the official client over each transport: against the interop server of README.md with
// --recovery.

import assert from "node:assert/strict";
import { after, before, describe, test as unbounded } from "node:test";

import { dialler, MODES, plain, upgraded } from "./client.mjs";
import { next, nextWhere, PATIENCE, startProxy, startServer, take } from "./support.mjs";

const REFERENCE = process.env.INTEROP_CMD?.includes("reference.mjs");

/** A test that ends. */
const test = (name, body, options) => unbounded(name, { timeout: 2 * PATIENCE, ...options }, body);

/** A test of what is decided otherwise than in JavaScript. */
const ours = (name, body) => test(name, body, { skip: REFERENCE && "JavaScript does otherwise" });

for (const mode of MODES) {
  describe(`recovery, ${mode.name}`, () => {
    let server;
    before(async () => (server = await startServer("INTEROP_CMD", ["--recovery"])));
    after(() => server.stop());

    /** What the client has to be told to come back soon. */
    const BACK = { reconnection: true, reconnectionDelay: 20, randomizationFactor: 0 };

    /**
     * A client behind a proxy that can fail, which is in the room `red` and has noted all `news` in `got`; and another one
     * on a link of its own, which is told who leaves. `lose` ends the link, and waits until the server has noticed.
     */
    async function scene(t, options) {
      const proxy = await startProxy(server.port);
      t.after(() => proxy.close());
      const { connect } = dialler(mode, () => server.url);
      const other = await connect(t);
      await joined(other, "watchers");
      const socket = await connect(t, { url: proxy.url, ...BACK, ...options });
      await joined(socket, "red");
      const got = [];
      // The last argument is the offset.
      socket.on("news", (...args) => got.push(plain(args.slice(0, -1))));
      async function lose() {
        const { id } = socket;
        const left = nextWhere(other, "left", (who) => who === id);
        const gone = next(socket, "disconnect");
        proxy.cut();
        await gone;
        return (await left)[1];
      }
      return { proxy, socket, other, got, lose };
    }

    const joined = (socket, room) => socket.timeout(PATIENCE).emitWithAck("join", room);

    /** Has `other` say something in rooms, and waits until it was said. */
    async function news(other, rooms, ...args) {
      other.emit("broadcast", rooms, [], ...args);
      await other.timeout(PATIENCE).emitWithAck("echo-ack");
    }

    /** Lets the client come back. */
    async function back({ proxy, socket }) {
      const connected = next(socket, "connect");
      proxy.restore();
      await connected;
      if (mode.transports.length > 1) await upgraded(socket);
    }

    test("a lost link is recovered with id, rooms and what was missed", async (t) => {
      const all = await scene(t);
      const { socket, other, got, lose } = all;
      assert.equal(socket.recovered, false);
      const { id } = socket;
      const first = take(socket, "news", 1);
      await news(other, ["red"], 1);
      await first;
      assert.match(await lose(), /^(transport (close|error)|ping timeout)$/);
      await news(other, ["red"], 2);
      await news(other, ["blue"], 3);
      await news(other, [], "four", Buffer.from([4]));
      await news(other, [id], 5);
      const missed = take(socket, "news", 3);
      await back(all);
      assert.deepEqual([socket.recovered, socket.id], [true, id]);
      await missed;
      // It is in its room, and hears nothing twice.
      const last = take(socket, "news", 1);
      await news(other, ["red"], 6);
      await last;
      assert.deepEqual(got, [[1], [2], ["four", { binary: "04" }], [5], [6]]);
    });

    test("link after link, nothing is lost or doubled", async (t) => {
      const all = await scene(t);
      const { socket, other, got, lose } = all;
      const { id } = socket;
      for (let round = 0; round < 3; round++) {
        await lose();
        await news(other, ["red"], round, "away");
        const both = take(socket, "news", 2);
        await back(all);
        assert.deepEqual([socket.recovered, socket.id], [true, id]);
        await news(other, ["red"], round, "here");
        await both;
      }
      assert.deepEqual(got, [0, 1, 2].flatMap((round) => [[round, "away"], [round, "here"]]));
    });

    ours("a client that has received nothing recovers too", async (t) => {
      const all = await scene(t);
      const { socket, other, got, lose } = all;
      const { id } = socket;
      // As if the server had not sent anything on connection.
      delete socket._lastOffset;
      await lose();
      await news(other, ["red"], 1);
      const missed = take(socket, "news", 1);
      await back(all);
      await missed;
      assert.deepEqual([socket.recovered, socket.id, got], [true, id, [[1]]]);
    });

    ours("a client that is refused learns nothing, and recovers when it is not", async (t) => {
      const all = await scene(t);
      const { proxy, socket, other, got, lose } = all;
      const { id } = socket;
      await lose();
      await news(other, ["red"], "secret");
      socket.auth = { refuse: "for now" };
      const refused = next(socket, "connect_error");
      proxy.restore();
      assert.equal((await refused)[0].message, "refused");
      assert.deepEqual(got, []);
      socket.auth = {};
      const missed = take(socket, "news", 1);
      const connected = next(socket, "connect");
      socket.connect();
      await connected;
      await missed;
      assert.deepEqual([socket.recovered, socket.id, got], [true, id, [["secret"]]]);
    });

    test("who leaves begins anew", async (t) => {
      const { socket, other, got } = await scene(t);
      const { id } = socket;
      const left = nextWhere(other, "left", (who) => who === id);
      socket.disconnect();
      assert.equal((await left)[1], "client namespace disconnect");
      await news(other, ["red"], 1);
      const connected = next(socket, "connect");
      socket.connect();
      await connected;
      assert.deepEqual([socket.recovered, socket.id === id], [false, false]);
      await news(other, ["red"], 2);
      await socket.timeout(PATIENCE).emitWithAck("echo-ack");
      assert.deepEqual(got, []);
    });

    test("every namespace of a connection is recovered by itself", async (t) => {
      const all = await scene(t);
      const { socket, lose } = all;
      const admin = socket.io.socket("/admin");
      t.after(() => admin.disconnect());
      await next(admin, "auth");
      const ids = [socket.id, admin.id];
      await lose();
      const connected = next(admin, "connect");
      await back(all);
      await connected;
      assert.deepEqual([socket.recovered, admin.recovered, socket.id, admin.id], [true, true, ...ids]);
    });
  });
}
