// Modal's own SDK against the emulated Modal, whose address and token come in MODAL_SERVER_URL, MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { ModalClient } from "modal";

const client = new ModalClient();
let app, image, sandbox;

before(async () => {
  app = await client.apps.fromName("sdk-conformance", { createIfMissing: true });
  image = client.images.fromRegistry("python:3.13-slim");
  sandbox = await client.sandboxes.create(app, image, { timeoutMs: 600_000, blockNetwork: true, tags: { who: "sdk" } });
});

after(async () => {
  await sandbox.terminate();
  client.close();
});

test("a command's output and its exit code", async () => {
  const command = await sandbox.exec(["sh", "-c", "echo out; echo err >&2; exit 4"]);
  assert.equal(await command.stdout.readText(), "out\n");
  assert.equal(await command.stderr.readText(), "err\n");
  assert.equal(await command.wait(), 4);
});

test("the variables and the directory of a command", async () => {
  const command = await sandbox.exec(["sh", "-c", "echo $GREETING; pwd"], { env: { GREETING: "hi there" }, workdir: "/" });
  assert.equal(await command.stdout.readText(), "hi there\n/\n");
});

test("1 MiB through standard input and output, byte-exact", async () => {
  const bytes = randomBytes(1 << 20);
  const command = await sandbox.exec(["cat"], { mode: "binary" });
  const reading = command.stdout.readBytes();
  for (let start = 0; start < bytes.length; start += 100_000) {
    await command.stdin.writeBytes(bytes.subarray(start, start + 100_000));
  }
  await command.closeStdin();
  assert.equal(await command.wait(), 0);
  assert.ok(Buffer.from(await reading).equals(bytes));
});

test("files", async () => {
  const bytes = randomBytes(300_000);
  const path = `${await home()}/file.bin`;
  await sandbox.filesystem.writeBytes(bytes, path);
  assert.ok(Buffer.from(await sandbox.filesystem.readBytes(path)).equals(bytes));
  await assert.rejects(() => sandbox.filesystem.readBytes(`${path}.absent`));
});

test("the list of sandboxes by tag, over more than one page", async () => {
  const others = [];
  for (let count = 0; count < 3; count++) {
    others.push(await client.sandboxes.create(app, image, { tags: { who: "others" } }));
  }
  assert.deepEqual(await listed({ who: "sdk" }), [sandbox.sandboxId]);
  assert.deepEqual(await listed({ who: "others" }), others.map((other) => other.sandboxId).sort());
  await Promise.all(others.map((other) => other.terminate()));
  assert.deepEqual(await listed({ who: "others" }), []);
});

test("the end of a sandbox", async () => {
  const other = await client.sandboxes.create(app, image);
  assert.equal(await other.poll(), null);
  await other.terminate();
  assert.equal(await other.poll(), 137);
  assert.equal(await other.wait(), 137);
});

test("a sandbox that is not there", async () => {
  await assert.rejects(async () => (await client.sandboxes.fromId("sb-0123456789abcdefghijklmnop")).exec(["true"]), /NOT_FOUND/);
});

test("a wrong token", async () => {
  const stranger = new ModalClient({ tokenId: "ak-wrong", tokenSecret: "as-wrong" });
  await assert.rejects(() => stranger.apps.fromName("sdk-conformance", { createIfMissing: true }), /UNAUTHENTICATED|invalid/);
  stranger.close();
});

async function home() {
  const command = await sandbox.exec(["sh", "-c", "printf %s \"$HOME\""]);
  return await command.stdout.readText();
}

async function listed(tags) {
  const ids = [];
  for await (const found of client.sandboxes.list({ appId: app.appId, tags })) {
    ids.push(found.sandboxId);
  }
  return ids.sort();
}
