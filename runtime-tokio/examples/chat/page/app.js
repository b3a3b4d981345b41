// The page's side of the chat. The server's side is main.rs: it says what it makes of each event.
"use strict";

const MAX_IMAGE = 900_000;
const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/** How long the server may take to acknowledge, in milliseconds: an image takes its time on a slow line. */
const PATIENCE = 30_000;
/** How long somebody who stops typing still counts as typing. */
const TYPING = 3_000;
/** The largest size of an image in the log, in pixels. */
const IMAGE_BOX = { width: 400, height: 300 };
/** How many messages stay on the page. */
const KEPT = 500;

const $ = (id) => document.getElementById(id);
const params = new URLSearchParams(location.search);

// `?transport=polling` and `?transport=websocket` stay on that transport; else the client begins with polling and
// upgrades.
const transports = ["polling", "websocket"].filter((name) => [null, name].includes(params.get("transport")));
// With its key, a page whose connection broke gets its name back before the server has noticed.
const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const socket = io({ auth: { key }, transports });

/** Our `{ name, room }` once the server has let us in. It stays while we reconnect. */
let me = null;
/** Whether the server of the present connection has let us in. */
let joined = false;
/** The names of who is in our room. */
let users = [];
/** Those of them who are typing. */
const typing = new Set();
/** Runs while we are typing ourselves. */
let typingTimer = null;

// ---- Speaking with the server ----

/** Emits and gives the acknowledgement, `{ error }` if none came. */
async function ask(event, ...args) {
  try {
    return await socket.timeout(PATIENCE).emitWithAck(event, ...args);
  } catch {
    return { error: "The server did not answer. Please try again." };
  }
}

/** Enters a room, or moves to it. Gives what the server objects to. */
async function join(name, room) {
  const answer = await ask("join", { name, room });
  if (answer.error) return answer.error;
  const moved = me?.room !== answer.room;
  me = { name: answer.name, room: answer.room };
  joined = true;
  if (moved) enter();
  showUsers(answer.users);
  showRooms(answer.rooms);
  showReadiness();
  return null;
}

socket.on("connect", async () => {
  showStatus();
  socket.io.engine.on("upgrade", showStatus);
  if (!me) return;
  const error = await join(me.name, me.room);
  // Without an answer, the connection has broken again: the next one comes here too.
  if (error && socket.connected) leave(error);
});

socket.on("disconnect", (reason) => {
  joined = false;
  stopTyping();
  typing.clear();
  showTyping();
  showReadiness();
  showStatus();
  // A server that says goodbye is one that restarts. The client comes back by itself after any other reason.
  if (reason === "io server disconnect") socket.connect();
});

socket.on("connect_error", showStatus);
socket.on("message", (message) => showMessage({ ...message, content: textOf(message.text) }));
socket.on("image", (image, data) => showMessage({ ...image, content: imageOf(image, data) }));
socket.on("users", showUsers);
socket.on("rooms", showRooms);
socket.on("typing", ({ from, typing: on }) => {
  if (on) typing.add(from);
  else typing.delete(from);
  showTyping();
});

function showStatus() {
  const names = { polling: "long-polling", websocket: "WebSocket" };
  let [state, text] = ["waiting", me ? "Connection lost, trying again…" : "Connecting…"];
  if (socket.connected) [state, text] = ["connected", `Connected over ${names[socket.io.engine.transport.name]}`];
  for (const line of document.querySelectorAll(".status")) {
    line.dataset.state = state;
    line.textContent = text;
  }
}

// ---- Joining, and the rooms ----

/** Shows the room that we have just come into. */
function enter() {
  $("lobby").hidden = true;
  $("chat").hidden = false;
  closeSide();
  for (const message of [...$("log").children]) discard(message);
  typing.clear();
  users = [];
  $("title").textContent = `#${me.room}`;
  document.title = `#${me.room} · Sockeye chat`;
  $("text").placeholder = `Message #${me.room}`;
  showEvent(`This is #${me.room}. What is said is shown to who is here, and kept nowhere.`);
  complain("");
  // The address of the room, to be passed on.
  params.set("room", me.room);
  history.replaceState(null, "", `?${params}`);
  $("text").focus();
}

/** Back to the form, with what the server objects to. */
function leave(error) {
  $("name").value = me.name;
  $("room").value = me.room;
  me = null;
  $("chat").hidden = true;
  $("lobby").hidden = false;
  document.title = "Sockeye chat";
  $("join-error").textContent = error;
  $("name").focus();
}

$("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("join").querySelector("button");
  button.disabled = true;
  $("join-error").textContent = "";
  const error = await join($("name").value, $("room").value);
  button.disabled = false;
  if (!error) return;
  $("join-error").textContent = error;
  $("name").focus();
});

