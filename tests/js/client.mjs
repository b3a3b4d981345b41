// What the tests with the official client share: how it connects over each transport, and how values compare.

import assert from "node:assert/strict";

import { io } from "socket.io-client";

import { next } from "./support.mjs";

/** The transports that the client may use. */
export const MODES = [
  { name: "polling only", transports: ["polling"] },
  { name: "WebSocket only", transports: ["websocket"] },
  { name: "upgraded", transports: ["polling", "websocket"] },
];

/**
 * How clients connect in this mode: `dial` gives one that has begun to and ends with the test `t`, `connect` awaits
 * that it is connected and, where the mode says so, upgraded. `base` gives the server's URL.
 */
export function dialler(mode, base) {
  const websocket = mode.transports.at(-1) === "websocket";
  const upgrading = websocket && mode.transports.length > 1;

  function dial(t, { nsp = "/", url = base(), ...options } = {}) {
    const socket = io(url + nsp, { forceNew: true, reconnection: false, transports: mode.transports, ...options });
    t.after(() => socket.disconnect());
    return socket;
  }

  async function opened(socket) {
    const refused = next(socket, "connect_error").then(([error]) => assert.fail(`refused: ${error.message}`));
    if (!socket.connected) await Promise.race([next(socket, "connect"), refused]);
    refused.catch(() => {});
    if (upgrading) await upgraded(socket);
    return socket;
  }

  return { websocket, upgrading, dial, opened, connect: (t, options) => opened(dial(t, options)) };
}

/** Waits until the connection of `socket` is on WebSocket. */
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") await next(engine, "upgrade");
}

/** A second namespace, connected, on the connection of `socket`. */
export async function beside(t, socket, nsp, options) {
  const other = socket.io.socket(nsp, options);
  t.after(() => other.disconnect());
  await next(other, "connect");
  return other;
}

/** `value` with every kind of binary written as `{ binary: hex }`, to compare what differs only in type. */
export function plain(value) {
  if (value instanceof ArrayBuffer) return { binary: Buffer.from(value).toString("hex") };
  if (ArrayBuffer.isView(value)) {
    return { binary: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex") };
  }
  if (value instanceof Date) return value.toJSON();
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The opposite of `plain`. */
export function unplain(value) {
  if (Array.isArray(value)) return value.map(unplain);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.binary === "string") return Buffer.from(value.binary, "hex");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unplain(item)]));
}
