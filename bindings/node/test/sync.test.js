'use strict';

const assert = require('node:assert/strict');
const { readdirSync } = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const sync = require('..');
const { BRIEF, force, fresh, program, FORCE } = require('./support.js');

const { Election, Lock, withLock } = sync;
test('a held lock refuses the next, and its release lets it in with a higher token', async () => {
  const url = fresh();
  const [one, other] = [new Lock('x', { url }), new Lock('x', { url })];
  const held = await one.acquire();
  assert.ok(held.isHeld() && one.locked && held.remaining() > 0);
  assert.equal(await other.tryAcquire(), null);
  await assert.rejects(other.acquire({ timeout: 5 }), sync.LockTimeout);
  const waiting = other.acquire();
  await held.release();
  const next = await waiting;
  assert.ok(next.token > held.token && !held.isHeld());
  await next.release();
  await assert.rejects(next.release(), sync.NotHeld);
});

test('an abort withdraws the request with its own reason', async () => {
  const url = fresh();
  const held = await new Lock('x', { url }).acquire();
  const waiting = new Lock('x', { url });
  const controller = new AbortController();
  const reason = new Error('enough');
  const asked = waiting.acquire({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(asked, reason);
  const cancelled = waiting.acquire();
  waiting.cancel();
  await assert.rejects(cancelled, sync.Cancelled);
  await held.release();
  await (await waiting.acquire({ signal: AbortSignal.timeout(60_000) })).release();
});

test('misuse and bad arguments have classes of their own', async () => {
  const url = fresh();
  const lock = new Lock('x', { url });
  assert.throws(() => lock.unlock(), sync.NotHeld);
  await assert.rejects(lock.release(), sync.NotHeld);
  await lock.acquire();
  await assert.rejects(lock.acquire(), sync.AlreadyHeld);
  assert.throws(() => lock.lock(), sync.AlreadyHeld);
  await lock.release();
  for (const name of ['', 'a\0b', '\ud800', 'n'.repeat(1025)]) {
    assert.throws(() => new Lock(name, { url }), sync.InvalidArgument);
  }
  assert.throws(() => new Lock(7, { url }), TypeError);
  assert.throws(() => new Lock('x', { url: 'gopher:x' }), sync.InvalidArgument);
  assert.throws(() => new Lock('x', { url, ttl: '1ms' }), sync.InvalidArgument);
  await assert.rejects(lock.acquire({ timeout: -1 }), sync.InvalidArgument);
  await assert.rejects(new Lock('x', { url: 'http://127.0.0.1:1' }).tryAcquire(), (error) => {
    return error instanceof sync.StoreError && /mpsync elector/.test(error.message);
  });
});

test('withLock releases whatever the work does, and await using does', async () => {
  const url = fresh();
  assert.equal(await withLock('x', { url }, ({ signal }) => signal.aborted), false);
  const broken = new Error('broken');
  const failing = () => Promise.reject(broken);
  await assert.rejects(withLock('x', { url }, failing), broken);
  const held = await new Lock('x', { url }).acquire();
  await held[Symbol.asyncDispose]();
  assert.ok(!held.isHeld());
});

test('the first API calls back, throws when it is misused, and is used again', async () => {
  const url = fresh();
  for (let turn = 0; turn < 2; turn++) {
    await new Promise((resolve, reject) => {
      const lock = new Lock('x', async () => {
        try {
          assert.ok(lock.locked);
          assert.throws(() => lock.lock());
          await lock.unlock();
          assert.ok(!lock.locked);
          assert.throws(() => lock.unlock());
          resolve();
        } catch (error) {
          reject(error);
        }
      });
      assert.equal(lock.baseUrl, 'http://localhost:13131');
      lock.baseUrl = url;
      lock.lock();
    });
  }
});

test('an election calls back at both ends of a term, and again when it runs again', async () => {
  const url = fresh();
  const told = [];
  const begun = [];
  const election = new Election(
    'x',
    () => {
      told.push('master');
      begun.shift()();
    },
    () => told.push('lost'),
    { url },
  );
  for (let turn = 0; turn < 2; turn++) {
    const master = new Promise((resolve) => begun.push(resolve));
    const ran = election.run();
    assert.throws(() => election.run(), sync.AlreadyHeld);
    await master;
    assert.ok(election.isLeader());
    election.shutdown();
    await ran;
  }
  assert.deepEqual(told, ['master', 'lost', 'master', 'lost']);
});

test('observers see nobody, the leader, its new value, and nobody again', async () => {
  const url = fresh();
  const election = new Election('x', { url, identity: 'me' });
  const seen = new Election('x', { url }).observe();
  assert.equal((await seen.next()).value, null);
  const term = await election.campaign({ value: 'one' });
  assert.deepEqual((await seen.next()).value, { holder: 'me', value: 'one', token: term.token });
  await election.setValue('zwei');
  assert.equal((await seen.next()).value.value, 'zwei');
  await election.resign();
  assert.equal((await seen.next()).value, null);
  await seen.return();
  assert.equal(await election.leader(), null);
  const stopped = new Election('x', { url }).observe({ signal: AbortSignal.timeout(1) });
  for await (const leader of stopped) assert.equal(leader, null);
});

test('a thousand locks wait in one process without a thread each', async () => {
  const url = fresh();
  const held = await new Lock('x', { url }).acquire();
  const all = Array.from({ length: 1000 }, () => withLock('x', { url }, ({ token }) => token));
  assert.ok(readdirSync('/proc/self/task').length < 50);
  await held.release();
  const tokens = await Promise.all(all);
  assert.equal(new Set(tokens).size, 1000);
});

test('a process ends by itself when it holds nothing, and lives while it does', async () => {
  const url = fresh();
  await program('new sync.Lock("x").acquire().then((held) => held.release())', url);
  const { stdout } = await program(
    `new sync.Lock('x').acquire().then((held) => {
       setTimeout(() => { console.log('alive'); held.release(); }, 50).unref();
     });`,
    url,
  );
  assert.equal(stdout, 'alive\n');
  await program('new sync.Lock("x").acquire().then(() => process.exit())', url);
});

test('a loss without anybody to tell is an unhandled error', async () => {
  const losing = (listener) => `
    const lock = new sync.Lock('x', () => {
      setImmediate(() => (${FORCE})('x'));
    }, ${listener}, { ttl: '${BRIEF}' });
    lock.lock();`;
  await assert.rejects(
    program(losing(undefined), fresh()),
    /LockLost: "x" was lost \((deleted|revoked)\)/,
  );
  const { stdout } = await program(losing('() => console.log("lost")'), fresh());
  assert.equal(stdout, 'lost\n');
});

test('losing a lock aborts its work, and withLock rejects', async () => {
  const url = fresh();
  const work = ({ signal }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(7));
      force('x', url);
    });
  await assert.rejects(withLock('x', { url, ttl: BRIEF }, work), sync.LockLost);
  await withLock('x', { url }, ({ token }) => assert.ok(token > 0n));
});

