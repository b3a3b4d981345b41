// The chat example in Chromium: what its pages show, over each transport, and what a client in Node sees of them.
// The server is given as a command: CHAT_CMD="path/to/chat" node --test chat.test.mjs

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, describe, test as unbounded } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

import { chromium } from "playwright-core";
import { io } from "socket.io-client";

import { next, nextWhere, PATIENCE, startServer, within } from "./support.mjs";
import { eventually } from "./wire.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Where the screenshots go. */
const LOGS = join(resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target"), "test-logs");

const MAX_IMAGE = 900_000;

let browser;
before(async () => {
  await mkdir(LOGS, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});
after(() => browser?.close());

/** A test that ends, however many waits it has. */
function test(name, body) {
  unbounded(name, { timeout: 4 * PATIENCE }, body);
}

/** A chat server that ends with the test `t`. */
async function serve(t, args) {
  const server = await startServer("CHAT_CMD", args);
  t.after(() => server.stop());
  return server;
}

/** A page of its own browser profile, which ends with the test `t`. What goes wrong inside of it fails the test. */
async function open(t, server, { query = {}, viewport = { width: 1000, height: 640 }, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.stack));
  page.on("console", (message) => {
    // That a server which was stopped does not answer is no fault of the page.
    if (message.type() === "error" && !message.text().includes("net::ERR_")) errors.push(message.text());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors, []);
  });
  await page.goto(`${server.url}/?${new URLSearchParams(query)}`);
  return page;
}

/** A page that has joined a room under this name. */
async function enter(t, server, name, { transport, room = "lobby", ...options } = {}) {
  const page = await open(t, server, { query: { name, room, ...(transport && { transport }) }, ...options });
  await page.getByRole("heading", { name: `#${room}` }).waitFor();
  return page;
}

/** A client in Node that ends with the test `t`. */
function dial(t, server, options = {}) {
  const socket = io(server.url, { forceNew: true, ...options });
  t.after(() => socket.disconnect());
  return socket;
}

const ask = (socket, ...args) => within(socket.emitWithAck(...args), `the acknowledgement of "${args[0]}"`);

/** Waits until the elements of `selector` have these texts. */
async function shows(page, selector, texts) {
  let seen;
  const attempt = async () => isDeepStrictEqual((seen = await page.locator(selector).allInnerTexts()), texts);
  await eventually(attempt, selector).catch(() => assert.deepEqual(seen, texts, selector));
}

const people = (page, names) => shows(page, "#people .person-name", names);
const rooms = (page, texts) => shows(page, "#rooms .room", texts);
const typing = (page, text) => shows(page, "#typing", [text]);
const texts = (page, texts) => shows(page, ".message .text", texts);
const notice = (page, text) => shows(page, "#notice", [text]);
const marks = (page, states) => shows(page, ".message.own .mark", states);

async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

/** Waits until the pages' last image is one of that size, and is shown: gives its element. */
async function image(page, { width, height }) {
  const shown = page.locator("figure img").last();
  const attempt = () =>
    shown.evaluate((image, [width, height]) => image.naturalWidth === width && image.naturalHeight === height, [
      width,
      height,
    ]);
  await eventually(attempt, `an image of ${width} by ${height} pixels`);
  return shown;
}

