// The first command of README.md does what it says: what it fetches is fetched, what it compiles is checked, and the program,
// as the other tests have built it, is served.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { PATIENCE, startServer } from "./support.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("the README's command serves the chat with its page", { timeout: 30 * PATIENCE }, async (t) => {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const [, fetch_, command] = /^(npm ci .*) && (cargo run --release -p \S+ --example chat)$/m.exec(readme);
  // It compiles with the features of its own package alone.
  const check = command.replace("cargo run --release", "cargo check --quiet --locked");
  await run("/bin/sh", ["-c", check], { cwd: ROOT });
  // The same program, as the other tests have it: without the minutes that a release takes to link, and with the features of
  // the whole workspace, without which its dependencies would be built once more.
  const serve = "cargo run --locked --profile test --features sockeye-tests/programs --example chat";

  await run("/bin/sh", ["-c", fetch_], { cwd: ROOT });
  // Building takes longer than starting may.
  await run("/bin/sh", ["-c", serve.replace("cargo run", "cargo build --quiet")], { cwd: ROOT });
  process.env.README_CMD = `env -C '${ROOT}' ${serve} --`;
  const server = await startServer("README_CMD");
  t.after(() => server.stop());
  const page = await fetch(`http://127.0.0.1:${server.port}/`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /<script src="\/socket\.io\.min\.js"/);
  const client = await fetch(`http://127.0.0.1:${server.port}/socket.io.min.js`);
  assert.match(await client.text(), /Socket\.IO v4/);
});
