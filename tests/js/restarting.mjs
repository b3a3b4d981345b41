// A server that is killed, and started again: node restarting.mjs PORT [held]
// Prints `listening on 127.0.0.1:P`, and each event `n` as `NAMESPACE NUMBER`. The number behind the last hyphen of a
// namespace says how many of its events are acknowledged if some are to be `held`: not the last of these, nor those behind.

import { writeSync } from "node:fs";

import { Server } from "socket.io";

const [port, held] = process.argv.slice(2);
const io = new Server(Number(port), { serveClient: false });
const received = new Map();
/** Written when this returns: whoever is killed has said it. */
const say = (line) => writeSync(1, `${line}\n`);

io.of(/^\/\d+-\d+-\d+$/).on("connection", (socket) => {
  const { name } = socket.nsp;
  const limit = held ? Number(name.split("-").at(-1)) : Infinity;
  socket.on("n", (number, ack) => {
    const count = (received.get(name) ?? 0) + 1;
    received.set(name, count);
    say(`${name} ${number}`);
    if (count < limit) ack(number);
  });
});
io.httpServer.once("listening", () => say(`listening on 127.0.0.1:${io.httpServer.address().port}`));
process.stdin.resume().on("end", () => process.exit());