/** A picture of a river, or `noise`, which cannot be compressed, as a file of `type`. */
async function picture(page, { width, height, type = "image/png", noise = false }) {
  const url = await page.evaluate(
    ([width, height, type, noise]) => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const draw = canvas.getContext("2d");
      if (noise) {
        const pixels = draw.createImageData(width, height);
        for (let at = 0; at < pixels.data.length; at += 65_536) {
          crypto.getRandomValues(pixels.data.subarray(at, at + 65_536));
        }
        for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = 255;
        draw.putImageData(pixels, 0, 0);
        return canvas.toDataURL(type);
      }
      const fill = (color, outline) => {
        draw.beginPath();
        outline();
        draw.fillStyle = color;
        draw.fill();
      };
      const gradient = (from, to, ...colors) => {
        const made = draw.createLinearGradient(0, from * height, 0, to * height);
        colors.forEach((color, i) => made.addColorStop(i / (colors.length - 1), color));
        return made;
      };
      const hills = (base, size, step) => () => {
        draw.moveTo(0, height);
        for (let x = 0; x <= width; x += 2) {
          draw.lineTo(x, height * (base - size * (Math.sin(x / step) + Math.sin(x / step / 2.3 + base * 20)) * 0.5));
        }
        draw.lineTo(width, height);
      };
      fill(gradient(0, 0.6, "#f7c59a", "#fbe6cd"), () => draw.rect(0, 0, width, height));
      fill("#fff6e6", () => draw.arc(width * 0.7, height * 0.27, height * 0.1, 0, 7));
      fill("#b9a7a0", hills(0.45, 0.14, width / 12));
      fill("#87978a", hills(0.55, 0.1, width / 9));
      fill("#4f6f5c", hills(0.66, 0.06, width / 15));
      fill(gradient(0.68, 1, "#7fb0b3", "#376a78"), () => draw.rect(0, height * 0.7, width, height));
      draw.strokeStyle = "#e9f3ee";
      draw.lineCap = "round";
      draw.lineWidth = height / 160;
      for (let i = 0; i < 40; i++) {
        const [x, y] = [((i * 61) % 97) / 97, 0.73 + ((i * 37) % 89) / 89 / 4];
        draw.globalAlpha = 0.15 + ((i * 7) % 5) / 12;
        draw.beginPath();
        draw.moveTo(x * width, y * height);
        draw.lineTo((x + 0.05) * width, y * height);
        draw.stroke();
      }
      return canvas.toDataURL(type);
    },
    [width, height, type, noise],
  );
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/** Chooses a file in the page's dialog. */
async function choose(page, name, mimeType, buffer) {
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Send an image" }).click();
  await (await chooser).setFiles({ name, mimeType, buffer });
}

const PAIRS = [
  ["websocket", "polling"],
  ["polling", "polling"],
  ["websocket", "websocket"],
];

for (const [hers, theirs] of PAIRS) {
  describe(`Ada over ${hers}, Grace over ${theirs}`, () => {
    /** A server with Ada's and Grace's pages. */
    async function both(t) {
      const server = await serve(t);
      const ada = await enter(t, server, "Ada", { transport: hers });
      const grace = await enter(t, server, "Grace", { transport: theirs });
      return { server, ada, grace };
    }

    test("each sees who is there, who comes and who goes", async (t) => {
      const { server, ada, grace } = await both(t);
      const over = { websocket: "Connected over WebSocket", polling: "Connected over long-polling" };
      await shows(ada, ".talk .status", [over[hers]]);
      await shows(grace, ".talk .status", [over[theirs]]);
      for (const page of [ada, grace]) {
        await people(page, ["Ada", "Grace"]);
        await rooms(page, ["#lobby\n2"]);
      }
      const linus = await enter(t, server, "Linus", { transport: theirs });
      for (const page of [ada, grace, linus]) await people(page, ["Ada", "Grace", "Linus"]);
      await linus.close();
      await grace.close();
      await people(ada, ["Ada"]);
      await rooms(ada, ["#lobby\n1"]);
      const lines = await ada.locator(".event").allInnerTexts();
      assert.deepEqual(lines.slice(1, 3), ["Grace joined", "Linus joined"]);
      assert.deepEqual(lines.slice(3).toSorted(), ["Grace left", "Linus left"]);
    });

    test("a message is shown to the other, and ticked when the server has it", async (t) => {
      const { ada, grace } = await both(t);
      await say(ada, "Hello Grace");
      await texts(grace, ["Hello Grace"]);
      await marks(ada, ["delivered"]);
      assert.match(await ada.locator(".own time").innerText(), /\d\d:\d\d/);
      await say(grace, "<b>Hello</b> Ada &amp; all");
      for (const page of [ada, grace]) await texts(page, ["Hello Grace", "<b>Hello</b> Ada &amp; all"]);
      await shows(ada, ".message:not(.own) .from", ["Grace"]);
      await marks(grace, ["delivered"]);
      await marks(ada, ["delivered"]);
    });

    test("messages keep their order", async (t) => {
      const { ada, grace } = await both(t);
      const sent = Array.from({ length: 20 }, (_, i) => `message ${i}`);
      for (const text of sent) await say(ada, text);
      await texts(grace, sent);
      await marks(ada, sent.map(() => "delivered"));
    });

    test("who is typing is shown until they stop, clear their text or send it", async (t) => {
      const { ada, grace } = await both(t);
      const box = ada.getByLabel("Message", { exact: true });
      await box.pressSequentially("Hel");
      await typing(grace, "Ada is typing…");
      await typing(grace, "");
      await box.pressSequentially("lo");
      await typing(grace, "Ada is typing…");
      await box.fill("");
      await typing(grace, "");
      await box.pressSequentially("Hello");
      await typing(grace, "Ada is typing…");
      await ada.keyboard.press("Enter");
      await typing(grace, "");
      await texts(grace, ["Hello"]);
      await typing(ada, "");
    });

    test("another room neither sees the messages nor is seen, until one goes there", async (t) => {
      const { server, ada, grace } = await both(t);
      const linus = await enter(t, server, "Linus", { room: "kitchen" });
      for (const page of [ada, grace, linus]) await rooms(page, ["#kitchen\n1", "#lobby\n2"]);
      await people(ada, ["Ada", "Grace"]);
      await people(linus, ["Linus"]);

      await ada.getByLabel("Message", { exact: true }).pressSequentially("For the ");
      await typing(grace, "Ada is typing…");
      await say(ada, "For the lobby");
      await texts(grace, ["For the lobby"]);
      await ada.getByRole("button", { name: "#kitchen, 1 person" }).click();
      await ada.getByRole("heading", { name: "#kitchen" }).waitFor();
      await people(ada, ["Ada", "Linus"]);
      await people(linus, ["Ada", "Linus"]);
      await people(grace, ["Grace"]);
      await rooms(grace, ["#kitchen\n2", "#lobby\n1"]);
      await say(ada, "For the kitchen");
      // Had the first message or its typing notice been for Linus, it would have come before this one.
      await texts(linus, ["For the kitchen"]);
      await typing(linus, "");
      await texts(ada, ["For the kitchen"]);
      await texts(grace, ["For the lobby"]);

      await ada.getByLabel("Another room").fill("#Attic");
      await ada.keyboard.press("Enter");
      await ada.getByRole("heading", { name: "#attic" }).waitFor();
      await rooms(grace, ["#attic\n1", "#kitchen\n1", "#lobby\n1"]);
      assert.equal(new URL(ada.url()).searchParams.get("room"), "attic");
    });

    test("an image is shown by both, a large one too", async (t) => {
      const { ada, grace } = await both(t);
      const size = { width: 320, height: 180 };
      for (const type of ["image/png", "image/jpeg", "image/webp"]) {
        await choose(ada, `river.${type.slice(6)}`, type, await picture(ada, { ...size, type }));
      }
      for (const page of [ada, grace]) {
        await shows(page, "figcaption", ["river.png", "river.jpeg", "river.webp"]);
        await image(page, size);
        for (const shown of await page.locator("figure img").all()) {
          assert.equal(await shown.evaluate((image) => image.decode().then(() => image.naturalWidth)), 320);
        }
      }
      await marks(ada, ["delivered", "delivered", "delivered"]);

      const large = { width: 505, height: 505 };
      const data = await picture(grace, { ...large, noise: true });
      assert.ok(data.length > 0.9 * MAX_IMAGE && data.length <= MAX_IMAGE, `${data.length} bytes`);
      await choose(grace, "large.png", "image/png", data);
      await image(ada, large);
      await marks(grace, ["delivered"]);
    });
  });
}

