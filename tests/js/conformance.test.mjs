// The Engine.IO v4 and Socket.IO v5 protocol documents, sentence by sentence and in their order, against a server that
// is given as a command: CONFORMANCE_CMD="path/to/blocking" node --test conformance.test.mjs
//
// Beside the documents, these hold what the JavaScript reference does where the documents are silent. Where this server
// is decided to answer otherwise than JavaScript (mostly: stricter), the test is one of `ours`. With REFERENCE=1 these
// are expected to fail: so the suite itself can be checked against the reference.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CONNECT_TIMEOUT,
  Host,
  MAX_PAYLOAD,
  PING_INTERVAL,
  PING_TIMEOUT,
  Poll,
  SEPARATOR,
  eventually,
} from "./wire.mjs";
import { within } from "./support.mjs";

const engine = new Host("/engine.io/");
const socketio = new Host("/socket.io/");

before(() => Promise.all([engine.start(), socketio.start()]));
after(() => Promise.all([engine.stop(), socketio.stop()]));

/** A test of an answer that is decided to differ from the reference's. */
function ours(name, test) {
  it(name, { todo: process.env.REFERENCE ? "decided otherwise" : false }, test);
}

/** The JSON body of a refused request. */
const refusal = {
  transport: { code: 0, message: "Transport unknown" },
  sid: { code: 1, message: "Session ID unknown" },
  method: { code: 2, message: "Bad handshake method" },
  request: { code: 3, message: "Bad request" },
  version: { code: 5, message: "Unsupported protocol version" },
};

function assertRefused(response, expected) {
  assert.equal(response.status, 400);
  assert.deepEqual(JSON.parse(response.body), expected);
}

function assertOpen(packet, upgrades) {
  assert.equal(packet[0], "0");
  const { sid, ...rest } = JSON.parse(packet.slice(1));
  assert.match(sid, /^[A-Za-z0-9_-]{20,}$/);
  assert.deepEqual(rest, {
    upgrades,
    pingInterval: PING_INTERVAL,
    pingTimeout: PING_TIMEOUT,
    maxPayload: MAX_PAYLOAD,
  });
}

/** The answers of two requests that a server may take in either order, the one with the lower status first. */
function byStatus(...answers) {
  return answers.sort((a, b) => a.status - b.status);
}

