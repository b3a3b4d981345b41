// The tour of the API, once with a client half of its own, and once with this one: each step is driven from here, and what
// both halves say is checked.

import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { io } from "socket.io-client";

import { PATIENCE, next, startServer, within } from "./support.mjs";

const STEP = { timeout: 2 * PATIENCE };

let server;
let ada;
let grace;
let admin;

/** A socket that is about to connect. */
const dial = (nsp, options) => io(server.url + nsp, { forceNew: true, reconnection: false, ...options });

/** What the server has printed, line by line. */
async function printed(...lines) {
  for (const line of lines) await server.prints(line);
}

/** A user who is connected and was greeted. */
async function come(name) {
  const socket = dial("/", { auth: { name }, query: { from: "a test" } });
  const hello = next(socket, "hello");
  await printed(
    `${name} comes from a test, over polling`,
    `${name} > hello [1,"2",{"3":"4","5":{"_placeholder":true,"num":0}}], 1 binary`,
  );
  assert.deepEqual(await hello, [1, "2", { 3: "4", 5: Buffer.from([6]) }]);
  return socket;
}

/** What the server's middleware says. */
async function refusal(socket) {
  const [{ message, data }] = await next(socket, "connect_error");
  socket.disconnect();
  return { message, data };
}

/** Emits an event, whose arrival the server prints, and waits for its acknowledgement. */
async function request(socket, name, event, ...args) {
  const answer = await within(socket.emitWithAck(event, ...args), `the acknowledgement of ${event}`);
  await server.prints(`${name} < ${event} [${JSON.stringify(args).slice(1, -1)}], 0 binary`);
  return answer;
}

/** The same without acknowledgement. */
async function tell(socket, name, event, ...args) {
  socket.emit(event, ...args);
  await server.prints(`${name} < ${event} [${JSON.stringify(args).slice(1, -1)}], 0 binary`);
}

before(async () => {
  server = await startServer("TOUR_CMD");
}, STEP);

after(async () => {
  for (const socket of [ada, grace, admin]) socket?.disconnect();
  await server?.stop();
});

test("both halves in one process say what they always say, and end", STEP, async () => {
  const said = await promisify(exec)(process.env.TOUR_CMD, { timeout: PATIENCE });
  assert.equal(said.stderr, "");
  assert.equal(said.stdout, await readFile(new URL("tour.txt", import.meta.url), "utf8"));
});

test("a middleware refuses, with a message and data", STEP, async () => {
  assert.deepEqual(await refusal(dial("/")), { message: "who are you?", data: ["give", "auth.name"] });
  await printed("refused: it gave no name");
});

test("the handshake has auth and query; several arguments and binary are emitted", STEP, async () => {
  ada = await come("Ada");
  grace = await come("Grace");
});

test("several arguments and binary are heard, by a listener and by catch-all listeners", STEP, async () => {
  ada.emit("hello", 7, "seven", { 3: "three", 5: Uint8Array.from([1, 2, 3]) });
  await printed(
    'Ada < hello [7,"seven",{"3":"three","5":{"_placeholder":true,"num":0}}], 1 binary',
    'Ada says hello: 7, "seven", "three" and 3 bytes',
  );
});

test("arguments of another type are an error of that event alone", STEP, async () => {
  await tell(ada, "Ada", "hello", "no number");
  await printed(
    'hello of Ada failed: arguments: argument 0: invalid type: string "no number", expected u32 (line 1, column 11)',
  );
});

test("a socket has data", STEP, async () => {
  await tell(ada, "Ada", "rename", "Ada L.");
  await printed("Ada is now Ada L.");
  await tell(ada, "Ada L.", "rename", "Ada");
  await printed("Ada L. is now Ada");
});

test("an event is acknowledged", STEP, async () => {
  assert.deepEqual(await request(ada, "Ada", "request", "tea", 2), { status: "ok" });
  await printed("asked for tea, 2 times");
});