test("a page begins with polling and upgrades", async (t) => {
  const server = await serve(t);
  const page = await enter(t, server, "Ada");
  await shows(page, ".talk .status", ["Connected over WebSocket"]);
  await say(page, "still here");
  await marks(page, ["delivered"]);
});

test("the form knows the rooms, and says what is wrong with a name or a room", async (t) => {
  const server = await serve(t);
  await enter(t, server, "Ada", { room: "kitchen" });
  const page = await open(t, server);
  await eventually(() => page.locator("#known-rooms option").count().then((count) => count === 2), "two rooms");
  assert.deepEqual(
    await page.locator("#known-rooms option").evaluateAll((options) => options.map((option) => option.value)),
    ["kitchen", "lobby"],
  );

  const attempts = [
    ["", "kitchen", "Please choose a name."],
    ["  ", "kitchen", "Please choose a name."],
    ["Ada", "lobby", "The name Ada is taken."],
    ["ADA ", "kitchen", "The name ADA is taken."],
    ["Grace", " ", "Please choose a room."],
  ];
  for (const [name, room, error] of attempts) {
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("Room", { exact: true }).fill(room);
    await page.keyboard.press("Enter");
    await shows(page, "#join-error", [error]);
  }
  await page.getByLabel("Your name").fill("Grace");
  await page.getByLabel("Room", { exact: true }).fill("kitchen");
  await page.getByRole("button", { name: "Join" }).click();
  await people(page, ["Ada", "Grace"]);
});