async function move(room) {
  if (!joined || room === me.room) return;
  stopTyping();
  const error = await join(me.name, room);
  if (error) complain(error);
  else $("other-room-name").value = "";
}

$("other-room").addEventListener("submit", (event) => {
  event.preventDefault();
  move($("other-room-name").value);
});

function showRooms(rooms) {
  $("known-rooms").replaceChildren(...rooms.map(({ name }) => Object.assign(element("option"), { value: name })));
  $("rooms").replaceChildren(
    ...rooms.map(({ name, users }) => {
      const button = element("button", "room", element("span", "room-name", `#${name}`), element("span", "number", users));
      button.type = "button";
      button.setAttribute("aria-label", `#${name}, ${users === 1 ? "1 person" : `${users} people`}`);
      if (name === me?.room) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => move(name));
      return element("li", "", button);
    }),
  );
}

function showUsers(names) {
  // The first list of a room says who was there before us.
  if (users.length > 0) {
    for (const name of names) if (!users.includes(name)) showEvent(`${name} joined`);
    for (const name of users) if (!names.includes(name)) showEvent(`${name} left`);
  }
  users = names;
  for (const name of typing) if (!names.includes(name)) typing.delete(name);
  showTyping();
  $("count").textContent = names.length;
  $("people").replaceChildren(
    ...names.map((name) => {
      const person = element("li", "person", avatarOf(name), element("span", "person-name", name));
      if (name === me.name) person.append(element("span", "you", "you"));
      return person;
    }),
  );
}

// On a narrow window, rooms and people are behind a button.
function closeSide() {
  document.body.classList.remove("side-open");
  $("menu").setAttribute("aria-expanded", "false");
}

$("menu").addEventListener("click", () => {
  const open = document.body.classList.toggle("side-open");
  $("menu").setAttribute("aria-expanded", String(open));
});

$("talk").addEventListener("click", (event) => $("menu").contains(event.target) || closeSide());
document.addEventListener("keydown", (event) => event.key === "Escape" && closeSide());

// ---- Showing messages ----

/** An element with a class and children, which are shown as text, never as HTML. */
function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** The first letter of a name, in a colour of its own. */
function avatarOf(name) {
  const avatar = element("span", "avatar", [...name][0].toUpperCase());
  avatar.setAttribute("aria-hidden", "true");
  const hash = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  avatar.style.setProperty("--hue", hash);
  return avatar;
}

function textOf(text) {
  return element("p", "text", text);
}

function imageOf({ name, type }, data) {
  const url = URL.createObjectURL(new Blob([data], { type }));
  const image = Object.assign(element("img"), { src: url, alt: name });
  const link = Object.assign(element("a", "", image), { href: url, target: "_blank", title: "Open in full size" });
  const figure = element("figure", "", link, element("figcaption", "", name));
  image.addEventListener("load", () => {
    const scale = Math.min(1, IMAGE_BOX.width / image.naturalWidth, IMAGE_BOX.height / image.naturalHeight);
    image.width = image.naturalWidth * scale;
    image.height = image.naturalHeight * scale;
    follow(figure);
  });
  image.addEventListener("error", () => {
    URL.revokeObjectURL(url);
    link.replaceWith(element("p", "error", "This image cannot be shown."));
  });
  return figure;
}

/** Appends a message to the log; one of our own without a time is on its way. */
function showMessage({ from, time, content }) {
  const own = from === me.name;
  if (typing.delete(from)) showTyping();
  const message = element("article", own ? "message own" : "message");
  message.dataset.from = from;
  if ($("log").lastElementChild?.dataset.from === from) message.classList.add("follows");
  const foot = element("p", "foot", element("time"), ...(own ? [element("span", "mark")] : []));
  const bubble = element("div", "bubble", content, foot);
  message.append(avatarOf(from), element("p", "from", own ? "You" : from), bubble);
  if (time) showTime(message, time);
  append(message, own);
  return message;
}

/** Appends a line that nobody wrote. */
function showEvent(text) {
  append(element("p", "event", text), false);
}

/** Appends to the log, and keeps the end of it in view for who was reading there. */
function append(entry, always) {
  const log = $("log");
  entry.dataset.end = String(always || log.scrollHeight - log.scrollTop - log.clientHeight < 80);
  log.append(entry);
  if (log.children.length > KEPT) discard(log.firstElementChild);
  follow(entry);
}

/** Scrolls to the end again after `content`, which was appended in view of it, has grown. */
function follow(content) {
  if (content.closest("[data-end]")?.dataset.end === "true") $("log").scrollTop = $("log").scrollHeight;
}