for (const [way, verb] of [["callback", "called back"], ["future", "answered"]]) {
  test(`the server asks for an acknowledgement by ${way}`, STEP, async () => {
    ada.once("question", (text, answer) => answer(`${text} because`));
    await tell(ada, "Ada", `ask me by ${way}`, PATIENCE);
    await printed('Ada > question ["why?"], 0 binary', `Ada ${verb}: why? because`);
  });

  test(`the server asks for an acknowledgement by ${way}, and it does not come in time`, STEP, async () => {
    const question = next(ada, "question");
    await tell(ada, "Ada", `ask me by ${way}`, 50);
    await printed('Ada > question ["why?"], 0 binary', `Ada ${verb}: nothing, operation has timed out`);
    assert.equal((await question)[0], "why?");
  });
}

test("an acknowledgement that the client does not get in time is an error there", STEP, async () => {
  await assert.rejects(ada.timeout(50).emitWithAck("nobody listens to this"), /operation has timed out/);
  await printed("Ada < nobody listens to this [], 0 binary");
});

test("broadcasts reach all, or all but the sender", STEP, async () => {
  const all = Promise.all([next(ada, "news"), next(grace, "news")]);
  await tell(ada, "Ada", "news", "it rains");
  await printed("news for 2: it rains");
  assert.deepEqual(await all, [["it rains"], ["it rains"]]);

  const shout = next(grace, "said");
  ada.once("said", () => assert.fail("the sender heard itself"));
  await tell(ada, "Ada", "shout", "hear me");
  await printed('Ada shouts "hear me" to 1');
  assert.deepEqual(await shout, ["Ada", "hear me"]);
  ada.off("said");
});

test("rooms are joined, spoken in, and left", STEP, async () => {
  await request(ada, "Ada", "join", ["red", "blue"]);
  await request(grace, "Grace", "join", ["red"]);
  await printed("Ada is in blue, red", "Grace is in red");

  const said = next(ada, "said");
  await tell(grace, "Grace", "say", "blue", "in blue?");
  await printed('Grace says "in blue?" to 1 in blue');
  assert.deepEqual(await said, ["Grace", "in blue?"]);

  await request(ada, "Ada", "leave", "blue");
  await printed("Ada left blue, is in red");
  await tell(grace, "Grace", "say", "blue", "and now?");
  await printed('Grace says "and now?" to 0 in blue');
});

test("another namespace has its own middleware, handlers and state", STEP, async () => {
  assert.deepEqual(await refusal(dial("/admin", { auth: { name: "Ada" } })), {
    message: "not authorized",
    data: undefined,
  });
  assert.equal((await refusal(dial("/nowhere"))).message, "Invalid namespace");

  admin = dial("/admin", { auth: { name: "Grace" } });
  await next(admin, "welcome");
  await printed("somebody is in /admin");
});

test("sockets are selected by rooms, from another namespace", STEP, async () => {
  await request(ada, "Ada", "join", ["blue"]);
  await printed("Ada is in blue, red");
  const news = next(grace, "news");
  ada.once("news", () => assert.fail("it was excepted"));
  admin.emit("announce", ["red", "green"], "blue", "red alone");
  await printed('to ["red", "green"] except blue: red alone');
  assert.deepEqual(await news, ["red alone"]);
  ada.off("news");

  assert.equal(await admin.emitWithAck("gather", "red", "hall"), 2);
  await printed("2 more in hall");
});

test("a client leaves, and the server disconnects one", STEP, async () => {
  ada.disconnect();
  await printed("Ada leaves blue, hall, red", "Ada is gone: client namespace disconnect");

  ada = await come("Ada");
  const bye = next(ada, "disconnect");
  await tell(ada, "Ada", "bye");
  await printed("Ada leaves no room", "Ada is gone: server namespace disconnect");
  assert.equal((await bye)[0], "io server disconnect");

  const closed = next(grace, "disconnect");
  admin.emit("close", "hall");
  await printed("hall is closed for 1", "Grace leaves hall, red", "Grace is gone: server namespace disconnect");
  assert.equal((await closed)[0], "io server disconnect");
});

test("that was all that the server printed", STEP, () => assert.deepEqual(server.printed, []));