test('what a callback throws is an uncaught exception, and the client lives on', async () => {
  const { stdout, stderr } = await program(
    `process.on('uncaughtException', (error) => console.error(error.message));
     const lock = new sync.Lock('x', () => { throw new Error('mine'); });
     lock.on('acquired', () => lock.unlock().then(() => console.log('released')));
     lock.lock();`,
    fresh(),
  );
  assert.equal(stdout, 'released\n');
  assert.match(stderr, /mine/);
});

test('a worker that is terminated while it holds and waits takes nobody with it', async () => {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const { Lock } = require(${JSON.stringify(require.resolve('..'))});
     new Lock('x', { url: 'memory:worker' }).acquire().then(() => {
       new Lock('x', { url: 'memory:worker' }).acquire();
       parentPort.postMessage('held');
     });`,
    { eval: true },
  );
  await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
  await withLock('x', { url: 'memory:worker' }, ({ token }) => assert.ok(token > 0n));
});

test('the loop turns while a lock waits', async () => {
  const url = fresh();
  const held = await new Lock('x', { url }).acquire();
  const delay = monitorEventLoopDelay();
  delay.enable();
  const waiting = new Lock('x', { url }).acquire();
  let turns = 0;
  while (turns < 1000) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  delay.disable();
  await held.release();
  await (await waiting).release();
});

test('the module for import has what the one for require has', async () => {
  const imported = await import('../index.mjs');
  assert.deepEqual(Object.keys(imported.default).sort(), Object.keys(sync).sort());
  for (const [name, value] of Object.entries(sync)) assert.equal(imported[name], value);
});