test("a file that is no image, or too large a one, is not sent, and the page says so", async (t) => {
  const server = await serve(t);
  const ada = await enter(t, server, "Ada");
  const grace = await enter(t, server, "Grace");
  await choose(ada, "huge.png", "image/png", Buffer.alloc(MAX_IMAGE + 1));
  await notice(ada, "huge.png is not sent: it has 901 KB, and an image may have 900 KB.");
  await choose(ada, "notes.txt", "text/plain", Buffer.from("notes"));
  await notice(ada, "notes.txt is not sent: it is no PNG, JPEG, GIF or WebP image.");
  // What only pretends to be an image is the server's to refuse.
  await choose(ada, "page.png", "image/png", Buffer.from("<script>alert(1)</script>"));
  await notice(ada, "An image is a PNG, JPEG, GIF or WebP file.");
  await shows(ada, ".own .foot .mark", ["not delivered"]);
  await choose(ada, "broken.jpg", "image/jpeg", Buffer.from("ffd8ff", "hex"));
  await shows(grace, "figure", ["This image cannot be shown.\n\nbroken.jpg"]);
});

test("an image can be pasted and dropped", async (t) => {
  const server = await serve(t);
  const ada = await enter(t, server, "Ada", { transport: "websocket" });
  const grace = await enter(t, server, "Grace", { transport: "polling" });
  const transfer = async (name, size) => {
    const bytes = [...(await picture(ada, size))];
    return ada.evaluateHandle(
      ([name, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        return transfer;
      },
      [name, bytes],
    );
  };
  await ada.locator("#text").evaluate(
    (box, clipboardData) => box.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true })),
    await transfer("pasted.png", { width: 40, height: 30 }),
  );
  await image(grace, { width: 40, height: 30 });

  const dataTransfer = await transfer("dropped.png", { width: 30, height: 40 });
  await ada.dispatchEvent("#log", "dragover", { dataTransfer });
  await ada.getByText("Drop an image to send it").waitFor();
  await ada.dispatchEvent("#log", "drop", { dataTransfer });
  await ada.getByText("Drop an image to send it").waitFor({ state: "hidden" });
  await image(grace, { width: 30, height: 40 });
  await shows(grace, "figcaption", ["pasted.png", "dropped.png"]);
});

for (const transport of ["polling", "websocket"]) {
  test(`a client in Node and a page over ${transport} see each other`, async (t) => {
    const server = await serve(t);
    const ada = await enter(t, server, "Ada", { transport });
    const node = dial(t, server, { transports: [transport] });
    const [atFirst] = await next(node, "rooms");
    assert.deepEqual(atFirst, [{ name: "lobby", users: 1 }]);
    const answer = await ask(node, "join", { name: "Node", room: "lobby" });
    assert.deepEqual(answer, {
      ok: true,
      name: "Node",
      room: "lobby",
      users: ["Ada", "Node"],
      rooms: [{ name: "lobby", users: 2 }],
    });
    await people(ada, ["Ada", "Node"]);

    const before = Date.now();
    const { id, time } = await ask(node, "message", "Hello from Node");
    assert.ok(Number.isSafeInteger(id) && Math.abs(time - before) < 2 * PATIENCE);
    await texts(ada, ["Hello from Node"]);
    const heard = next(node, "message");
    await say(ada, "Hello from a page");
    const [message] = await heard;
    assert.deepEqual([message.from, message.text], ["Ada", "Hello from a page"]);
    await marks(ada, ["delivered"]);

    const size = { width: 64, height: 48 };
    const data = await picture(ada, size);
    const seen = next(node, "image");
    await choose(ada, "from-page.png", "image/png", data);
    const [info, bytes] = await seen;
    assert.deepEqual([info.from, info.name, info.type], ["Ada", "from-page.png", "image/png"]);
    assert.ok(data.equals(bytes));
    assert.equal((await ask(node, "image", { name: "from-node.png", type: "image/png" }, data)).error, undefined);
    await shows(ada, "figcaption", ["from-page.png", "from-node.png"]);
    await image(ada, size);

    node.emit("typing", true);
    await typing(ada, "Node is typing…");
    node.disconnect();
    await people(ada, ["Ada"]);
    await typing(ada, "");
  });
}