for (const host of [engine, socketio]) {
  describe(`Engine.IO v4 on ${host.path}`, () => {
    describe("HTTP long-polling: request path", () => {
      it("serves the path and what is below it", async () => {
        for (const path of [host.path, `${host.path}below`]) {
          const { status, body } = await host.get({}, { path });
          assert.equal(status, 200, path);
          assertOpen(body, ["websocket"]);
        }
      });

      it("leaves other paths alone", async () => {
        const bare = host.path.slice(0, -1);
        for (const path of ["/", bare, `${bare}x/`, `/other${host.path}`, host.path.toUpperCase()]) {
          assert.equal((await host.get({}, { path })).status, 404, path);
        }
      });
    });

    describe("HTTP long-polling: query parameters", () => {
      it("refuses a missing or another protocol version", async () => {
        for (const EIO of [undefined, "", "3", "5", "04", "abc"]) {
          assertRefused(await host.get({ EIO }), refusal.version);
        }
      });

      it("refuses a missing or an unknown transport", async () => {
        for (const transport of [undefined, "", "abc", "Polling", "webtransport", "__proto__"]) {
          assertRefused(await host.get({ transport }), refusal.transport);
        }
      });

      it("refuses a session ID that is not known", async () => {
        for (const sid of ["AAAAAAAAAAAAAAAAAAAAAA", "abc", "__proto__"]) {
          assertRefused(await host.get({ sid }), refusal.sid);
          assertRefused(await host.post({ sid }, "4hello"), refusal.sid);
        }
      });

      it("refuses a request of a session without its version", async () => {
        const session = await host.poll();
        for (const EIO of [undefined, "3"]) {
          assertRefused(await host.get({ EIO, sid: session.sid }), refusal.request);
          assertRefused(await host.post({ EIO, sid: session.sid }, "3"), refusal.request);
        }
        assert.ok(await host.exists(session.sid));
      });

      it("ignores parameters that it does not know, and their order", async () => {
        const { status, body } = await host.get({ EIO: undefined, t: "N8hyd6w", x: "", eio: "3", EIO: 4 });
        assert.equal(status, 200);
        assertOpen(body, ["websocket"]);
      });
    });

    describe("HTTP long-polling: handshake", () => {
      it("opens a session", async () => {
        const { status, headers, body } = await host.get({});
        assert.equal(status, 200);
        assert.equal(headers.get("content-type"), "text/plain; charset=UTF-8");
        assert.equal(headers.get("cache-control"), "no-store");
        assertOpen(body, ["websocket"]);
      });

      it("gives each session its own ID", async () => {
        const sessions = await Promise.all(Array.from({ length: 20 }, () => host.poll()));
        assert.equal(new Set(sessions.map(({ sid }) => sid)).size, 20);
      });

      it("refuses any method but GET", async () => {
        for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
          assertRefused(await host.http(method, {}), refusal.method);
        }
        // The answer to HEAD has no body.
        assert.equal((await host.http("HEAD", {})).status, 400);
      });

      it("refuses transport=websocket in a plain request", async () => {
        assertRefused(await host.get({ transport: "websocket" }), refusal.request);
        const session = await host.poll();
        assertRefused(await host.get({ transport: "websocket", sid: session.sid }), refusal.request);
        assert.ok(await host.exists(session.sid));
      });
    });

    describe("HTTP long-polling: sending", () => {
      it("answers ok", async () => {
        const session = await host.poll();
        const { status, headers, body } = await session.post("3");
        assert.equal(status, 200);
        assert.equal(headers.get("content-type"), "text/html");
        assert.equal(body, "ok");
      });

      it("closes the session upon a second POST", async () => {
        const session = await host.poll();
        const first = host.halfPost({ sid: session.sid }, "3", 3);
        // Until the server has seen the first one, there is no second.
        const second = await eventually(async () => {
          const response = await session.post("3");
          return response.status === 400 && response;
        }, "the refusal of the second POST");
        assert.equal(second.body, "");
        assertRefused(await session.get(), refusal.sid);
        first.abort();
      });

      it("closes the session when the body never ends", async () => {
        const session = await host.poll();
        const post = host.halfPost({ sid: session.sid }, "3", 3);
        await eventually(async () => (await session.post("3")).status === 400, "the first POST");
        post.abort();
        await session.gone();
      });
    });

    describe("HTTP long-polling: receiving", () => {
      it("closes the session upon a second GET", async () => {
        const session = await host.poll();
        const [first, second] = byStatus(...(await Promise.all([session.get(), session.get()])));
        assert.equal(first.status, 200);
        assert.equal(first.body, "1");
        assert.equal(second.status, 400);
        assert.equal(second.body, "");
        assertRefused(await session.get(), refusal.sid);
      });

      it("closes the session when a GET is cancelled", async () => {
        const session = await host.poll();
        // The pong that asks whether the session exists also keeps it from its ping timeout.
        const cancel = new AbortController();
        const poll = session.get({ signal: cancel.signal });
        poll.catch(() => {});
        await session.send("3");
        cancel.abort();
        await assert.rejects(poll, { name: "AbortError" });
        await session.gone();
      });
    });

    describe("WebSocket: handshake", () => {
      it("opens a session", async () => {
        const socket = await host.websocket();
        assertOpen(await socket.next(), []);
        socket.close();
      });

      // Before the 101, with the body that polling has. JavaScript refuses some after it, all with plain text.
      ours("refuses a missing or another protocol version", async () => {
        for (const EIO of [undefined, "3", "5", "abc"]) {
          assertRefused(await host.refused({ EIO }), refusal.version);
        }
      });

      ours("refuses a missing or an unknown transport", async () => {
        for (const transport of [undefined, "abc", "__proto__"]) {
          assertRefused(await host.refused({ transport }), refusal.transport);
        }
      });

      ours("refuses a session ID that is not known", async () => {
        for (const sid of ["AAAAAAAAAAAAAAAAAAAAAA", "__proto__"]) {
          assertRefused(await host.refused({ sid }), refusal.sid);
        }
      });

      ours("refuses a second WebSocket of a session", async () => {
        const socket = await host.connect();
        assertRefused(await host.refused({ sid: socket.sid }), refusal.request);
        assert.ok(await host.exists(socket.sid));
        socket.close();
      });

      it("serves a session to no other transport", async () => {
        const socket = await host.connect();
        assertRefused(await host.get({ sid: socket.sid }), refusal.request);
        assertRefused(await host.post({ sid: socket.sid }, "4hello"), refusal.request);
        assert.ok(await host.exists(socket.sid));
        socket.close();
      });
    });

    describe("heartbeat", () => {
      it("sends pings on polling, and takes pongs", async () => {
        const session = await host.poll();
        for (let i = 0; i < 3; i++) {
          const { status, body } = await session.get();
          assert.equal(status, 200);
          assert.equal(body, "2");
          await session.send("3");
        }
      });

      it("closes a polling session upon a ping timeout", async () => {
        const session = await host.poll();
        // The server's clock began earlier, but its timers may be a little late.
        await sleep(PING_INTERVAL + PING_TIMEOUT + 50);
        assertRefused(await session.get(), refusal.sid);
      });

      it("answers the open GET upon a ping timeout", async () => {
        const session = await host.poll();
        assert.equal((await session.get()).body, "2");
        const { status, body } = await session.get();
        assert.equal(status, 200);
        assert.equal(body, "1");
        assertRefused(await session.get(), refusal.sid);
      });

      it("sends pings on WebSocket, and takes pongs", async () => {
        const socket = await host.connect({ heartbeat: false });
        for (let i = 0; i < 3; i++) {
          const asked = performance.now();
          assert.equal(await socket.next(), "2");
          // The interval runs from the handshake, then from each pong. (The handshake's answer may come late.)
          if (i > 0) assert.ok(performance.now() - asked > PING_INTERVAL - 50);
          socket.send("3");
        }
        socket.close();
      });

      it("closes a WebSocket session upon a ping timeout", async () => {
        const socket = await host.connect({ heartbeat: false });
        assert.equal(await socket.next(), "2");
        const pinged = performance.now();
        await socket.closed();
        assert.ok(performance.now() - pinged > PING_TIMEOUT - 50);
        assert.equal(await host.exists(socket.sid), false);
      });

      it("is not fooled by other packets", async () => {
        const socket = await host.connect({ heartbeat: false });
        assert.equal(await socket.next(), "2");
        const noise = setInterval(() => socket.send("6"), 20);
        // The first packet extends the timeout once.
        await socket.closed(3 * PING_TIMEOUT + 1000).finally(() => clearInterval(noise));
      });

      it("ignores a pong that nobody asked for", async () => {
        const socket = await host.connect();
        for (let i = 0; i < 100; i++) socket.send("3");
        assert.ok(await host.exists(socket.sid));
        socket.close();
        const session = await host.poll();
        await session.send(...Array(100).fill("3"));
        assert.ok(await host.exists(session.sid));
      });

      it("takes no ping from the client", async () => {
        const socket = await host.connect({ heartbeat: false });
        socket.send("2");
        await socket.closed();
        assert.equal(await host.exists(socket.sid), false);
        const session = await host.poll();
        await session.post("2");
        assert.equal(await host.exists(session.sid), false);
      });
    });

    describe("close", () => {
      it("closes a polling session", async () => {
        const session = await host.poll();
        const poll = session.get();
        const post = await session.post("1");
        assert.equal(post.status, 200);
        assert.equal(post.body, "ok");
        // A GET that was there before is ended with a noop; one that comes after is refused.
        const { status, body } = await poll;
        if (status === 200) assert.equal(body, "6");
        else assertRefused({ status, body }, refusal.sid);
        assertRefused(await session.get(), refusal.sid);
      });

      // JavaScript waits for the ping timeout.
      ours("closes a WebSocket session", async () => {
        const socket = await host.connect({ heartbeat: false });
        socket.send("1");
        // No ping comes first: it is the packet that closes.
        await socket.closed();
        assert.equal(await host.exists(socket.sid), false);
      });

      it("ends the session with its WebSocket", async () => {
        for (const end of ["close", "terminate"]) {
          const socket = await host.connect({ heartbeat: false });
          socket.ws[end]();
          await socket.closed();
          await eventually(async () => !(await host.exists(socket.sid)), "the session's end", 150);
        }
      });
    });

    describe("upgrade", () => {
      it("upgrades from polling to WebSocket", async () => {
        const session = await host.poll();
        const socket = await host.websocket({ sid: session.sid }, { heartbeat: false });
        socket.send("2probe");
        assert.equal(await socket.next(), "3probe");
        // A noop ends the request cleanly.
        assert.equal((await session.get()).body, "6");
        socket.send("5");
        // The heartbeat goes on, there.
        assert.equal(await socket.next(), "2");
        socket.send("3");
        assert.equal(await socket.next(), "2");
        socket.close();
      });

      it("ends a GET that was open before the probe", async () => {
        const session = await host.poll();
        const poll = session.get();
        const socket = await host.websocket({ sid: session.sid });
        socket.send("2probe");
        assert.equal(await socket.next(), "3probe");
        const { status, body } = await poll;
        assert.equal(status, 200);
        assert.equal(body, "6");
        socket.close();
      });

      it("refuses polling after the upgrade", async () => {
        const session = await host.poll();
        const socket = await upgrade(host, session);
        assertRefused(await session.get(), refusal.request);
        assertRefused(await session.post("3"), refusal.request);
        assert.ok(await host.exists(session.sid));
        socket.close();
      });

      ours("refuses another WebSocket after the upgrade", async () => {
        const session = await host.poll();
        const socket = await upgrade(host, session);
        assertRefused(await host.refused({ sid: session.sid }), refusal.request);
        assert.ok(await host.exists(session.sid));
        socket.close();
      });

      ours("refuses another WebSocket during the upgrade", async () => {
        const session = await host.poll();
        const socket = await host.websocket({ sid: session.sid });
        socket.send("2probe");
        assert.equal(await socket.next(), "3probe");
        assertRefused(await host.refused({ sid: session.sid }), refusal.request);
        socket.send("5");
        await eventually(async () => (await session.get()).status === 400, "the end of the upgrade");
        assert.ok(await host.exists(session.sid));
        socket.close();
      });

      it("keeps the polling session when the WebSocket fails", async () => {
        const session = await host.poll();
        for (const packets of [["4hello"], ["3probe"], ["2"], ["x"], [""], ["2probe", "4hello"]]) {
          const socket = await host.websocket({ sid: session.sid });
          socket.send(...packets);
          if (packets[0] === "2probe") assert.equal(await socket.next(), "3probe");
          await socket.closed();
          assert.ok(await host.exists(session.sid), `after ${packets}`);
        }
        for (const end of ["close", "terminate"]) {
          const socket = await host.websocket({ sid: session.sid });
          socket.send("2probe");
          assert.equal(await socket.next(), "3probe");
          socket.ws[end]();
          await socket.closed();
          assert.ok(await host.exists(session.sid), `after ${end}`);
        }
        // None of this stands in the way of an upgrade that works, once the failed one is noticed.
        const socket = await eventually(() => upgrade(host, session).catch(() => false), "an upgrade", 2000);
        assertRefused(await session.get(), refusal.request);
        socket.close();
      });

      ours("needs a probe, and one only", async () => {
        const session = await host.poll();
        for (const packets of [["5"], ["2probe", "2probe"]]) {
          const socket = await host.websocket({ sid: session.sid });
          socket.send(...packets);
          if (packets[0] === "2probe") assert.equal(await socket.next(), "3probe");
          await socket.closed();
          assert.ok(await host.exists(session.sid), `after ${packets}`);
        }
      });
    });
  });
}

