// What an application does with the API, seen by the official client over each transport: against the features server
// of README.md.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, describe, test as unbounded } from "node:test";
import { fileURLToPath } from "node:url";

import { io } from "socket.io-client";

import { beside, dialler, MODES, plain } from "./client.mjs";
import { next, nextWhere, PATIENCE, startProxy, startServer, take, within } from "./support.mjs";

// What JavaScript has not, or does otherwise.
const REFERENCE = process.env.FEATURES_CMD?.includes("reference.mjs");

const MAX_PAYLOAD = 1_000_000;

/** A test that ends: an acknowledgement that never comes has no bound of its own. */
function test(name, ...rest) {
  const body = rest.pop();
  unbounded(name, { timeout: 2 * PATIENCE, ...rest[0] }, body);
}

/** A test of what is decided otherwise than in JavaScript. */
const ours = (name, body) => test(name, { skip: REFERENCE && "JavaScript does otherwise" }, body);

let server;
before(async () => (server = await startServer("FEATURES_CMD")));
after(() => server?.stop());

for (const mode of MODES) {
  const { websocket, upgrading, dial, opened, connect } = dialler(mode, () => server.url);
  /** A name of this mode's own. */
  const own = (name) => `${mode.name} ${name}`;

  describe(mode.name, () => {
    describe("emitting", () => {
      test("the server emits several arguments, binary among them", async (t) => {
        assert.deepEqual(plain(await next(dial(t), "hello")), plain([1, "2", { 3: "4", 5: Buffer.from([6]) }]));
      });

      test("the client emits several arguments, which arrive as the handler's types", async (t) => {
        const socket = await connect(t);
        socket.emit("hello", 1, "2", { 3: "4", 5: Uint8Array.from([6]) });
        // The greeting may still be on its way.
        const answer = await nextWhere(socket, "hello", (number) => number === 2);
        assert.deepEqual(plain(answer), plain([2, "2!", { 3: "4!", 5: Buffer.from([6, 7]) }]));
      });

      test("attachments in objects in arrays", async (t) => {
        const socket = await connect(t);
        const photos = [
          { name: "one", data: Buffer.from([1, 2, 3]), thumbnail: Buffer.from([1]) },
          { name: "two", data: Buffer.alloc(0) },
          { name: "three", data: Buffer.alloc(100_000, "three"), thumbnail: Buffer.alloc(0) },
        ];
        const album = { title: "déjà vu", photos };
        const turned = plain([{ ...album, photos: photos.toReversed() }, Buffer.from("cover")]);
        const emitted = next(socket, "album");
        const acked = new Promise((done) => socket.emit("album", album, Buffer.from("cover"), (...args) => done(args)));
        assert.deepEqual(plain(await within(acked, "the acknowledgement")), turned);
        assert.deepEqual(plain(await emitted), turned);
      });

      test("send is the event message", async (t) => {
        const socket = await connect(t);
        socket.emit("send", "one", { two: Buffer.from("2") });
        assert.deepEqual(plain(await next(socket, "message")), plain(["one", { two: Buffer.from("2") }]));
      });

      test("10,000 events of one handler all arrive, in order", async (t) => {
        const socket = await connect(t);
        const ticks = take(socket, "tick", 10_000);
        socket.emit("burst", 10_000);
        assert.deepEqual((await ticks).map(([i]) => i), Array.from({ length: 10_000 }, (_, i) => i));
      });
    });

    describe("acknowledgements", () => {
      test("the server answers: by callback, by promise, within a time", async (t) => {
        const socket = await connect(t);
        const expected = { status: "ok", name: "foo", text: "bar" };
        const called = new Promise((done) => socket.emit("request", { name: "foo" }, "bar", done));
        assert.deepEqual(await within(called, "the callback"), expected);
        assert.deepEqual(await socket.emitWithAck("request", { name: "foo" }, "bar"), expected);
        assert.deepEqual(await socket.timeout(PATIENCE).emitWithAck("request", { name: "foo" }, "bar"), expected);
        const timed = new Promise((done) =>
          socket.timeout(PATIENCE).emit("request", { name: "foo" }, "bar", (...args) => done(args)));
        assert.deepEqual(await within(timed, "the callback"), [null, expected]);
      });

      for (const how of ["callback", "promise"]) {
        test(`the client answers the server's ${how}`, async (t) => {
          const [socket, watcher] = await Promise.all([connect(t), watch(t)]);
          socket.on("question", (...args) => args.pop()(...args));
          for (const time of [PATIENCE, null]) {
            for (const args of [[{ status: "ok" }], [Buffer.from("binary"), "second"], [[]], []]) {
              const answered = nextWhere(watcher, "answered", (id) => id === socket.id);
              socket.emit("ask", how, time, ...args);
              assert.deepEqual(plain(await answered), plain([socket.id, "ok", args[0] ?? null]));
            }
          }
        });

        test(`the server's ${how} learns that the client did not answer in time`, async (t) => {
          const [socket, watcher] = await Promise.all([connect(t), watch(t)]);
          const answered = nextWhere(watcher, "answered", (id) => id === socket.id);
          socket.emit("ask", how, 50, "anybody?");
          assert.deepEqual(await answered, [socket.id, "timeout"]);
          await served(socket);
        });

        // There, it goes on waiting.
        ours(`the server's ${how} ends with the connection`, async (t) => {
          const [socket, watcher] = await Promise.all([connect(t), watch(t)]);
          const { id } = socket;
          const answered = nextWhere(watcher, "answered", (asked) => asked === id);
          const question = next(socket, "question");
          socket.emit("ask", how, null, "anybody?");
          await question;
          socket.disconnect();
          assert.deepEqual(await answered, [id, "disconnected"]);
        });
      }

      test("only the first answer is sent", async (t) => {
        const socket = await connect(t);
        const answers = [];
        socket.emit("twice", (answer) => answers.push(answer));
        await served(socket);
        assert.deepEqual(answers, ["first"]);
      });
    });

    describe("listeners of the server", () => {
      test("its catch-all listeners see what comes in and what goes out", async (t) => {
        const socket = await connect(t);
        // Acknowledgements are no events.
        await socket.emitWithAck("join", [own("seen")]);
        await socket.emitWithAck("broadcasts");
        socket.emit("unheard", 1, { deep: [Buffer.from("x")] });
        socket.emit("unheard with acknowledgement", () => assert.fail("nobody answers"));
        socket.emit("send", "a", Buffer.from("b"));
        socket.emit("publish", { by: "server", nsp: "/", to: [own("seen")], except: [] }, "all");
        await next(socket, "news");
        const hello = ["hello", 1, "2", { 3: "4", 5: Buffer.from([6]) }];
        const publish = ["publish", { by: "server", nsp: "/", to: [own("seen")], except: [] }, "all"];
        const incoming = [
          ["join", [own("seen")]],
          ["broadcasts"],
          ["unheard", 1, { deep: [Buffer.from("x")] }],
          ["unheard with acknowledgement"],
          ["send", "a", Buffer.from("b")],
          publish,
          ["seen"],
        ];
        // A broadcast is seen by each recipient's listeners in JavaScript, once by the namespace's here.
        const news = [["news", "all"]];
        const outgoing = [hello, ["message", "a", Buffer.from("b")], ...(REFERENCE ? news : [])];
        assert.deepEqual(plain(await socket.emitWithAck("seen")), plain({ incoming, outgoing }));
        assert.deepEqual(await socket.emitWithAck("broadcasts"), REFERENCE ? [] : news);
        assert.deepEqual(await socket.emitWithAck("seen"), { incoming: [["broadcasts"], ["seen"]], outgoing: [] });
      });

      test("several run in order, until they are taken off", async (t) => {
        const socket = await connect(t);
        const heard = [];
        socket.on("many", (i) => heard.push(i));
        socket.emit("many");
        await socket.emitWithAck("off", "second");
        socket.emit("many");
        await socket.emitWithAck("off", "all");
        socket.emit("many");
        await socket.emitWithAck("off", "all");
        assert.deepEqual(heard, [1, 2, 3, 1, 3]);
      });

      test("once is once", async (t) => {
        const socket = await connect(t);
        let times = 0;
        socket.on("once", () => times++);
        for (let i = 0; i < 3; i++) socket.emit("once");
        await served(socket);
        assert.equal(times, 1);
      });

      test("a handler that panics, fails, or gets other arguments costs nothing but itself", async (t) => {
        const socket = await connect(t);
        await socket.emitWithAck("errors");
        const [panic, failure] = [own("panic"), own("failure")];
        socket.emit("panic", panic);
        socket.emit("fail", failure);
        socket.emit("typed", "no number", () => assert.fail("nobody answers"));
        socket.emit("typed", () => assert.fail("nobody answers"));
        socket.emit("hello", 1, "2", "no object");
        assert.equal(await socket.emitWithAck("typed", 1), 2);
        const errors = await socket.emitWithAck("errors");
        const names = errors.map(([nsp, event]) => `${nsp} ${event}`);
        assert.deepEqual(names, ["/ panic", "/ fail", "/ typed", "/ typed", "/ hello"]);
        assert.ok(errors[0][2].includes(panic), errors[0][2]);
        assert.ok(errors[1][2].includes(failure), errors[1][2]);
        await served(socket);
      });

      test("one that waits holds up no other", async (t) => {
        const socket = await connect(t);
        const heard = [];
        for (const event of ["holding", "held", "message"]) socket.on(event, (label) => heard.push(`${event} ${label}`));
        socket.emit("hold", own("gate"), 1);
        socket.emit("hold", own("gate"), 2);
        socket.emit("send", "meanwhile");
        await next(socket, "message");
        assert.deepEqual(heard, ["holding 1", "holding 2", "message meanwhile"]);
        await socket.emitWithAck("open", own("gate"));
        if (heard.length < 5) await next(socket, "held");
        if (heard.length < 5) await next(socket, "held");
        assert.deepEqual(heard.slice(3), ["held 1", "held 2"]);
      });

      test("hundreds that wait hold up neither acknowledgements nor heartbeat nor others", async (t) => {
        const [socket, other, watcher] = await Promise.all([connect(t), connect(t), watch(t)]);
        const asked = next(socket, "question");
        socket.emit("ask", "promise", null, "before them all?");
        const answer = (await asked).at(-1);
        const held = take(socket, "held", 300);
        for (let i = 0; i < 300; i++) socket.emit("hold", own("many"), i);
        const answered = nextWhere(watcher, "answered", (id) => id === socket.id);
        answer("behind them all");
        assert.deepEqual(await answered, [socket.id, "ok", "behind them all"]);
        await next(socket.io, "ping");
        await next(socket.io, "ping");
        await other.emitWithAck("open", own("many"));
        // They have begun in order. Those that waited go on in any: each is woken by itself.
        const ended = (await held).map(([i]) => i).sort((a, b) => a - b);
        assert.deepEqual(ended, Array.from({ length: 300 }, (_, i) => i));
      });

      test("one in flight runs on after the disconnect", async (t) => {
        const [socket, watcher] = await Promise.all([connect(t), watch(t)]);
        const holding = next(socket, "holding");
        socket.emit("hold", own("after"), own("after"));
        await holding;
        const gone = left(watcher, socket.id);
        socket.disconnect();
        await gone;
        const completed = nextWhere(watcher, "completed", (label) => label === own("after"));
        await watcher.emitWithAck("open", own("after"));
        await completed;
      });
    });

    describe("connection handlers", () => {
      test("what comes before a listener is there waits for it, and what is behind waits too", async (t) => {
        const main = await connect(t);
        const slow = main.io.socket("/slow", { auth: { gate: own("slow") } });
        t.after(() => slow.disconnect());
        const heard = [];
        for (const event of ["early", "late", "known"]) slow.on(event, (...args) => heard.push([event, ...args]));
        await next(slow, "early");
        for (let i = 0; i < 5; i++) slow.emit("late", i, Buffer.from([i]));
        slow.emit("known", "behind");
        const acked = slow.emitWithAck("late", "with acknowledgement");
        // On the same connection: when the server sees this, it has seen the others.
        await main.emitWithAck("open", own("slow"));
        assert.equal(await within(acked, "the acknowledgement"), "with acknowledgement");
        slow.emit("known", "end");
        await nextWhere(slow, "known", (text) => text === "end");
        const expected = [
          ["early"],
          ...[0, 1, 2, 3, 4].map((i) => ["late", i, Buffer.from([i])]),
          ["known", "behind"],
          ["late", "with acknowledgement"],
          ["known", "end"],
        ];
        assert.deepEqual(plain(heard), plain(expected));
      });

      test("a client that leaves while the handler waits has left", async (t) => {
        const [main, watcher] = await Promise.all([connect(t), watch(t)]);
        const slow = await beside(t, main, "/slow", { auth: { gate: own("leaving") } });
        const gone = left(watcher, slow.id);
        slow.emit("late", "never heard");
        slow.disconnect();
        assert.equal(await gone, "client namespace disconnect");
        await main.emitWithAck("open", own("leaving"));
        await served(main);
      });

      test("one that never returns still serves, and its client's end is told", async (t) => {
        const [socket, watcher] = await Promise.all([connect(t, { nsp: "/endless" }), watch(t)]);
        socket.emit("echo", 1, Buffer.from("2"));
        assert.deepEqual(plain(await next(socket, "echo")), plain([1, Buffer.from("2")]));
        const gone = left(watcher, socket.id);
        socket.disconnect();
        assert.equal(await gone, "client namespace disconnect");
      });

      test("one that fails is reported, and the namespace's own listeners serve", async (t) => {
        const main = await connect(t);
        await main.emitWithAck("errors");
        const socket = await beside(t, main, "/failing", { auth: { text: own("failure") } });
        socket.emit("echo", 1, Buffer.from("2"));
        assert.deepEqual(plain(await next(socket, "echo")), plain([1, Buffer.from("2")]));
        const [[nsp, event, text], ...others] = await main.emitWithAck("errors");
        assert.deepEqual([nsp, event, others], ["/failing", "connect", []]);
        assert.ok(text.includes(own("failure")), text);
      });
    });

    describe("middlewares", () => {
      test("refuse with a message, and with data", async (t) => {
        const main = await connect(t);
        for (const [auth, message, data] of [
          [undefined, "no token", undefined],
          [{ token: "" }, "no token", undefined],
          [{ token: "déjà vu" }, "wrong token", { code: 401, tokens: ["déjà vu"] }],
        ]) {
          const refused = main.io.socket("/guarded", { auth });
          const [error] = await next(refused, "connect_error");
          assert.equal(error.message, message);
          assert.deepEqual(error.data, data);
          assert.equal(refused.connected, false);
          // The next one shall be a socket of its own.
          delete main.io.nsps["/guarded"];
        }
        await served(main);
      });

      test("run in order, and let in", async (t) => {
        assert.deepEqual(await next(dial(t, { nsp: "/guarded", auth: { token: "secret" } }), "passed"), [
          ["first", "second"],
        ]);
      });
    });

    describe("handshake and data of a socket", () => {
      test("the handshake has headers, query, address, url, auth", async (t) => {
        const auth = { token: ["abc", { n: 1 }] };
        const extraHeaders = { "X-Custom": "of mine", Origin: "http://elsewhere.example" };
        const query = { room: "a b&c=ü" };
        const started = Date.now();
        const socket = await connect(t, { auth, extraHeaders, query });
        const found = await socket.emitWithAck("handshake", "x-custom", "room");
        const { url, issued, ...rest } = found;
        assert.deepEqual(rest, {
          header: "of mine",
          query: "a b&c=ü",
          address: "127.0.0.1",
          auth,
          secure: false,
          xdomain: true,
        });
        // It is that of the session's first request.
        const parsed = new URL(url, server.url);
        assert.equal(parsed.pathname, "/socket.io/");
        assert.equal(parsed.searchParams.get("transport"), mode.transports[0]);
        assert.equal(parsed.searchParams.get("room"), "a b&c=ü");
        assert.equal(parsed.searchParams.get("sid"), null);
        assert.ok(issued >= started && issued <= Date.now(), `${issued}`);
        const nothing = await socket.emitWithAck("handshake", "x-other", "other");
        assert.deepEqual([nothing.header ?? null, nothing.query ?? null], [null, null]);
      });

      test("auth is each namespace's own, the request is that of the connection", async (t) => {
        const first = await connect(t, { nsp: "/endless", auth: { of: "endless" }, query: { x: "1" } });
        const main = await beside(t, first, "/", { auth: { of: "main" } });
        const { auth, query, xdomain } = await main.emitWithAck("handshake", "x-custom", "x");
        assert.deepEqual([auth, query, xdomain], [{ of: "main" }, "1", false]);
      });

      test("each socket has data of its own", async (t) => {
        const [one, two] = await Promise.all([connect(t), connect(t)]);
        assert.equal(await one.emitWithAck("note", { of: "one" }), null);
        assert.equal(await two.emitWithAck("note", "two"), null);
        assert.deepEqual(await one.emitWithAck("note", 1), { of: "one" });
        assert.equal(await two.emitWithAck("note", 2), "two");
      });
    });

    describe("rooms", () => {
      test("a socket joins several at once, leaves, and has left them all when it disconnects", async (t) => {
        const [socket, watcher] = await Promise.all([connect(t), watch(t)]);
        const [a, b, c] = ["a", "b", "c"].map(own);
        assert.deepEqual(await socket.emitWithAck("join", [a, b, a]), [a, b]);
        assert.deepEqual(await socket.emitWithAck("join", [c]), [a, b, c]);
        assert.deepEqual(await socket.emitWithAck("leave", b), [a, c]);
        assert.deepEqual(await socket.emitWithAck("leave", b), [a, c]);
        const { id } = socket;
        const gone = nextWhere(watcher, "left", (gone) => gone === id);
        socket.disconnect();
        assert.deepEqual(await gone, [id, "client namespace disconnect", [a, c], []]);
      });

      test("broadcasts of the server and of a socket, to and except", async (t) => {
        const clients = await Promise.all(Array.from({ length: 6 }, () => connect(t)));
        const [all, low, high, even] = ["all", "low", "high", "even"].map(own);
        const rooms = (i) => [all, i < 3 ? low : high, ...(i % 2 === 0 ? [even] : [])];
        await Promise.all(clients.map((client, i) => client.emitWithAck("join", rooms(i))));
        /** Client 0 publishes; gives who heard it. */
        const publish = (by, to, except) => heardBy(clients, clients[0], { by, nsp: "/", to, except });
        const hearing = [
          // One after the other and in arrays: the union. Who is in several hears it once.
          [["server", [low], []], [0, 1, 2]],
          [["server", [low, even], []], [0, 1, 2, 4]],
          [["server", [[low, high], even], []], [0, 1, 2, 3, 4, 5]],
          [["server", [all], [even]], [1, 3, 5]],
          [["server", [all], [[even, low]]], [3, 5]],
          [["server", [low, high], [even, high]], [1]],
          [["server", [clients[4].id], []], [4]],
          [["server", [all], [clients[4].id]], [0, 1, 2, 3, 5]],
          [["server", [own("nobody")], []], []],
          // A socket's own broadcasts do not come back.
          [["socket", [low], []], [1, 2]],
          [["socket", [low, even], []], [1, 2, 4]],
          [["socket", [all], [even]], [1, 3, 5]],
          [["socket", [clients[0].id], []], []],
          [["socket", [], [even]], [1, 3, 5]],
          [["socket", [], []], [1, 2, 3, 4, 5]],
          [["server", [], []], [0, 1, 2, 3, 4, 5]],
          [["server", [], [low, even]], [3, 5]],
        ];
        for (const [[by, to, except], expected] of hearing) {
          assert.deepEqual(await publish(by, to, except), expected, `${by} to ${to} except ${except}`);
        }
      });

      test("a broadcast stays in its namespace", async (t) => {
        const [main, endless] = await Promise.all([connect(t), connect(t, { nsp: "/endless" })]);
        const outside = [];
        main.on("news", (text) => outside.push(text));
        const heard = nextWhere(endless, "news", (text) => text === own("endless"));
        main.emit("publish", { by: "server", nsp: "/endless", to: [], except: [] }, own("endless"));
        await heard;
        await served(main);
        assert.ok(!outside.includes(own("endless")));
      });

      test("the server makes a selection of sockets join, leave, disconnect", async (t) => {
        const clients = await Promise.all(Array.from({ length: 4 }, () => connect(t)));
        const [one, two, three] = ["selection", "another", "a third"].map(own);
        await Promise.all(clients.map((client) => client.emitWithAck("join", [one])));
        const [first, second, third, fourth] = clients;
        await first.emitWithAck("manage", { to: [one], except: [second.id] }, "join", [two, three]);
        const joined = await Promise.all(clients.map((client) => client.emitWithAck("join", [])));
        assert.deepEqual(joined, [[three, two, one], [one], [three, two, one], [three, two, one]].map((x) => x.sort()));
        await first.emitWithAck("manage", { to: [two], except: [first.id] }, "leave", [two]);
        assert.deepEqual(await third.emitWithAck("join", []), [three, one].sort());
        assert.deepEqual(await first.emitWithAck("join", []), [three, two, one].sort());

        const beside_ = await beside(t, fourth, "/endless");
        const ends = [third, fourth].map((client) => next(client, "disconnect"));
        await first.emitWithAck("manage", { to: [three], except: [two] }, "disconnect", false);
        assert.deepEqual((await Promise.all(ends)).map(([reason]) => reason), Array(2).fill("io server disconnect"));
        beside_.emit("echo", "alive");
        assert.deepEqual(await next(beside_, "echo"), ["alive"]);
        const end = next(second, "disconnect");
        const closed = next(second.io, "close");
        await first.emitWithAck("manage", { to: [one], except: [two] }, "disconnect", true);
        assert.equal((await end)[0], "io server disconnect");
        await closed;
        assert.ok(first.connected);
      });

      test("500 clients: each broadcast reaches exactly the right ones", { timeout: 5 * PATIENCE }, async (t) => {
        const clients = [];
        while (clients.length < 500) clients.push(...(await Promise.all(Array.from({ length: 50 }, () => connect(t)))));
        const all = own("500");
        const room = (by, rest) => own(`${by}: ${rest}`);
        const join = (client, i) => client.emitWithAck("join", [all, room(2, i % 2), room(3, i % 3), room(7, i % 7)]);
        await Promise.all(clients.map(join));
        const everybody = clients.map((_, i) => i);
        for (const [to, except, expected] of [
          [[room(7, 3)], [], (i) => i % 7 === 3],
          [[room(2, 0), room(3, 0)], [], (i) => i % 2 === 0 || i % 3 === 0],
          [[room(2, 0), room(3, 1)], [room(7, 0), room(7, 5)], (i) => (i % 2 === 0 || i % 3 === 1) && ![0, 5].includes(i % 7)],
          [[all], [room(2, 1)], (i) => i % 2 === 0],
          [[all], [], () => true],
          [[], [room(3, 2)], (i) => i % 3 !== 2],
        ]) {
          for (const by of ["server", "socket"]) {
            const heard = await heardBy(clients, clients[42], { by, nsp: "/", to, except });
            const want = everybody.filter((i) => expected(i) && (by === "server" || i !== 42));
            assert.deepEqual(heard, want, `${by} to ${to} except ${except}`);
          }
        }
        // Half of them leave: they hear nothing, the others do.
        await Promise.all(clients.filter((_, i) => i % 2 === 1).map((client) => client.emitWithAck("leave", all)));
        const rest = clients.filter((_, i) => i % 2 === 0);
        const heard = await heardBy(clients, clients[42], { by: "server", nsp: "/", to: [all], except: [] });
        assert.equal(heard.length, rest.length);
        assert.ok(heard.every((i) => i % 2 === 0));
      });
    });

    describe("limits", () => {
      /** A text with which the event is a message of so many bytes. */
      const sized = (bytes) => "é".repeat(100) + "x".repeat(bytes - Buffer.byteLength('42["measure",""]') - 200);
      // As base64, an attachment is a packet of its own of the payload; the client may put others into the same one.
      const [largest, tooLarge] = websocket ? [MAX_PAYLOAD, MAX_PAYLOAD + 1] : [749_900, 750_000];

      test("a message of exactly the limit", async (t) => {
        const socket = await connect(t);
        for (const data of [sized(MAX_PAYLOAD), Buffer.alloc(largest)]) {
          const lost = next(socket, "disconnect").then(([reason]) => assert.fail(`disconnected: ${reason}`));
          const measured = next(socket, "measured");
          socket.emit("measure", data);
          assert.deepEqual(await Promise.race([measured, lost]), [Buffer.byteLength(data)]);
          lost.catch(() => {});
        }
      });

      for (const [name, data] of [
        ["of text", sized(MAX_PAYLOAD + 1)],
        ["of binary", Buffer.alloc(tooLarge)],
      ]) {
        test(`a message of a byte more, ${name}`, async (t) => {
          const [socket, other, watcher] = await Promise.all([connect(t), connect(t), watch(t)]);
          const ends = Promise.all([next(socket, "disconnect"), left(watcher, socket.id)]);
          socket.emit("measure", data);
          const [[reason], reported] = await ends;
          // A client on polling is told twice: 413 by its POST, and the end of the session by its GET.
          oneOf(reason, "transport close", !websocket && "transport error");
          assert.equal(reported, websocket || !REFERENCE ? "transport error" : "transport close");
          await served(other);
        });
      }

      test("what the server sends has no limit but its queue's", async (t) => {
        const socket = await connect(t);
        for (const count of [MAX_PAYLOAD, 5_000_000]) {
          const filled = next(socket, "filled");
          socket.emit("fill", count);
          const [text] = await filled;
          assert.ok(text === "x".repeat(count));
        }
      });
    });

    describe("disconnections, with the reasons of both sides", () => {
      const raw = (socket, data) =>
        websocket
          ? socket.io.engine.transport.ws.send(data)
          : fetch(`${server.url}/socket.io/?EIO=4&transport=polling&sid=${socket.io.engine.id}`, {
              method: "POST",
              body: data,
            });
      // What closes a session on polling reaches its client by the GET that is open, if there is one.
      const closed = ["transport close", !websocket && "transport error"];
      // JavaScript's words depend on that, too.
      const forced = ["forced close", !websocket && "forced server close"];
      const cases = [
        ["the client leaves the namespace", (socket) => socket.disconnect(), ["io client disconnect"], ["client namespace disconnect"]],
        ["the client closes", (socket) => socket.io.engine.close(), ["forced close"], ["transport close"]],
        ["the server disconnects the socket", (socket) => socket.emit("kick", false), ["io server disconnect"], ["server namespace disconnect"]],
        ["the server closes", (socket) => socket.emit("kick", true), ["io server disconnect"], ["server namespace disconnect"]],
        ["a packet that Engine.IO has not", (socket) => raw(socket, "9"), closed, ["parse error"]],
        ["a packet that Socket.IO has not", (socket) => raw(socket, "4x"), closed, forced],
        ["an event without its namespace", (socket) => raw(socket, '42/endless,["x"]'), closed, forced],
        ["a second CONNECT", (socket) => raw(socket, "40"), closed, forced],
        ["a ping of the client", (socket) => raw(socket, "2"), closed, ["transport error"]],
      ];
      for (const [name, act, ofClient, ofServer] of cases) {
        test(name, async (t) => {
          const [socket, watcher] = await Promise.all([connect(t), watch(t)]);
          const gone = left(watcher, socket.id);
          const disconnect = next(socket, "disconnect");
          act(socket);
          oneOf((await disconnect)[0], ...ofClient);
          oneOf(await gone, ...ofServer);
        });
      }

      test("the client's process is killed", async (t) => {
        const watcher = await watch(t);
        const args = [fileURLToPath(new URL("victim.mjs", import.meta.url)), server.url, mode.transports.join()];
        const victim = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
        t.after(() => victim.kill("SIGKILL"));
        const id = await within(
          new Promise((resolve) => createInterface({ input: victim.stdout }).once("line", resolve)),
          "the victim to connect",
        );
        const gone = left(watcher, id);
        victim.kill("SIGKILL");
        // Nobody notices between two polls, before the ping.
        oneOf(await gone, ...(websocket ? ["transport close"] : ["transport error", "ping timeout"]));
      });

      test("the connection is reset", async (t) => {
        const proxy = await startProxy(server.port);
        t.after(() => proxy.close());
        const watcher = await watch(t);
        const socket = await connect(t, { url: proxy.url });
        const gone = left(watcher, socket.id);
        await socket.emitWithAck("join", []);
        await proxy.sent();
        const disconnect = next(socket, "disconnect");
        proxy.reset();
        assert.equal((await disconnect)[0], websocket ? "transport close" : "transport error");
        // On polling, the client says goodbye over another connection, which may be read first.
        oneOf(await gone, ...(websocket ? ["transport close"] : ["transport error", "transport close"]));
      });
    });

    describe("shutting down", () => {
      test("under traffic: every client is told, every handler's socket too, and the process ends", async (t) => {
        const { url, terminate, stop } = await startServer("FEATURES_CMD");
        t.after(() => stop().catch(() => {}));
        const clients = await Promise.all(Array.from({ length: 20 }, () => connect(t, { url })));
        const disconnects = clients.map((client) => next(client, "disconnect"));
        // Each sends its next request when the last one is answered, and gets events beside it.
        let answered = 0;
        const talk = (client) =>
          client.connected && client.emit("request", { name: "x" }, "y".repeat(1_000), () => (answered++, talk(client)));
        for (const client of clients) {
          talk(client); // Before the burst: so the first answer is in front of any tick.
          client.emit("burst", 2_000);
        }
        await Promise.all(clients.map((client) => nextWhere(client, "tick", (i) => i === 1_000)));
        const { code, last } = await terminate();
        assert.ok(answered > 0);
        for (const [reason] of await Promise.all(disconnects)) {
          // On polling, a request may come when nothing listens any more.
          oneOf(reason, "transport close", !websocket && "transport error");
        }
        assert.equal(code, 0);
        const { sockets, reasons, idle, stats } = JSON.parse(last);
        assert.deepEqual([sockets, reasons], [20, { "server shutting down": 20 }]);
        assert.ok(idle, stats);
      });

      test("is not held up for ever by a handler", async (t) => {
        const { url, terminate, stop } = await startServer("FEATURES_CMD");
        t.after(() => stop().catch(() => {}));
        const socket = await connect(t, { url });
        const [disconnect, holding] = [next(socket, "disconnect"), next(socket, "holding")];
        socket.emit("hold", "never opened", "never told");
        await holding;
        const { code, last } = await terminate();
        oneOf((await disconnect)[0], "transport close", !websocket && "transport error");
        assert.equal(code, 0);
        const { reasons, idle, stats } = JSON.parse(last);
        assert.deepEqual(reasons, { "server shutting down": 1 });
        assert.ok(idle, stats);
      });
    });
  });
}