test("the server believes no client", async (t) => {
  const server = await serve(t);
  const ada = dial(t, server);
  assert.deepEqual(await ask(ada, "message", "too early"), { error: "Please join a room first." });
  for (const [name, room, error] of [
    ["x".repeat(25), "lobby", "A name has at most 24 characters."],
    ["Ada", "y".repeat(25), "A room's name has at most 24 characters."],
    ["\u0007\u200b", "lobby", "Please choose a name."],
    ["Ada", "#", "Please choose a room."],
  ]) {
    assert.deepEqual(await ask(ada, "join", { name, room }), { error });
  }
  for (const [asked, given] of [
    [` ${"é".repeat(24)} `, "é".repeat(24)],
    ["A\u0007da\n  Lovelace", "Ada Lovelace"],
    ["\u0007 Ada \u0007 L.", "Ada L."],
  ]) {
    const { name, room, users } = await ask(ada, "join", { name: asked, room: "# Lobby" });
    assert.deepEqual([name, room, users], [given, "lobby", [given]]);
  }

  const grace = dial(t, server);
  await ask(grace, "join", { name: "Grace", room: "lobby" });
  const heard = [];
  for (const event of ["message", "image", "typing"]) grace.on(event, (...args) => heard.push([event, ...args]));
  const png = Buffer.from("89504e470d0a1a0a", "hex");
  for (const [args, error] of [
    [["message", ""], "A message has 1 to 2000 characters."],
    [["message", " \n"], "A message has 1 to 2000 characters."],
    [["message", "x".repeat(2_001)], "A message has 1 to 2000 characters."],
    [["image", { name: "a.svg", type: "image/svg+xml" }, png], "An image is a PNG, JPEG, GIF or WebP file."],
    [["image", { name: "a.png", type: "image/gif" }, png], "An image is a PNG, JPEG, GIF or WebP file."],
    [["image", { name: "a.png", type: "image/png" }, Buffer.alloc(0)], "An image is a PNG, JPEG, GIF or WebP file."],
    [
      ["image", { name: "a.png", type: "image/png" }, Buffer.concat([png, Buffer.alloc(MAX_IMAGE)])],
      "An image may have 900 KB.",
    ],
    [["image", { name: "x".repeat(401), type: "image/png" }, png], "The image's name is too long."],
  ]) {
    assert.deepEqual(await ask(ada, ...args), { error });
  }
  // Arguments of the wrong kind are answered with nothing, and cost neither the connection nor the server.
  for (const args of [["join"], ["join", 5], ["join", null], ["message", { text: "x" }], ["message"], ["typing", "yes"]]) {
    ada.emit(...args);
  }
  ada.emit("image", { name: "a.png", type: "image/png" }, "no bytes", () => {});
  assert.equal((await ask(ada, "message", "y".repeat(2_000))).error, undefined);
  await eventually(() => heard.some(([event]) => event === "message"), "the message");
  assert.deepEqual(heard.map(([event, { text }]) => [event, text]), [["message", "y".repeat(2_000)]]);
});

test("a name is free again when its page has gone, and at once for the page that lost its connection", async (t) => {
  const server = await serve(t);
  const first = dial(t, server, { auth: { key: "the key of Ada's page" }, reconnection: false });
  await ask(first, "join", { name: "Ada", room: "lobby" });
  const stranger = dial(t, server, { auth: { key: "another key" } });
  assert.deepEqual(await ask(stranger, "join", { name: "ada", room: "lobby" }), { error: "The name ada is taken." });

  const gone = next(first, "disconnect");
  const second = dial(t, server, { auth: { key: "the key of Ada's page" } });
  assert.deepEqual((await ask(second, "join", { name: "Ada", room: "lobby" })).users, ["Ada"]);
  await gone;
  // The first connection's end took nothing from the second.
  assert.deepEqual(await ask(stranger, "join", { name: "Ada", room: "lobby" }), { error: "The name Ada is taken." });
  assert.deepEqual((await ask(stranger, "join", { name: "Grace", room: "lobby" })).users, ["Ada", "Grace"]);
  const changed = nextWhere(stranger, "users", (users) => users.length === 1);
  second.disconnect();
  await changed;
  assert.deepEqual((await ask(stranger, "join", { name: "Ada", room: "lobby" })).users, ["Ada"]);
});

test("a message that does not get through says so, and can be sent again", async (t) => {
  const server = await serve(t);
  const ada = await enter(t, server, "Ada", { transport: "polling" });
  const grace = await enter(t, server, "Grace");
  await ada.route("**/socket.io/**", (route) => route.abort());
  await say(ada, "Do you hear me?");
  await shows(ada, ".own .mark", ["not delivered"]);
  await shows(ada, ".talk .status", ["Connection lost, trying again…"]);
  assert.ok(await ada.getByRole("button", { name: "Send", exact: true }).isDisabled());
  await ada.unroute("**/socket.io/**");
  await shows(ada, ".talk .status", ["Connected over long-polling"]);
  await eventually(() => ada.getByRole("button", { name: "Send", exact: true }).isEnabled(), "to have joined again");
  await ada.getByRole("button", { name: "Try again" }).click();
  await marks(ada, ["delivered"]);
  await texts(grace, ["Do you hear me?"]);
  await notice(ada, "");
});

