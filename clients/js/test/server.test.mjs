// How a stream manager is found, installed, started and ended.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { StreamManager } from "../dist/esm/index.js";
import { findCommand } from "../dist/esm/server/find.js";
import { obtainCommand } from "../dist/esm/server/install.js";

const INDEX = new URL("../dist/esm/index.js", import.meta.url).href;
const SMPROXY = findCommand();
const folder = mkdtempSync(join(tmpdir(), "js-server-"));
after(() => rmSync(folder, { recursive: true }));

/** Make a file that may be run. */
function program(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Do something with other environment variables. */
async function withEnvironment(changes, work) {
  const before = { ...process.env };
  Object.assign(process.env, changes);
  for (const [name, value] of Object.entries(changes)) if (value === undefined) delete process.env[name];
  try {
    return await work();
  } finally {
    process.env = before;
  }
}

/** Wait until nothing listens on a port any more. */
async function gone(port) {
  for (;;) {
    try {
      await fetch(`http://localhost:${port}/healthz`);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Run a script that starts a stream manager and says its port; return both. */
async function runner(end) {
  const script = `
    import { StreamManager } from ${JSON.stringify(INDEX)};
    const manager = await StreamManager.start();
    console.log(manager.port);
    ${end}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  return { child, port: Number(line) };
}

test("it ends with its process, also when that is killed", async () => {
  const { child, port } = await runner("setInterval(() => {}, 1000)");
  assert.ok((await fetch(`http://localhost:${port}/healthz`)).ok);
  child.kill("SIGKILL");
  await gone(port);
});

test("one that nobody stops does not keep its process from ending", async () => {
  const temporary = mkdtempSync(join(folder, "temporary-"));
  const { child, port } = await withEnvironment({ TMPDIR: temporary }, () => runner(""));
  if (child.exitCode === null) await once(child, "exit");
  assert.equal(child.exitCode, 0);
  await gone(port);
  assert.deepEqual(readdirSync(temporary), []);
});

test("what keeps it from starting, or has ended it, is said", async () => {
  await assert.rejects(StreamManager.start({ hookFormat: "nonsense" }), /exit code 2\)\n.*--hook-format: 'nonsense'/s);
  const silent = program(join(folder, "silent"), "exec sleep 60");
  await assert.rejects(StreamManager.start({ command: silent, startTimeout: 100 }), /was not ready within 0.1 s/);
  await assert.rejects(StreamManager.start({ command: join(folder, "nothing") }), /which cannot be run/);
  await assert.rejects(StreamManager.connect("http://localhost:1"), /no stream manager answers at http:\/\/localhost:1 /);
  await assert.rejects(StreamManager.connect("localhost:5080"), /give one such as http:\/\/localhost:5080/);
  const manager = await StreamManager.start();
  await manager.stop();
  await assert.rejects(manager.sessions.list(), /the stream manager was stopped/);
});

test("settings are options, and a stream manager with a token takes the calls of who has it", async (context) => {
  const hookUri = ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"];
  const manager = await StreamManager.start({ adminToken: "a-secret-token", hookUri });
  context.after(() => manager.stop());
  assert.deepEqual(
    (await manager.hooks.sinks.list()).map(({ name }) => name),
    hookUri,
  );
  await assert.rejects(StreamManager.connect(manager.url), /401/);
  const other = await StreamManager.connect(manager.url, { token: "a-secret-token" });
  assert.deepEqual(await other.sessions.list(), []);
  await other.stop();
  assert.deepEqual(await manager.sessions.list(), []);
});

test("smproxy is looked for where it was named, on the PATH, and in a virtual environment above", async () => {
  const venv = program(join(folder, "project/.venv/bin/smproxy"), "");
  const onPath = program(join(folder, "tools/smproxy"), "");
  const below = join(folder, "project/web/tests");
  mkdirSync(below, { recursive: true });
  const bare = { PATH: "/usr/bin:/bin", SMPROXY: undefined, VIRTUAL_ENV: undefined };
  await withEnvironment(bare, () => {
    assert.equal(findCommand(undefined, below), venv);
    assert.equal(findCommand(undefined, folder), undefined);
    assert.equal(findCommand("./tools/smproxy", folder), onPath);
  });
  await withEnvironment({ ...bare, PATH: `${dirname(onPath)}:/bin` }, () =>
    assert.equal(findCommand(undefined, below), onPath),
  );
  await withEnvironment({ ...bare, SMPROXY: venv }, () => assert.equal(findCommand(undefined, folder), venv));
  await withEnvironment({ ...bare, SMPROXY: "/nothing" }, () =>
    assert.throws(() => findCommand(), /the variable SMPROXY names/),
  );
});

test("where it is not, uv or pipx installs it once, into this user's cache", async () => {
  const cache = join(folder, "cache");
  const bare = { SMPROXY: undefined, VIRTUAL_ENV: undefined, XDG_CACHE_HOME: cache };
  for (const [name, bin] of [
    ["uv", "UV_TOOL_BIN_DIR"],
    ["pipx", "PIPX_BIN_DIR"],
  ]) {
    const tools = join(folder, `with-${name}`);
    program(join(tools, name), `echo "$@" >>${tools}/calls; mkdir -p "$${bin}"; ln -s ${SMPROXY} "$${bin}/smproxy"`);
    await withEnvironment({ ...bare, PATH: `${tools}:/usr/bin:/bin` }, async () => {
      const before = process.cwd();
      process.chdir(folder);
      try {
        const found = await Promise.all([1, 2, 3].map(() => obtainCommand(undefined, `made-for-${name}`)));
        assert.equal(new Set(found).size, 1);
        assert.ok(found[0].startsWith(join(cache, "stream-manager-proxy", `made-for-${name}`)));
        const manager = await StreamManager.start({ install: `made-for-${name}` });
        assert.deepEqual(await manager.streams.list(), []);
        await manager.stop();
        await assert.rejects(obtainCommand(undefined, false), /smproxy was not found: neither in SMPROXY nor on the PATH/);
      } finally {
        process.chdir(before);
      }
    });
  }
});

test("an installation that fails, or that nothing can make, says so", async () => {
  const tools = join(folder, "broken");
  program(join(tools, "uv"), "echo no such package >&2; exit 1");
  const bare = { SMPROXY: undefined, VIRTUAL_ENV: undefined, XDG_CACHE_HOME: join(folder, "empty") };
  const before = process.cwd();
  process.chdir(folder);
  try {
    await withEnvironment({ ...bare, PATH: `${tools}:/usr/bin:/bin` }, () =>
      assert.rejects(
        obtainCommand(undefined, "nothing"),
        /uv could not install nothing: no such package\n.*pip install nothing/s,
      ),
    );
    await withEnvironment({ ...bare, PATH: "/usr/bin:/bin" }, () =>
      assert.rejects(obtainCommand(), /pip install stream-manager-proxy==.* or uv or pipx, which do it for you/s),
    );
  } finally {
    process.chdir(before);
  }
});
