// Daytona's own SDK against the emulated Daytona, whose address and key come in DAYTONA_API_URL and DAYTONA_API_KEY.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { Daytona, DaytonaAuthenticationError, DaytonaNotFoundError } from "@daytonaio/sdk";

const config = { apiKey: process.env.DAYTONA_API_KEY, apiUrl: process.env.DAYTONA_API_URL, target: "us", useDeprecatedPolling: true };
const daytona = new Daytona(config);
let sandbox;

before(async () => {
  sandbox = await daytona.create({ labels: { who: "sdk" }, envVars: { GREETING: "hi there" }, networkBlockAll: true, ephemeral: true });
});

after(async () => {
  await sandbox.delete();
});

test("a sandbox is there, and started", async () => {
  assert.equal(sandbox.state, "started");
  assert.equal((await daytona.get(sandbox.id)).id, sandbox.id);
});

test("a command's output and its exit code", async () => {
  const done = await sandbox.process.executeCommand("echo $GREETING; exit 4");
  assert.equal(done.exitCode, 4);
  assert.equal(done.result, "hi there\n");
});

test("1 MiB through a terminal in raw mode, byte-exact", async () => {
  const bytes = randomBytes(1 << 20);
  const shown = [];
  const terminal = await sandbox.process.createPty({ id: "echo", onData: (data) => void shown.push(Buffer.from(data)) });
  await terminal.waitForConnection();
  // What is marked by two parts that the shell joins is not found in the echo of the command.
  await terminal.sendInput("stty raw -echo; printf '%s%s' RE ADY; exec head -c 1048576\n");
  await until(() => Buffer.concat(shown).includes("READY"));
  const before = Buffer.concat(shown).indexOf("READY") + 5;
  for (let start = 0; start < bytes.length; start += 32_768) {
    await terminal.sendInput(bytes.subarray(start, start + 32_768));
  }
  const result = await terminal.wait();
  assert.equal(result.exitCode, 0);
  assert.ok(Buffer.concat(shown).subarray(before).equals(bytes));
});

test("the exit code of a terminal, and the end of one that is killed", async () => {
  const ending = await sandbox.process.createPty({ id: "ending", onData: () => {} });
  await ending.waitForConnection();
  await ending.sendInput("exit 3\n");
  assert.equal((await ending.wait()).exitCode, 3);

  const killed = await sandbox.process.createPty({ id: "killed", onData: () => {} });
  await killed.waitForConnection();
  const end = killed.wait();
  await killed.kill();
  assert.equal((await end).exitCode, 137);
});

test("files", async () => {
  const home = (await sandbox.process.executeCommand("printf %s \"$HOME\"")).result;
  const bytes = randomBytes(300_000);
  await sandbox.fs.uploadFile(bytes, `${home}/sub/file.bin`);
  assert.ok((await sandbox.fs.downloadFile(`${home}/sub/file.bin`)).equals(bytes));
  assert.equal((await sandbox.fs.getFileDetails(`${home}/sub/file.bin`)).size, bytes.length);
  await sandbox.fs.deleteFile(`${home}/sub/file.bin`);
  await assert.rejects(() => sandbox.fs.downloadFile(`${home}/sub/file.bin`));
});

test("the list of sandboxes by label, over more than one page", async () => {
  const others = [];
  for (let count = 0; count < 3; count++) {
    others.push(await daytona.create({ labels: { who: "others" } }));
  }
  assert.deepEqual(await listed({ who: "sdk" }), [sandbox.id]);
  assert.deepEqual(await listed({ who: "others" }), others.map((other) => other.id).sort());
  await Promise.all(others.map((other) => other.delete()));
  assert.deepEqual(await listed({ who: "others" }), []);
});

test("a sandbox that is not there", async () => {
  await assert.rejects(() => daytona.get("absent"), DaytonaNotFoundError);
});

test("a wrong key", async () => {
  await assert.rejects(() => new Daytona({ ...config, apiKey: "wrong" }).get(sandbox.id), DaytonaAuthenticationError);
});

async function until(condition) {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not come about in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function listed(labels) {
  const ids = [];
  for await (const found of daytona.list({ labels })) {
    ids.push(found.id);
  }
  return ids.sort();
}
