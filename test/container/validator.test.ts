/**
 * The validator's image, built without an engine, joins a running network as one of its validators.
 * Needs root, buildah and debootstrap; says so and skips where they are absent, and must not skip in CI.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chownSync, copyFileSync, existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { Cluster, blockOf } from '#test/e2e/cluster.ts'

const root = path.resolve(import.meta.dirname, '../..')
const BASE = 'localhost/fusion-base'
const IMAGE = 'localhost/fusion-validator'
const UID = 10_001

const isReady = process.getuid?.() === 0 && ['buildah', 'debootstrap'].every((tool) => spawnSync('which', [tool]).status === 0)
if (!isReady && process.env['CI'] === undefined) console.log('container test skipped: it needs root, buildah and debootstrap')

function buildah(args: readonly string[]): string {
  const done = spawnSync('buildah', ['--storage-driver', 'vfs', ...args], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (done.status !== 0) throw new Error(`buildah ${args[0]} failed:\n${done.stderr.slice(-2000)}`)
  return done.stdout.trim()
}

const zImage = z.object({
  OCIv1: z.object({
    config: z.object({
      User: z.string(),
      Entrypoint: z.array(z.string()),
      Volumes: z.record(z.string(), z.unknown()),
      StopSignal: z.string(),
    }),
  }),
  Docker: z.object({ config: z.object({ Healthcheck: z.object({ Test: z.array(z.string()) }).optional() }) }),
})

describe.skipIf(!isReady && process.env['CI'] === undefined)('the validator image', () => {
  let cluster: Cluster
  let container = ''
  let running: ChildProcess | null = null

  beforeAll(async () => {
    const base = spawnSync('bash', ['test/container/base-image.sh', BASE], { cwd: root, encoding: 'utf8' })
    if (base.status !== 0) throw new Error(`the base image was not made:\n${base.stderr.slice(-2000)}`)
    const npmrc = path.join(homedir(), '.npmrc')
    const mount = existsSync(npmrc) ? ['--volume', `${npmrc}:/root/.npmrc:ro`] : []
    // The Docker format keeps the health check, which the OCI format has no field for.
    buildah([
      'build',
      '--format',
      'docker',
      '--isolation',
      'chroot',
      ...mount,
      '--build-arg',
      `BASE_IMAGE=${BASE}`,
      '-f',
      'node/Dockerfile',
      '-t',
      IMAGE,
      '.',
    ])
    cluster = await Cluster.start(4)
    await cluster.reach(0, 'finalized', 1)
  }, 600_000)

  afterAll(async () => {
    running?.kill('SIGKILL')
    if (container !== '') buildah(['rm', container])
    await cluster.stop()
  }, 120_000)

  it('runs without root, keeps its data in a volume, has a health check and ends on SIGTERM', () => {
    const { OCIv1, Docker } = zImage.parse(JSON.parse(buildah(['inspect', '--type', 'image', IMAGE])))

    expect(OCIv1.config.User).toBe(`${UID}:${UID}`)
    expect(Object.keys(OCIv1.config.Volumes)).toEqual(['/data'])
    expect(OCIv1.config.StopSignal).toBe('SIGTERM')
    expect(Docker.config.Healthcheck?.Test).toEqual(['CMD', 'node', 'node/health.ts'])
  })

  it('takes the place of a validator that died, reaches the head and takes part', async () => {
    await cluster.kill(3)
    const volume = path.join(cluster.dataDir, 'validators/3')
    copyFileSync(path.join(cluster.dataDir, 'genesis.json'), path.join(volume, 'genesis.json'))
    spawnSync('chown', ['-R', `${UID}:${UID}`, volume])
    chownSync(volume, UID, UID)
    container = buildah(['from', IMAGE])
    const entrypoint = zImage.parse(JSON.parse(buildah(['inspect', '--type', 'image', IMAGE]))).OCIv1.config.Entrypoint
    const peers = [0, 1, 2].map((index) => `/ip4/127.0.0.1/tcp/${cluster.ports.p2p[index]}`).join(',')
    // A mount of one's own: buildah covers the image's declared volume with an empty one.
    const env = {
      FUSION_DATA_DIR: '/network',
      FUSION_RPC_PORT: String(cluster.ports.rpc[3]),
      FUSION_P2P_PORT: String(cluster.ports.p2p[3]),
      FUSION_PEERS: peers,
    }
    running = spawn(
      'buildah',
      [
        '--storage-driver',
        'vfs',
        'run',
        '--isolation',
        'chroot',
        '--volume',
        `${volume}:/network`,
        ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
        container,
        '--',
        ...entrypoint,
      ],
      { stdio: 'inherit' },
    )
    await waitFor(async () => (await callRpc(cluster.url(3), 'eth_chainId').catch(() => null)) ?? null, {
      what: 'the container',
      timeoutMs: 60_000,
    })
    const head = await blockOf(cluster.url(0), 'latest')
    const reached = await cluster.reach(3, 'finalized', (head?.number ?? 0) + 2, 120_000)

    expect((await blockOf(cluster.url(0), reached.number))?.stateRoot).toBe(reached.stateRoot)
    const genesis = z.object({ validators: z.array(z.object({ address: z.string() }).loose()) }).loose()
    const own = genesis.parse(JSON.parse(readFileSync(path.join(volume, 'genesis.json'), 'utf8'))).validators[3]?.address
    const authored = await waitFor(
      async () => {
        const rows = z
          .object({ lanes: z.array(z.object({ author: z.string() }).loose().nullable()) })
          .loose()
          .safeParse(await callRpc(cluster.url(0), 'fusion_blockPackages', ['latest']))
        return rows.success && rows.data.lanes.some((lane) => lane?.author === own) ? true : null
      },
      { what: 'a package by the container', timeoutMs: 120_000, everyMs: 200 },
    )
    expect(authored).toBe(true)
  })

  it('answers its health check and ends within ten seconds of SIGTERM', async () => {
    const health = await fetch(`${cluster.url(3)}/health`)
    expect(health.status).toBe(200)

    const node = spawnSync('pgrep', ['-f', `node/main.ts`], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n')
      .find(
        (pid) =>
          readFileSync(`/proc/${pid}/status`, 'utf8').includes(`Uid:\t${UID}`) &&
          readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`FUSION_P2P_PORT=${cluster.ports.p2p[3]}`),
      )
    expect(node, 'the process of the container').toBeDefined()
    const ended = new Promise<number | null>((resolve) => running?.once('exit', resolve))
    process.kill(Number(node), 'SIGTERM')
    const code = await Promise.race([ended, new Promise<string>((resolve) => setTimeout(() => resolve('still running'), 10_000))])

    expect(code).toBe(0)
    running = null
  })
})
