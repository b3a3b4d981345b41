// Load by the official client: the same as `runtime-tokio/examples/shared/bench_client.rs`.

import { parseArgs } from "node:util";

import { io } from "../js/node_modules/socket.io-client/build/esm/index.js";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    scenario: { type: "string", default: "echo" },
    clients: { type: "string", default: "100" },
    window: { type: "string", default: "1" },
    size: { type: "string", default: "16" },
    seconds: { type: "string", default: "3" },
  },
});
const { scenario } = values;
const text = "x".repeat(values.size);
const bytes = Buffer.from(text);
let messages = 0;

if (scenario === "idle") console.log("begin");
const sockets = [];
for (let i = 0; i < values.clients; i++) {
  const socket = io(values.url, { transports: ["websocket"], forceNew: true });
  await new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject));
  socket.on("echo", (data) => {
    messages += 1;
    socket.emit("echo", data);
  });
  socket.on("bin", (data) => {
    messages += 1;
    socket.emit("bin", data);
  });
  sockets.push(socket);
}
const ask = (socket) =>
  socket.emit("ack", text, () => {
    messages += 1;
    ask(socket);
  });
for (const socket of sockets) {
  for (let i = 0; i < values.window; i++) {
    if (scenario === "echo") socket.emit("echo", text);
    else if (scenario === "binary") socket.emit("bin", bytes);
    else if (scenario === "ack") ask(socket);
  }
}
let before = 0;
if (scenario !== "idle") {
  await new Promise((resolve) => setTimeout(resolve, 300));
  before = messages;
  console.log("begin");
}
setTimeout(() => console.log(`end ${messages - before}`), values.seconds * 1000);
process.stdin.resume().on("end", () => process.exit());