/** A completed upgrade. */
async function upgrade(host, session, options) {
  const socket = await host.websocket({ sid: session.sid }, options);
  socket.send("2probe");
  assert.equal(await socket.next(), "3probe");
  socket.send("5");
  await eventually(async () => {
    const { status, body } = await session.post("3");
    return status === 400 && JSON.parse(body).code === 3;
  }, "the end of the upgrade");
  return socket;
}

describe("Engine.IO v4 messages", () => {
  const host = engine;

  describe("HTTP long-polling: headers", () => {
    it("infers plain text without a content type", async () => {
      for (const headers of [{ "Content-Type": "" }, { "Content-Type": "text/plain;charset=UTF-8" }]) {
        const session = await host.poll();
        assert.equal((await session.post("4hello", { headers })).status, 200);
        assert.equal(await session.next(), "4hello");
      }
    });

    // Against the document, as the reference implementation: binary is base64 in this version.
    it("refuses application/octet-stream and closes the session", async () => {
      const session = await host.poll();
      const headers = { "Content-Type": "application/octet-stream" };
      assert.equal((await session.post(Buffer.from([4, 1, 2, 3]), { headers })).status, 400);
      assertRefused(await session.get(), refusal.sid);
    });
  });

  describe("HTTP long-polling: sending and receiving", () => {
    it("holds a GET until there is something to send", async () => {
      const session = await host.poll();
      const poll = session.get();
      await session.send("4hello");
      const { status, headers, body } = await poll;
      assert.equal(status, 200);
      assert.equal(headers.get("content-type"), "text/plain; charset=UTF-8");
      assert.equal(headers.get("cache-control"), "no-store");
      assert.equal(body, "4hello");
    });

    it("sends and receives one packet of text", async () => {
      await echoes(["4hello"]);
    });

    it("sends and receives several packets of text", async () => {
      await echoes(["4test1", "4test2", "4test3"]);
    });

    it("sends and receives packets of text and binary", async () => {
      await echoes(["4hello", "bAQIDBA=="]);
    });

    it("keeps binary of any length", async () => {
      for (let length = 0; length < 9; length++) {
        await echoes([`b${Buffer.alloc(length, 0xfb).toString("base64")}`]);
      }
    });

    it("keeps text of any kind", async () => {
      await echoes(["4"]);
      await echoes(["4b", "44", "4 ", '4"', "4\\n", "4\n"]);
      await echoes(["4€ und 👍 und \u0000 und \uffff"]);
    });

    it("keeps the order of many packets", async () => {
      await echoes(Array.from({ length: 500 }, (_, i) => (i % 2 ? `4m${i}` : "bAQIDBA==")));
    });

    it("carries a payload of maxPayload bytes", async () => {
      await echoes([`4${"x".repeat(MAX_PAYLOAD - 1)}`]);
    });

    // On its declaration. JavaScript waits for the bytes, and keeps the session.
    ours("refuses a larger payload with 413 and closes the session", async () => {
      const session = await host.poll();
      const { response } = host.halfPost({ sid: session.sid }, "4", MAX_PAYLOAD + 1);
      const { status, headers } = await within(response, "413");
      assert.equal(status, 413);
      assert.equal(headers.connection, "close");
      assertRefused(await session.get(), refusal.sid);
    });

    it("closes the session upon a packet of an invalid format", async () => {
      for (const payload of ["abc", "", SEPARATOR, "8", "9x", `4hello${SEPARATOR}`]) {
        const session = await host.poll();
        await session.post(payload);
        assertRefused(await session.get(), refusal.sid);
      }
    });

    // JavaScript answers 200, and reads any text as base64.
    ours("answers 400 to a packet of an invalid format", async () => {
      for (const payload of ["abc", "", SEPARATOR, "8", "9x", `4hello${SEPARATOR}`, "b!", "bA"]) {
        const session = await host.poll();
        assert.equal((await session.post(payload)).status, 400, JSON.stringify(payload));
        assertRefused(await session.get(), refusal.sid);
      }
    });

    // JavaScript answers 500.
    ours("refuses any method but GET and POST, and keeps the session", async () => {
      const session = await host.poll();
      for (const method of ["PUT", "DELETE", "PATCH", "HEAD"]) {
        assert.equal((await host.http(method, { sid: session.sid })).status, 405, method);
      }
      await session.send("4hello");
      assert.equal(await session.next(), "4hello");
    });

    async function echoes(packets) {
      const session = await host.poll();
      await session.send(...packets);
      for (const packet of packets) assert.equal(await session.next(), packet);
    }
  });

  describe("WebSocket", () => {
    it("sends and receives a packet of text", async () => {
      await echoes(["4hello"]);
    });

    it("sends and receives a packet of binary, as it is", async () => {
      await echoes([Buffer.from([1, 2, 3, 4])]);
    });

    it("sends each packet in a message of its own, in order", async () => {
      await echoes(["4a", Buffer.from([4]), "4", Buffer.alloc(0), "4€", "4b", "4\x1e4"]);
    });

    it("carries a message of maxPayload bytes", async () => {
      await echoes([`4${"x".repeat(MAX_PAYLOAD - 1)}`]);
      await echoes([Buffer.alloc(MAX_PAYLOAD, 7)]);
    });

    it("closes upon a larger message", async () => {
      for (const message of [`4${"x".repeat(MAX_PAYLOAD)}`, Buffer.alloc(MAX_PAYLOAD + 1)]) {
        const socket = await host.connect();
        socket.send(message);
        assert.equal((await socket.closed()).code, 1009);
        assert.equal(await host.exists(socket.sid), false);
      }
    });

    it("takes binary as base64, and sends it so to a client that asks for it", async () => {
      const socket = await host.connect();
      socket.send("bAQIDBA==");
      assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3, 4]));
      socket.close();
      const base64 = await host.connect({ query: { b64: 1 } });
      base64.send("bAQIDBA==", Buffer.from([5, 6]));
      assert.equal(await base64.next(), "bAQIDBA==");
      assert.equal(await base64.next(), "bBQY=");
      base64.close();
    });

    it("closes the session upon a packet of an invalid format", async () => {
      for (const packet of ["abc", "", "7", "8x", "€", "2probe"]) await assertCloses(packet);
    });

    // JavaScript ignores these.
    ours("closes the session upon a packet of the handshake or the upgrade, and upon bad base64", async () => {
      for (const packet of ["0", "5", "b!", "bA"]) await assertCloses(packet);
    });

    it("ignores a noop", async () => {
      const socket = await host.connect();
      socket.send("6", "4hello");
      assert.equal(await socket.next(), "4hello");
      socket.close();
    });

    async function assertCloses(packet) {
      const socket = await host.connect({ heartbeat: false });
      socket.send(packet);
      await socket.closed();
      assert.equal(await host.exists(socket.sid), false, packet);
    }

    async function echoes(messages) {
      const socket = await host.connect();
      socket.send(...messages);
      for (const message of messages) assert.deepEqual(await socket.next(), message);
      socket.close();
    }
  });

  describe("upgrade", () => {
    it("exchanges messages on WebSocket afterwards", async () => {
      const session = await host.poll();
      const socket = await host.websocket({ sid: session.sid });
      socket.send("2probe");
      assert.equal(await socket.next(), "3probe");
      socket.send("5", "4hello", Buffer.from([1]));
      assert.equal(await socket.next(), "4hello");
      assert.deepEqual(await socket.next(), Buffer.from([1]));
      socket.close();
    });

    it("exchanges messages on polling before it is complete", async () => {
      const session = await host.poll();
      const socket = await host.websocket({ sid: session.sid });
      socket.send("2probe");
      assert.equal(await socket.next(), "3probe");
      await session.send("4early");
      let packet;
      do packet = await session.next();
      while (packet === "6");
      assert.equal(packet, "4early");
      socket.send("5", "4late");
      assert.equal(await socket.next(), "4late");
      socket.close();
    });

    it("loses nothing that waited for a GET", async () => {
      const session = await host.poll();
      await session.send("4one", "bAQ==", "4two");
      const socket = await host.websocket({ sid: session.sid });
      socket.send("2probe");
      assert.equal(await socket.next(), "3probe");
      socket.send("5", "4three");
      assert.equal(await socket.next(), "4one");
      assert.deepEqual(await socket.next(), Buffer.from([1]));
      assert.equal(await socket.next(), "4two");
      assert.equal(await socket.next(), "4three");
      socket.close();
    });

    ours("is not disturbed by later requests with its session ID", async () => {
      const session = await host.poll();
      const socket = await upgrade(host, session);
      assertRefused(await session.get(), refusal.request);
      assertRefused(await host.refused({ sid: session.sid }), refusal.request);
      socket.send("4hello");
      assert.equal(await socket.next(), "4hello");
      socket.close();
    });
  });
});