test("pages come back to their rooms when the server was started again", async (t) => {
  const first = await startServer("CHAT_CMD");
  t.after(() => first.stop().catch(() => {}));
  const ada = await enter(t, first, "Ada", { transport: "websocket", room: "kitchen" });
  const grace = await enter(t, first, "Grace", { transport: "polling", room: "kitchen" });
  await say(ada, "before");
  await texts(grace, ["before"]);
  await first.stop();
  for (const page of [ada, grace]) await shows(page, ".talk .status", ["Connection lost, trying again…"]);

  await serve(t, ["--port", String(first.port)]);
  await shows(ada, ".talk .status", ["Connected over WebSocket"]);
  await shows(grace, ".talk .status", ["Connected over long-polling"]);
  for (const page of [ada, grace]) await people(page, ["Ada", "Grace"]);
  await say(ada, "after");
  for (const page of [ada, grace]) await texts(page, ["before", "after"]);
  await marks(ada, ["delivered", "delivered"]);
});

test("on a narrow window, rooms and people are behind a button", async (t) => {
  const server = await serve(t);
  await enter(t, server, "Grace", { room: "kitchen" });
  const ada = await enter(t, server, "Ada", { viewport: { width: 390, height: 720 } });
  const room = ada.getByRole("button", { name: "#kitchen, 1 person" });
  await room.waitFor({ state: "hidden" });
  await ada.getByRole("button", { name: "Rooms and people" }).click();
  await room.waitFor();
  await ada.keyboard.press("Escape");
  await room.waitFor({ state: "hidden" });
  await ada.getByRole("button", { name: "Rooms and people" }).click();
  await room.waitFor();
  await ada.getByRole("log").click({ position: { x: 380, y: 10 } });
  await room.waitFor({ state: "hidden" });
  await ada.getByRole("button", { name: "Rooms and people" }).click();
  await room.click();
  await ada.getByRole("heading", { name: "#kitchen" }).waitFor();
  await room.waitFor({ state: "hidden" });
  await say(ada, "On a narrow window a message wraps, and nothing is wider than the window.");
  await marks(ada, ["delivered"]);
  assert.equal(await ada.evaluate(() => document.documentElement.scrollWidth), 390);
  await ada.screenshot({ path: join(LOGS, "chat-narrow.png") });
});

test("screenshots: the form, and a talk on a light and a dark page", async (t) => {
  const server = await serve(t);
  const viewport = { width: 1000, height: 760 };
  const ada = await enter(t, server, "Ada", { transport: "websocket", viewport });
  const grace = await enter(t, server, "Grace", { transport: "polling", viewport, colorScheme: "dark" });
  await enter(t, server, "Linus", { room: "kitchen" });
  const visitor = await open(t, server);
  await shows(visitor, ".card .status", ["Connected over WebSocket"]);
  await visitor.screenshot({ path: join(LOGS, "chat-form.png") });

  await say(ada, "The counts from the weir came in this morning.");
  await say(ada, "Twelve thousand since Sunday, the best week in years!");
  await texts(grace, ["The counts from the weir came in this morning.", "Twelve thousand since Sunday, the best week in years!"]);
  await say(grace, "That is wonderful. Are they past the falls yet?");
  await shows(ada, ".message:not(.own) .text", ["That is wonderful. Are they past the falls yet?"]);
  await say(ada, "Since yesterday. I took this on the way home:");
  const size = { width: 640, height: 360 };
  await choose(ada, "river.png", "image/png", await picture(ada, size));
  for (const page of [ada, grace]) await image(page, size);
  await say(grace, "What an evening.");
  await shows(ada, ".message:not(.own) .text", ["That is wonderful. Are they past the falls yet?", "What an evening."]);
  await marks(ada, ["delivered", "delivered", "delivered", "delivered"]);
  await marks(grace, ["delivered", "delivered"]);
  await grace.getByLabel("Message", { exact: true }).pressSequentially("I wish I");
  await typing(ada, "Grace is typing…");
  await ada.screenshot({ path: join(LOGS, "chat-light.png") });
  await grace.screenshot({ path: join(LOGS, "chat-dark.png") });
});