/** Removes an entry of the log; its image's memory is freed. */
function discard(entry) {
  for (const image of entry.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  entry.remove();
}

function showTime(message, milliseconds) {
  const date = new Date(milliseconds);
  const time = message.querySelector("time");
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function complain(text) {
  $("notice").textContent = text;
}

// ---- Sending ----

/** Shows our message at once, and marks it when the server has it. */
function send(content, event, ...args) {
  complain("");
  deliver(showMessage({ from: me.name, content }), event, ...args);
}

async function deliver(message, event, ...args) {
  mark(message, "sending", "sending…");
  const answer = await ask(event, ...args);
  if (!answer.error) {
    message.dataset.id = answer.id;
    showTime(message, answer.time);
    return mark(message, "delivered", "delivered");
  }
  mark(message, "failed", "not delivered");
  if (message.isConnected) complain(answer.error);
  const again = element("button", "again", "Try again");
  again.type = "button";
  again.addEventListener("click", () => {
    if (!joined) return;
    complain("");
    again.remove();
    deliver(message, event, ...args);
  });
  message.querySelector(".foot").append(again);
}

function mark(message, state, text) {
  const mark = message.querySelector(".mark");
  mark.dataset.state = state;
  mark.title = text;
  mark.replaceChildren(element("span", "", text));
}

function sendText() {
  const text = $("text").value.trim();
  if (!joined || !text) return;
  $("text").value = "";
  fitText();
  send(textOf(text), "message", text);
  // The message itself tells the others that we have stopped typing.
  clearTimeout(typingTimer);
  typingTimer = null;
}

async function sendImage(file) {
  if (!joined) return;
  if (!IMAGE_TYPES.includes(file.type)) {
    return complain(`${file.name} is not sent: it is no PNG, JPEG, GIF or WebP image.`);
  }
  if (file.size > MAX_IMAGE) {
    const kilobytes = Math.ceil(file.size / 1_000);
    return complain(`${file.name} is not sent: it has ${kilobytes} KB, and an image may have ${MAX_IMAGE / 1_000} KB.`);
  }
  const info = { name: file.name.slice(-100), type: file.type };
  const data = await file.arrayBuffer();
  send(imageOf(info, data), "image", info, data);
}

function sendImages(files) {
  for (const file of files) sendImage(file);
}

function showReadiness() {
  for (const id of ["send", "attach"]) $(id).disabled = !joined;
}

function fitText() {
  const { style } = $("text");
  style.height = "auto";
  style.height = `${$("text").scrollHeight}px`;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendText();
});

$("text").addEventListener("keydown", (event) => {
  // While a word is being composed, Enter belongs to the input method.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendText();
});

$("attach").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  sendImages($("file").files);
  // So that the same file can be chosen again.
  $("file").value = "";
});

$("text").addEventListener("paste", (event) => {
  if (event.clipboardData.files.length === 0) return;
  event.preventDefault();
  sendImages(event.clipboardData.files);
});

$("talk").addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  $("talk").classList.add("dropping");
});
$("talk").addEventListener("dragleave", (event) => {
  if (!$("talk").contains(event.relatedTarget)) $("talk").classList.remove("dropping");
});
$("talk").addEventListener("drop", (event) => {
  event.preventDefault();
  $("talk").classList.remove("dropping");
  sendImages(event.dataTransfer.files);
});

// ---- Who is typing ----

function stopTyping() {
  if (typingTimer === null) return;
  clearTimeout(typingTimer);
  typingTimer = null;
  if (joined) socket.emit("typing", false);
}

$("text").addEventListener("input", () => {
  fitText();
  complain("");
  if (!joined) return;
  if (!$("text").value) return stopTyping();
  if (typingTimer === null) socket.emit("typing", true);
  clearTimeout(typingTimer);
  typingTimer = setTimeout(stopTyping, TYPING);
});

function showTyping() {
  const names = [...typing];
  let text = "";
  if (names.length === 1) text = `${names[0]} is typing…`;
  else if (names.length <= 3 && names.length > 0) text = `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are typing…`;
  else if (names.length > 3) text = `${names.length} people are typing…`;
  $("typing").textContent = text;
}

// ---- Beginning and end ----

// A page that goes away says so. Over polling the server would else miss it no sooner than its heartbeat: so it gets
// the packet that closes an Engine.IO session.
addEventListener("pagehide", () => {
  const { id, transport } = socket.io.engine;
  if (transport.name !== "polling") return;
  navigator.sendBeacon(`/socket.io/?EIO=4&transport=polling&sid=${id}`, "1");
});

showStatus();
showReadiness();
$("name").value = params.get("name") ?? "";
$("room").value = params.get("room") ?? "lobby";
// An address with a name goes in at once.
if (params.get("name")) $("join").requestSubmit();
