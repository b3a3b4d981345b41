// The commands of README.md's "Try it" do what it says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { PATIENCE, startServer } from "./support.mjs";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");

test("the server and the client of the README talk to each other", { timeout: 15 * PATIENCE }, async (t) => {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const [serve] = /^cargo run .* --example blocking --(?= --port 3000$)/m.exec(readme);
  const [client] = /^node -e .*:3000.*$/m.exec(readme);

  // Building takes longer than starting may.
  const build = serve.replace("cargo run", "cargo build --quiet").replace(/ --$/, "");
  await run("/bin/sh", ["-c", build], { cwd: ROOT });
  process.env.README_CMD = `env -C '${ROOT}' ${serve}`;
  const server = await startServer("README_CMD");
  t.after(() => server.stop());
  const command = client.replace(":3000", `:${server.port}`);
  const { stdout } = await run("/bin/sh", ["-c", command], { cwd: import.meta.dirname, timeout: PATIENCE });
  assert.equal(stdout, "hello { from: 'JavaScript' }\n");
});
