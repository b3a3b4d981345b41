// A client that waits to be killed: node victim.mjs URL TRANSPORTS. Prints its id when it is connected for good.

import { io } from "socket.io-client";

import { upgraded } from "./client.mjs";

const [url, transports] = process.argv.slice(2);
const socket = io(url, { transports: transports.split(",") });
socket.on("connect", async () => {
  if (transports.endsWith("websocket")) await upgraded(socket);
  // What the server answers to this comes over the transport that is there to stay. On polling, the next GET is on its
  // way then, and arrives before the POST behind it is answered.
  await socket.emitWithAck("join", []);
  socket.io.engine.once("drain", () => console.log(socket.id));
  socket.emit("unheard");
});
