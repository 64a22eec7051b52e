'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const sync = require('..');
const { aborted, BRIEF, descriptors, force, fresh, program, turn, FORCE } = require('./support.js');

const { Client, Election, Lock, request, withLock } = sync;

test('an option that nobody knows is refused, and a URL may stand in its place', async () => {
  const url = fresh();
  for (const Class of [Lock, Election]) {
    assert.throws(() => new Class('x', { url, tll: '5s' }), /"tll" is no option here/);
    assert.throws(() => new Class('x', 7), TypeError);
    assert.equal(new Class('x', url).client, new Class('x', { url }).client);
  }
  assert.throws(() => new Client(url, { tll: '5s' }), sync.InvalidArgument);
  await assert.rejects(
    withLock('x', { url, tll: 1 }, () => {}),
    sync.InvalidArgument,
  );
  await assert.rejects(withLock('x', { url }), TypeError);
});

test('a closed client has given up what was held, and leaves nothing', async () => {
  const before = descriptors();
  const client = new Client(fresh());
  const lock = new Lock('x', { client });
  const held = await lock.acquire();
  const waiting = new Lock('x', { client }).acquire();
  const standing = new Election('x', { client }).lead(() => {});
  const [seen, ended] = [new Election('y', { client }).observe(), held.signal];
  assert.equal((await seen.next()).value, null);
  const refused = [waiting, standing].map((promise) => assert.rejects(promise, sync.SyncError));
  await client.close();
  await client.close();
  await Promise.all(refused);
  assert.ok(!held.isHeld() && !lock.isHeld() && lock.remaining() === 0);
  assert.ok(ended.aborted && ended.reason instanceof sync.Closed);
  await assert.rejects(held.release(), sync.Closed);
  await assert.rejects(lock.acquire(), sync.Closed);
  await seen.next().catch((error) => assert.ok(error instanceof sync.Closed));
  assert.throws(() => new Lock('x', { client }), sync.Closed);
  assert.ok(descriptors() <= before);
});

test('work whose client is closed under it is told that', async () => {
  const client = new Client(fresh());
  await assert.rejects(
    withLock('x', { client }, () => client.close()),
    sync.Closed,
  );
  const again = new Client(fresh());
  await again[Symbol.asyncDispose]();
  assert.throws(() => again.url, sync.Closed);
});

test('a shared client closes by itself when its last lock is gone', async () => {
  const before = descriptors();
  const url = fresh();
  await (async () => {
    await withLock('x', { url }, () => assert.ok(descriptors() > before));
    await (await new Election('x', { url }).campaign()).release();
  })();
  while (descriptors() > before) {
    globalThis.gc();
    await turn();
  }
  await withLock('x', { url }, ({ token }) => assert.ok(token > 0n));
});

test('workers that are terminated while they work leave no descriptor', async () => {
  const work = `
    const { parentPort } = require('node:worker_threads');
    const { withLock } = require(${JSON.stringify(require.resolve('..'))});
    const turns = async (name) => {
      for (;;) await withLock(name, { url: 'memory:workers' }, () => parentPort.postMessage(name));
    };
    for (let i = 0; i < 10; i++) turns('name-' + i);`;
  const terminate = async () => {
    const worker = new Worker(work, { eval: true });
    for (let turns = 0; turns < 50; turns++) await once(worker, 'message');
    await worker.terminate();
  };
  await terminate();
  const before = descriptors();
  for (let i = 0; i < 5; i++) await terminate();
  // The last of a worker's handles are closed a moment after it has ended.
  while (descriptors() > before) await turn();
});

test('a grant that nobody refers to goes on, and does not keep the process', async () => {
  const { stdout } = await program(
    `const take = async () => { await new sync.Lock('x').acquire(); };
     take().then(async () => {
       for (let turn = 0; turn < 10; turn++) {
         gc();
         await new Promise((resolve) => setImmediate(resolve));
       }
       console.log(await new sync.Lock('x').tryAcquire());
     });`,
    fresh(),
    '--expose-gc',
  );
  assert.equal(stdout, 'null\n');
});

test('the signal and the listeners of a lock that nobody refers to are told of its loss', async () => {
  const url = fresh();
  const told = [];
  const signal = await (async () => {
    const lock = new Lock('x', { url });
    lock.on('lost', (lost) => told.push(lost.name));
    return (await lock.acquire()).signal;
  })();
  for (let turns = 0; turns < 10; turns++) {
    globalThis.gc();
    await turn();
  }
  force('x', url);
  await aborted(signal);
  assert.deepEqual(told, ['LockLost']);
});

test('a lock of the first API keeps the process while it is locked', async () => {
  const { stdout } = await program(
    `const take = () => new sync.Lock('x', () => {
       for (let turn = 0; turn < 10; turn++) gc();
       setTimeout(() => { gc(); process.stdout.write('alive', () => process.exit(3)); }, 50).unref();
     }).lock();
     take();`,
    fresh(),
    '--expose-gc',
  ).catch((error) => (assert.equal(error.code, 3), error));
  assert.equal(stdout, 'alive');
});

