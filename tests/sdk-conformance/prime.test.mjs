// Prime Intellect has no SDK on npm. What its Python SDK speaks to virtual machines is Connect RPC in the binary form, so the official Connect
// client drives the emulator here. PRIME_API_KEY and PRIME_API_BASE_URL lead to it; PRIME_DESCRIPTOR is the service's descriptor in base64.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'

const api = `${process.env.PRIME_API_BASE_URL}/api/v1`
const headers = { authorization: `Bearer ${process.env.PRIME_API_KEY}`, 'content-type': 'application/json' }
const descriptor = fromBinary(FileDescriptorProtoSchema, Buffer.from(process.env.PRIME_DESCRIPTOR, 'base64'))
const service = createFileRegistry(descriptor, () => undefined).getService('command_session.CommandSession')

async function call(method, path, body, status = 200) {
  const response = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) })
  assert.equal(response.status, status)
  return response.json()
}

function connect(auth, token = auth.token) {
  return createClient(service, createConnectTransport({
    baseUrl: `${auth.gateway_url}/${auth.user_ns}/${auth.job_id}`,
    httpVersion: '1.1',
    useBinaryFormat: true,
    interceptors: [(next) => (request) => {
      request.header.set('authorization', `Bearer ${token}`)
      return next(request)
    }],
  }))
}

async function collect(stream, onStart = () => {}) {
  const chunks = { stdout: [], stderr: [] }
  for await (const { event } of stream) {
    const { case: kind, value } = event.event
    if (kind === 'start') {
      await onStart(value.pid)
    } else if (kind === 'data') {
      chunks[value.output.case].push(Buffer.from(value.output.value))
    } else if (kind === 'end') {
      return { ...value, stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr) }
    }
  }
  assert.fail('the stream ended without the end of the process')
}

describe('prime', () => {
  let id, auth, client

  const start = (command, more = {}) => client.start({ command: { cmd: '/bin/bash', args: ['-c', command] }, stdin: false, sessionUuid: randomUUID(), ...more })

  before(async () => {
    const created = await call('POST', '/sandbox', { name: 'sdk', docker_image: 'python:3.12-slim', vm: true, timeout_minutes: 5, labels: ['sdk'], environment_vars: { GREETING: 'hi there' } })
    id = created.id
    for (let polls = 0; (await call('GET', `/sandbox/${id}`)).status !== 'RUNNING'; polls++) {
      assert.ok(polls < 50)
    }
    auth = await call('POST', `/sandbox/${id}/auth`)
    client = connect(auth)
  })

  after(() => call('DELETE', `/sandbox/${id}`))

  test('runs a command', async () => {
    const end = await collect(start('echo "$GREETING"; echo oops >&2'))
    assert.deepEqual([end.exitCode, end.exited, end.stdout.toString(), end.stderr.toString()], [0, true, 'hi there\n', 'oops\n'])
    assert.equal((await collect(start('exit 7'))).exitCode, 7)
  })

  test('echoes a mebibyte of input exactly, also when a piece is sent twice', async () => {
    const bytes = randomBytes(1024 * 1024)
    const end = await collect(start('head -c 1048576', { stdin: true }), async (pid) => {
      for (let offset = 0; offset < bytes.length; offset += 256 * 1024) {
        const input = { session: { selector: { case: 'pid', value: pid } }, input: { input: { case: 'stdin', value: bytes.subarray(offset, offset + 256 * 1024) } }, inputUuid: randomUUID() }
        await client.sendInput(input)
        if (offset === 0) {
          await client.sendInput(input)
        }
      }
    })
    assert.ok(end.stdout.equals(bytes), `${end.stdout.length} bytes came back`)
  })

  test('attaches by a start with the same id', async () => {
    const sessionUuid = randomUUID()
    let first
    const started = await collect(start('echo $$ >pid; read line; echo "$line"', { stdin: true, sessionUuid }), async (pid) => {
      first = pid
      const again = collect(start('unused', { stdin: true, sessionUuid }), async (second) => {
        assert.equal(second, first)
        await client.sendInput({ session: { selector: { case: 'sessionUuid', value: sessionUuid } }, input: { input: { case: 'stdin', value: Buffer.from('line\n') } }, inputUuid: randomUUID() })
      })
      assert.equal((await again).stdout.toString(), 'line\n')
    })
    assert.equal(started.stdout.toString(), 'line\n')
    const late = await collect(client.connect({ session: { selector: { case: 'pid', value: first } } }))
    assert.equal(late.exitCode, 0)
  })

  test('lists and kills a process', async () => {
    const end = await collect(start('exec sleep 600'), async (pid) => {
      assert.ok((await client.list({})).sessions.some((session) => session.pid === pid))
      await client.sendSignal({ session: { selector: { case: 'pid', value: pid } }, signal: 9 })
    })
    assert.deepEqual([end.exitCode, end.exited, end.status], [-1, false, 'signal: killed'])
  })

  test('writes and reads files, and runs commands by the gateway', async () => {
    const base = `${auth.gateway_url}/${auth.user_ns}/${auth.job_id}`
    const authorization = `Bearer ${auth.token}`
    const bytes = randomBytes(300_000)
    const form = new FormData()
    form.set('file', new Blob([bytes]), 'data.bin')
    const uploaded = await (await fetch(`${base}/upload?path=/tmp/data.bin&sandbox_id=${id}`, { method: 'POST', headers: { authorization }, body: form })).json()
    assert.deepEqual([uploaded.success, uploaded.size], [true, bytes.length])
    const downloaded = await fetch(`${base}/download?path=/tmp/data.bin&sandbox_id=${id}`, { headers: { authorization } })
    assert.ok(Buffer.from(await downloaded.arrayBuffer()).equals(bytes))
    const exec = await fetch(`${base}/exec`, { method: 'POST', headers: { ...headers, authorization }, body: JSON.stringify({ command: 'echo out; echo err >&2; exit 3', sandbox_id: id, timeout: 30 }) })
    assert.deepEqual(await exec.json(), { stdout: 'out\n', stderr: 'err\n', exit_code: 3 })
    assert.equal((await fetch(`${base}/download?path=/tmp/absent&sandbox_id=${id}`, { headers: { authorization } })).status, 404)
  })

  test('refuses a wrong token, an unknown process and a wrong key', async () => {
    await assert.rejects(collect(connect(auth, 'wrong').start({ command: { cmd: 'true' } })), (error) => error instanceof ConnectError && error.code === Code.Unauthenticated)
    await assert.rejects(collect(client.connect({ session: { selector: { case: 'pid', value: 999999 } } })), (error) => ConnectError.from(error).code === Code.NotFound)
    assert.equal((await fetch(`${api}/sandbox/${id}`, { headers: { authorization: 'Bearer wrong' } })).status, 401)
    await call('GET', '/sandbox/absent', undefined, 404)
  })

  test('is listed by its label', async () => {
    assert.deepEqual((await call('GET', '/sandbox?labels=sdk')).sandboxes.map((sandbox) => sandbox.id), [id])
  })
})