describe("Socket.IO v5", () => {
  const host = socketio;

  /** A WebSocket that has joined "/". */
  async function joined() {
    const socket = await host.connect();
    socket.send("40");
    assertConnected(await socket.next(), "40");
    assert.equal(await socket.next(), '42["auth",{}]');
    return socket;
  }

  function assertConnected(packet, head) {
    assert.ok(packet.startsWith(head), packet);
    const { sid, ...rest } = JSON.parse(packet.slice(head.length));
    assert.match(sid, /^[A-Za-z0-9_-]{20,}$/);
    assert.deepEqual(rest, {});
    return sid;
  }

  /** Sends to a fresh connection that has joined "/"; it must be closed for it, with nothing sent before. */
  async function assertCloses(...messages) {
    const socket = await joined();
    socket.send(...messages);
    await socket.closed();
    assert.equal(await host.exists(socket.sid), false, messages[0]);
  }

  describe("connection to a namespace", () => {
    it("accepts the main namespace", async () => {
      const socket = await host.connect();
      socket.send("40");
      assertConnected(await socket.next(), "40");
      assert.equal(await socket.next(), '42["auth",{}]');
      socket.close();
    });

    it("accepts the main namespace by its name", async () => {
      for (const packet of ["40/", "40/,"]) {
        const socket = await host.connect();
        socket.send(packet);
        assertConnected(await socket.next(), "40");
        assert.equal(await socket.next(), '42["auth",{}]');
        socket.close();
      }
    });

    it("accepts the main namespace with a payload", async () => {
      const socket = await host.connect();
      socket.send('40{"token":"123"}');
      assertConnected(await socket.next(), "40");
      assert.equal(await socket.next(), '42["auth",{"token":"123"}]');
      socket.close();
    });

    it("accepts a custom namespace, with and without its comma", async () => {
      for (const packet of ["40/custom,", "40/custom"]) {
        const socket = await host.connect();
        socket.send(packet);
        assertConnected(await socket.next(), "40/custom,");
        assert.equal(await socket.next(), '42/custom,["auth",{}]');
        socket.close();
      }
    });

    it("accepts a custom namespace with a payload", async () => {
      const socket = await host.connect();
      socket.send('40/custom,{"token":"abc","nested":{"a":[1,"€",null]}}');
      assertConnected(await socket.next(), "40/custom,");
      assert.equal(await socket.next(), '42/custom,["auth",{"token":"abc","nested":{"a":[1,"€",null]}}]');
      socket.close();
    });

    it("refuses an unknown namespace, and keeps the connection", async () => {
      const socket = await host.connect();
      for (const [packet, answer] of [
        ["40/random", "44/random,"],
        ["40/random,", "44/random,"],
        ['40/random,{"token":"123"}', "44/random,"],
        ["40/custom/", "44/custom/,"],
        ["40/custom?a=1", "44/custom?a=1,"],
      ]) {
        socket.send(packet);
        assert.equal(await socket.next(), `${answer}{"message":"Invalid namespace"}`);
      }
      socket.send("40");
      assertConnected(await socket.next(), "40");
      socket.close();
    });

    it("connects several namespaces over one connection, each with an ID of its own", async () => {
      const socket = await joined();
      socket.send('40/custom,{"a":1}');
      const custom = assertConnected(await socket.next(), "40/custom,");
      assert.equal(await socket.next(), '42/custom,["auth",{"a":1}]');
      assert.notEqual(custom, socket.sid);
      // And "/" still works.
      socket.send('42["message","x"]');
      assert.equal(await socket.next(), '42["message-back","x"]');
      socket.close();
    });

    it("gives no namespace the ID of the session or of another", async () => {
      const ids = [];
      for (let i = 0; i < 5; i++) {
        const socket = await host.connect();
        ids.push(socket.sid);
        socket.send("40", "40/custom");
        const answers = [];
        while (answers.length < 4) answers.push(await socket.next());
        ids.push(assertConnected(answers.find((packet) => packet.startsWith("40{")), "40"));
        ids.push(assertConnected(answers.find((packet) => packet.startsWith("40/")), "40/custom,"));
        socket.close();
      }
      assert.equal(new Set(ids).size, 15);
    });

    it("closes upon a CONNECT whose payload is not an object", async () => {
      for (const packet of ["40[]", "40null", '40"x"', "401", "40{", "40{}x", "40/custom,[]"]) {
        const socket = await host.connect({ heartbeat: false });
        socket.send(packet);
        // `401` is a CONNECT with an ID, which is ignored.
        if (packet === "401") assertConnected(await socket.next(), "40");
        else await socket.closed();
        socket.close();
      }
    });

    it("closes upon a second CONNECT to a namespace", async () => {
      await assertCloses("40");
      await assertCloses("40/,{}");
    });

    it("closes upon a first packet that is not a CONNECT", async () => {
      for (const packet of ["4abc", "4", "42[\"message\"]", "41", "430[]", '44{"message":"x"}', "40/custom,]"]) {
        const socket = await host.connect({ heartbeat: false });
        socket.send(packet);
        await socket.closed();
        assert.equal(await host.exists(socket.sid), false, packet);
      }
    });

    it("closes upon a packet for a namespace that is not joined", async () => {
      await assertCloses('42/custom,["message"]');
      await assertCloses("41/custom,");
      await assertCloses('42/,x["message"]');
    });

    it("closes upon a CONNECT_ERROR from the client", async () => {
      await assertCloses('44{"message":"x"}');
      await assertCloses('44"x"');
    });

    it("closes when no CONNECT comes", async () => {
      const socket = await host.connect();
      const opened = performance.now();
      await socket.closed(CONNECT_TIMEOUT + 1000);
      assert.ok(performance.now() - opened > CONNECT_TIMEOUT - 100);
      assert.equal(await host.exists(socket.sid), false);
    });

    it("closes when only refused CONNECTs come", async () => {
      const socket = await host.connect();
      socket.send("40/random");
      assert.equal(await socket.next(), '44/random,{"message":"Invalid namespace"}');
      await socket.closed(CONNECT_TIMEOUT + 1000);
    });

    it("does not close after a CONNECT in time", async () => {
      const socket = await joined();
      await sleep(CONNECT_TIMEOUT + 200);
      socket.send('42["message"]');
      assert.equal(await socket.next(), '42["message-back"]');
      socket.close();
    });

    it("closes a polling session in which no CONNECT comes", async () => {
      const session = await host.poll();
      const opened = performance.now();
      assert.equal(await session.next(), "1");
      assert.ok(performance.now() - opened > CONNECT_TIMEOUT - 100);
      await session.gone();
    });
  });

  describe("sending and receiving data", () => {
    it("carries plain text", async () => {
      const socket = await joined();
      socket.send('42["message",1,"2",{"3":[true]}]');
      assert.equal(await socket.next(), '42["message-back",1,"2",{"3":[true]}]');
      socket.close();
    });

    it("carries any arguments", async () => {
      const socket = await joined();
      for (const args of [
        "",
        ",null",
        ',"",0,-1.5,1e+21,true,false,null,[],{}',
        ',"€ 👍 \\u001e \\\\ \\" \\n"',
        ',{"_placeholder":false,"num":0}',
        ',{"a":{"b":[{"c":[[]]}]}}',
      ]) {
        socket.send(`42["message"${args}]`);
        assert.equal(await socket.next(), `42["message-back"${args}]`);
      }
      socket.close();
    });

    it("keeps the order of many packets", async () => {
      const socket = await joined();
      for (let i = 0; i < 1000; i++) socket.send(`42["message",${i}]`);
      for (let i = 0; i < 1000; i++) assert.equal(await socket.next(), `42["message-back",${i}]`);
      socket.close();
    });

    it("carries binary attachments", async () => {
      const socket = await joined();
      socket.send(
        '452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        Buffer.from([1, 2, 3]),
        Buffer.from([4, 5, 6]),
      );
      assert.equal(
        await socket.next(),
        '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
      );
      assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3]));
      assert.deepEqual(await socket.next(), Buffer.from([4, 5, 6]));
      socket.close();
    });

    it("carries binary inside of objects, and empty binary, and ten of them", async () => {
      const socket = await joined();
      socket.send('451-["message",{"a":[1,{"b":{"_placeholder":true,"num":0}}]}]', Buffer.alloc(0));
      assert.equal(await socket.next(), '451-["message-back",{"a":[1,{"b":{"_placeholder":true,"num":0}}]}]');
      assert.deepEqual(await socket.next(), Buffer.alloc(0));
      const ten = Array.from({ length: 10 }, (_, num) => `{"_placeholder":true,"num":${num}}`).join(",");
      socket.send(`4510-["message",${ten}]`, ...Array.from({ length: 10 }, (_, i) => Buffer.from([i])));
      assert.equal(await socket.next(), `4510-["message-back",${ten}]`);
      for (let i = 0; i < 10; i++) assert.deepEqual(await socket.next(), Buffer.from([i]));
      socket.close();
    });

    it("closes upon an event whose payload is not an array with a name", async () => {
      for (const payload of ["{}", "[]", '"x"', "null", "[null]", "[{}]", "[[]]", "[true]", '["a"', '["a"]x', "x"]) {
        await assertCloses(`42${payload}`);
      }
    });

    // JavaScript takes it.
    ours("closes upon an event without a payload", async () => {
      await assertCloses("42");
      await assertCloses("421");
    });

    it("takes any name that is not reserved", async () => {
      const socket = await joined();
      socket.send('42["unknown"]', '42["error"]', '42["__proto__",1]', '42[""]', '42[1,"x"]', '42["message"]');
      assert.equal(await socket.next(), '42["message-back"]');
      socket.close();
    });

    it("closes upon a reserved name", async () => {
      for (const name of [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
      ]) {
        await assertCloses(`42["${name}"]`);
      }
    });

    it("closes upon attachments that do not fit their packet", async () => {
      const placeholder = '{"_placeholder":true,"num":0}';
      await assertCloses(`450-["message"]`);
      await assertCloses(`45-["message",${placeholder}]`);
      await assertCloses(`45["message",${placeholder}]`);
      await assertCloses(`4511-["message",${placeholder}]`);
      await assertCloses(`451-["message",${placeholder}]`, '42["message"]');
      await assertCloses('451-["message",{"_placeholder":true,"num":1}]', Buffer.from([1]));
      await assertCloses(Buffer.from([1]));
    });
  });

  describe("acknowledgement", () => {
    it("answers with the ID of the event", async () => {
      const socket = await joined();
      for (const id of [0, 1, 12, 456, Number.MAX_SAFE_INTEGER]) {
        socket.send(`42${id}["message-with-ack",1,"2",{"3":[false]}]`);
        assert.equal(await socket.next(), `43${id}[1,"2",{"3":[false]}]`);
      }
      socket.close();
    });

    it("answers with an empty array", async () => {
      const socket = await joined();
      socket.send('4213["message-with-ack"]');
      assert.equal(await socket.next(), "4313[]");
      socket.close();
    });

    it("answers with binary attachments", async () => {
      const socket = await joined();
      socket.send(
        '452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        Buffer.from([1, 2, 3]),
        Buffer.from([4, 5, 6]),
      );
      assert.equal(await socket.next(), '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
      assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3]));
      assert.deepEqual(await socket.next(), Buffer.from([4, 5, 6]));
      socket.close();
    });

    it("ignores an acknowledgement that it did not ask for", async () => {
      const socket = await joined();
      socket.send("430[]", '4399["x"]', '461-3[{"_placeholder":true,"num":0}]', Buffer.from([1]), '42["message"]');
      assert.equal(await socket.next(), '42["message-back"]');
      socket.close();
    });

    it("closes upon an acknowledgement whose payload is not an array", async () => {
      for (const packet of ["430{}", '430"x"', "430null"]) await assertCloses(packet);
    });

    // JavaScript takes these.
    ours("closes upon an acknowledgement without an ID or a payload", async () => {
      for (const packet of ["430", "43[]", "43"]) await assertCloses(packet);
    });

    it("closes upon an ID that is not a number", async () => {
      await assertCloses('42abc["message-with-ack",1,"2",{"3":[false]}]');
      await assertCloses('42-1["message-with-ack"]');
      await assertCloses('421.5["message-with-ack"]');
    });
  });

  describe("disconnection from a namespace", () => {
    it("leaves the main namespace and keeps the connection", async () => {
      const socket = await host.connect({ heartbeat: false });
      socket.send("40");
      assertConnected(await socket.next(), "40");
      assert.equal(await socket.next(), '42["auth",{}]');
      socket.send("41");
      // No response; the next packet is the heartbeat's.
      assert.equal(await socket.next(), "2");
      socket.send("3", "40");
      assertConnected(await socket.next(), "40");
      socket.close();
    });

    it("leaves a custom namespace and keeps the others", async () => {
      for (const packet of ["41/custom,", "41/custom"]) {
        const socket = await joined();
        socket.send("40/custom");
        assertConnected(await socket.next(), "40/custom,");
        assert.equal(await socket.next(), '42/custom,["auth",{}]');
        socket.send(packet, '42["message","message to main namespace"]');
        assert.equal(await socket.next(), '42["message-back","message to main namespace"]');
        socket.close();
      }
    });

    // Packets are handled strictly in order; JavaScript closes the connection over this.
    ours("joins again right behind leaving", async () => {
      const socket = await joined();
      socket.send("40/custom");
      assertConnected(await socket.next(), "40/custom,");
      assert.equal(await socket.next(), '42/custom,["auth",{}]');
      socket.send("41/custom,", '40/custom,{"again":true}');
      assertConnected(await socket.next(), "40/custom,");
      assert.equal(await socket.next(), '42/custom,["auth",{"again":true}]');
      socket.close();
    });

    it("closes upon a DISCONNECT with a payload", async () => {
      for (const packet of ["41{}", '41"x"', "41[]"]) await assertCloses(packet);
    });

    // JavaScript may take what arrives in the same moment.
    ours("closes upon a packet for a namespace that was left", async () => {
      const socket = await joined();
      socket.send("41", '42["message"]');
      await socket.closed();
    });
  });

  describe("packet encoding", () => {
    it("has the namespace only where it is not the main one", async () => {
      const socket = await joined();
      socket.send('42/,["message","a"]');
      assert.equal(await socket.next(), '42["message-back","a"]');
      socket.send('42/,7["message-with-ack","a"]');
      assert.equal(await socket.next(), '437["a"]');
      socket.close();
    });

    it("ends the namespace at the comma", async () => {
      const socket = await host.connect();
      socket.send("40/a,b");
      await socket.closed();
      const other = await host.connect();
      other.send("40/€ /x");
      assert.equal(await other.next(), '44/€ /x,{"message":"Invalid namespace"}');
      other.close();
    });

    it("closes upon an unknown packet type", async () => {
      for (const packet of ["47", '47["message"]', "48", "4abc", "4-", "4 ", "4/", "4€"]) await assertCloses(packet);
    });
  });

  describe("the sample session", () => {
    it("runs over polling and the upgrade", async () => {
      const session = await host.poll();
      await session.send("40");
      assertConnected(await session.next(), "40");
      assert.equal(await session.next(), '42["auth",{}]');
      await session.send('42["message","hello"]', '42["message","world"]');
      assert.equal(await session.next(), '42["message-back","hello"]');
      assert.equal(await session.next(), '42["message-back","world"]');

      const socket = await upgrade(host, session);
      socket.send('42["message","hello"]', '42["message","world"]', "40/custom,");
      assert.equal(await socket.next(), '42["message-back","hello"]');
      assert.equal(await socket.next(), '42["message-back","world"]');
      assertConnected(await socket.next(), "40/custom,");
      assert.equal(await socket.next(), '42/custom,["auth",{}]');
      socket.send('451-1["message-with-ack",{"_placeholder":true,"num":0}]', Buffer.from([1, 2, 3, 4]));
      assert.equal(await socket.next(), '461-1[{"_placeholder":true,"num":0}]');
      assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3, 4]));
      socket.close();
      await socket.closed();
      await session.gone();
    });

    it("carries binary over polling, as base64", async () => {
      const session = await host.poll();
      await session.send("40");
      assertConnected(await session.next(), "40");
      assert.equal(await session.next(), '42["auth",{}]');
      await session.send('451-3["message-with-ack",{"_placeholder":true,"num":0}]', "bAQIDBA==");
      assert.equal(await session.next(), '461-3[{"_placeholder":true,"num":0}]');
      assert.equal(await session.next(), "bAQIDBA==");
    });
  });

  describe("cross-origin requests", () => {
    it("lets every origin in", async () => {
      const headers = { Origin: "http://elsewhere.example" };
      const open = await host.get({}, { headers });
      assert.equal(open.status, 200);
      assert.equal(open.headers.get("access-control-allow-origin"), "*");
      assert.equal(open.headers.get("access-control-allow-credentials"), null);
      const { sid } = JSON.parse(open.body.slice(1));
      const post = await host.post({ sid }, "40", { headers });
      assert.equal(post.headers.get("access-control-allow-origin"), "*");
      const session = new Poll(host, sid);
      assertConnected(await session.next(), "40");
    });

    it("lets a browser read why it was refused", async () => {
      const response = await host.get({ sid: "unknown" }, { headers: { Origin: "http://elsewhere.example" } });
      assertRefused(response, refusal.sid);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
    });

    it("answers a preflight", async () => {
      const { status, headers, body } = await host.http("OPTIONS", {}, {
        headers: {
          Origin: "http://elsewhere.example",
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "content-type",
        },
      });
      assert.equal(status, 204);
      assert.equal(body, "");
      assert.equal(headers.get("access-control-allow-origin"), "*");
      assert.equal(headers.get("access-control-allow-methods"), "GET,HEAD,PUT,PATCH,POST,DELETE");
      assert.equal(headers.get("access-control-allow-headers"), "content-type");
    });
  });
});