test('a listener that throws is told of, and keeps nothing from the others', async () => {
  const { stdout, stderr } = await program(
    `const lock = new sync.Lock('x');
     lock.on('lost', () => { throw new Error('mine'); });
     lock.on('lost', () => console.log('told'));
     lock.acquire().then(() => (${FORCE})('x'));`,
    `${fresh()}?ttl=${BRIEF}`,
  );
  assert.equal(stdout, 'told\n');
  assert.match(stderr, /mine/);
});

test('work that throws under a lock that is lost is the cause', async () => {
  const url = `${fresh()}?ttl=${BRIEF}`;
  const mine = new Error('mine');
  const failing = withLock('x', { url }, async ({ signal }) => {
    force('x', url);
    await aborted(signal);
    throw mine;
  });
  await assert.rejects(failing, (error) => error instanceof sync.LockLost && error.cause === mine);
});

test('a grant is shown by JSON', async () => {
  const held = await new Lock('x', { url: fresh() }).acquire();
  assert.deepEqual(JSON.parse(JSON.stringify(held)), { name: 'x', token: String(held.token) });
});

test('many requests of one signal are no reason for a warning', async () => {
  const { stdout, stderr } = await program(
    `const controller = new AbortController();
     new sync.Lock('x').acquire().then(async (held) => {
       const all = Array.from({ length: 20 }, () =>
         new sync.Lock('x').acquire({ signal: controller.signal }));
       controller.abort();
       const ended = await Promise.allSettled(all);
       console.log(ended.filter(({ reason }) => reason === controller.signal.reason).length);
       await held.release();
     });`,
    fresh(),
  );
  assert.equal(stdout, '20\n');
  assert.equal(stderr, '');
});

test('what a signal cuts short leaves nothing, and the next request queues behind it', async () => {
  const url = fresh();
  const lock = new Lock('x', { url });
  for (let turns = 0; turns < 50; turns++) {
    const controller = new AbortController();
    // Granted before, or cut short: whichever it is.
    const asked = lock.acquire({ signal: controller.signal }).then(
      (held) => held.release(),
      (error) => assert.equal(error, controller.signal.reason),
    );
    for (let wait = 0; wait < turns % 5; wait++) await turn();
    controller.abort();
    await asked;
  }
  assert.ok((await lock.acquire()).isHeld());
  await lock.release();
});

test('who waits is told whom for', async () => {
  const url = fresh();
  const held = await new Lock('x', { url, identity: 'first' }).acquire();
  const lock = new Lock('x', { url });
  const waiting = lock.acquire();
  const [{ holder, position }] = await once(lock, 'waiting');
  assert.equal(holder, 'first');
  assert.equal(typeof position, 'number');
  await held.release();
  await (await waiting).release();
});

test('a wait is also for a store that is not there yet, which is a warning', async () => {
  const { stdout, stderr } = await program(
    `new sync.Lock('x').acquire({ timeout: 5000 }).catch((error) => console.log(error.name));`,
    'http://127.0.0.1:1',
  );
  assert.equal(stdout, 'StoreError\n');
  assert.match(stderr, /no elector answers/);
});

test('request is called as the one of browsers is', async () => {
  const url = fresh();
  assert.equal(await request('x', { url, mode: 'exclusive' }, ({ name }) => name), 'x');
  await request('x', { url }, async () => {
    assert.equal(await request('x', { url, ifAvailable: true }, (held) => held), null);
    assert.equal(await request('y', { url, ifAvailable: true }, (held) => held.isHeld()), true);
    const controller = new AbortController();
    const waits = request('x', { url, signal: controller.signal }, () => assert.fail('it works'));
    controller.abort();
    await assert.rejects(waits, { name: 'AbortError' });
    for (const ifAvailable of [false, true]) {
      const given = { url, ifAvailable, signal: AbortSignal.abort() };
      await assert.rejects(
        request('x', given, () => assert.fail('it works')),
        { name: 'AbortError' },
      );
    }
  });
});

test('request refuses what browsers know and these locks do not, by an error that says what', async () => {
  const url = fresh();
  for (const [odd, Class, message] of [
    [{ mode: 'shared' }, sync.Unsupported, /mode "shared": locks here are exclusive/],
    [{ mode: 'both' }, sync.InvalidArgument, /mode: "exclusive" is expected, not both/],
    [{ steal: true }, sync.Unsupported, /steal: /],
    [{ ifAvailable: true, timeout: 5 }, sync.InvalidArgument, /ifAvailable does not wait/],
    [{ query: true }, sync.InvalidArgument, /"query" is no option here/],
  ]) {
    const asked = request('x', { url, ...odd }, () => assert.fail('it works'));
    await assert.rejects(asked, (error) => error instanceof Class && message.test(error.message));
  }
});
