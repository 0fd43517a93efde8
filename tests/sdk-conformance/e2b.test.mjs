// E2B's own SDK, of before and after the second version of its create call, against the emulator.
// E2B_API_KEY, E2B_API_URL and E2B_SANDBOX_URL lead to it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

for (const name of ['e2b', 'e2b-v1']) {
  const { Sandbox, AuthenticationError, CommandExitError, NotFoundError } = await import(name)

  describe(name, () => {
    let sandbox

    before(async () => {
      sandbox = await Sandbox.create('base', { metadata: { suite: name }, envs: { GREETING: 'hi there' }, timeoutMs: 120_000 })
    })

    after(async () => {
      await sandbox?.kill()
    })

    test('runs a command', async () => {
      const result = await sandbox.commands.run('echo "$GREETING"; echo oops >&2')
      assert.deepEqual([result.exitCode, result.stdout, result.stderr], [0, 'hi there\n', 'oops\n'])
    })

    test('tells an exit code', async () => {
      await assert.rejects(sandbox.commands.run('exit 7'), (error) => error instanceof CommandExitError && error.exitCode === 7)
    })

    test('echoes a mebibyte of input exactly', async () => {
      const text = randomBytes(768 * 1024).toString('base64')
      assert.equal(text.length, 1024 * 1024)
      let echo = ''
      const cat = await sandbox.commands.run('cat', { background: true, stdin: true, timeoutMs: 0, onStdout: (data) => { echo += data } })
      await sandbox.commands.sendStdin(cat.pid, text)
      await sandbox.commands.closeStdin(cat.pid)
      const result = await cat.wait()
      assert.equal(result.exitCode, 0)
      assert.ok(echo === text, `${echo.length} characters came back`)
    })

    test('lists and kills a process', async () => {
      const sleep = await sandbox.commands.run('sleep 600', { background: true, timeoutMs: 0 })
      assert.ok((await sandbox.commands.list()).some((process) => process.pid === sleep.pid))
      assert.equal(await sandbox.commands.kill(sleep.pid), true)
      await assert.rejects(sleep.wait(), CommandExitError)
      assert.ok(!(await sandbox.commands.list()).some((process) => process.pid === sleep.pid))
    })

    test('attaches to a process that runs', async () => {
      const cat = await sandbox.commands.run('cat', { background: true, stdin: true, timeoutMs: 0 })
      await cat.disconnect()
      let echo = ''
      const again = await sandbox.commands.connect(cat.pid, { timeoutMs: 0, onStdout: (data) => { echo += data } })
      await sandbox.commands.sendStdin(cat.pid, 'after\n')
      await sandbox.commands.closeStdin(cat.pid)
      await again.wait()
      assert.equal(echo, 'after\n')
    })

    test('ends a process at its deadline', async () => {
      await assert.rejects(sandbox.commands.run('sleep 600', { timeoutMs: 1000 }))
    })

    test('refuses a directory that is not there', async () => {
      await assert.rejects(sandbox.commands.run('true', { cwd: '/no/such/directory' }), /does not exist/)
    })

    test('writes and reads files', async () => {
      const bytes = randomBytes(300_000)
      await sandbox.files.write('some/where/data.bin', new Uint8Array(bytes).buffer)
      const read = await sandbox.files.read('some/where/data.bin', { format: 'bytes' })
      assert.ok(Buffer.from(read).equals(bytes))
      await sandbox.files.write('text.txt', 'h\u00e9')
      assert.equal(await sandbox.files.read('text.txt'), 'h\u00e9')
      assert.equal((await sandbox.commands.run('cat text.txt')).stdout, 'h\u00e9')
    })

    test('does not find a file', async () => {
      await assert.rejects(sandbox.files.read('absent.txt'), NotFoundError)
    })

    test('is running, is listed, and its time can be set', async () => {
      assert.equal(await sandbox.isRunning(), true)
      await sandbox.setTimeout(60_000)
      const pages = Sandbox.list({ query: { metadata: { suite: name } } })
      const found = []
      while (pages.hasNext) {
        found.push(...await pages.nextItems())
      }
      assert.deepEqual(found.map((each) => each.sandboxId), [sandbox.sandboxId])
      const again = await Sandbox.connect(sandbox.sandboxId)
      assert.equal((await again.commands.run('echo again')).stdout, 'again\n')
    })

    test('is gone when it is killed', async () => {
      const other = await Sandbox.create('base')
      assert.equal(await other.kill(), true)
      assert.equal(await other.kill(), false)
      assert.equal(await other.isRunning(), false)
      await assert.rejects(other.commands.run('true'))
    })

    test('refuses a wrong key and an unknown template', async () => {
      await assert.rejects(Sandbox.create('base', { apiKey: 'e2b_badbadbad' }), AuthenticationError)
      await assert.rejects(Sandbox.create('absent'), /absent/)
    })
  })
}