/** Where time decides, there is more than one right answer. */
function oneOf(found, ...right) {
  assert.ok(right.includes(found), `${found} instead of ${right.filter(Boolean).join(" or ")}`);
}

/** Who of `clients` hears what `sender` publishes, once each. */
async function heardBy(clients, sender, how) {
  const heard = [];
  const listeners = clients.map((_, i) => () => heard.push(i));
  clients.forEach((client, i) => client.on("news", listeners[i]));
  sender.emit("publish", how, "published");
  // When it is answered it has been published, and what answers the others comes behind it.
  await served(sender);
  await Promise.all(clients.map(served));
  clients.forEach((client, i) => client.off("news", listeners[i]));
  return heard.sort((a, b) => a - b);
}

/** Waits until the server has served `socket`, after all that was sent before. */
async function served(socket) {
  assert.deepEqual(await socket.emitWithAck("request", { name: "a" }, "b"), { status: "ok", name: "a", text: "b" });
}

/** A client of its own that is told what happens. */
async function watch(t) {
  const socket = io(server.url, { forceNew: true, transports: ["websocket"] });
  t.after(() => socket.disconnect());
  await next(socket, "connect");
  await socket.emitWithAck("join", ["watchers"]);
  return socket;
}

/** The reason for which the socket `id` has left. */
async function left(watcher, id) {
  const [, reason] = await nextWhere(watcher, "left", (gone) => gone === id);
  return reason;
}
