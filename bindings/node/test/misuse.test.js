'use strict';
// What a leader's work should not do, and how a process should not end: each has one clear rule.

const assert = require('node:assert/strict');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { test } = require('node:test');
const sync = require('..');
const { aborted, fresh, later, program } = require('./support.js');

const { Client, Election, Lock } = sync;

/** A store that other processes see. */
function file(t) {
  const folder = mkdtempSync(join(tmpdir(), 'mpsync-'));
  // A client that nobody refers to any more may still be closing, and write.
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 100 }));
  return `file:${join(folder, 'locks.db')}`;
}

/** Programs that call `reached` in each state of a candidate. */
const STATES = {
  standing: `election.on('waiting', reached); election.lead(() => {});`,
  leading: `election.lead(() => new Promise(reached));`,
  draining: `election.lead(async (term) => {
    election.stop();
    await new Promise((resolve) => term.signal.addEventListener('abort', resolve));
    return new Promise(reached);
  });`,
};

const ENDS = {
  'process.exit': ['process.exit(7)', { code: 7 }],
  'an exception': [`setImmediate(() => { throw new Error('mine'); })`, { code: 1 }],
  SIGTERM: [`process.kill(process.pid, 'SIGTERM')`, { signal: 'SIGTERM' }],
  SIGKILL: [`process.kill(process.pid, 'SIGKILL')`, { signal: 'SIGKILL' }],
};

/** The holder that a standing candidate waits for, and the name of each case of its own. */
async function holds(name, url, state) {
  return state === 'standing' ? new Lock(name, { url }).acquire() : null;
}

async function free(name, url, held) {
  await held?.release();
  await (await new Lock(name, { url }).acquire({ timeout: 60_000 })).release();
}

test('a process that ends in whatever way, in whatever state, leaves the name to the next', async (t) => {
  const url = file(t);
  const ended = async (state, way) => {
    const [end, how] = ENDS[way];
    const name = `${state}, ${way}`;
    const held = await holds(name, url, state);
    const text = `const election = new sync.Election(${JSON.stringify(name)});
      const reached = () => { ${end} };`;
    await assert.rejects(program(text + STATES[state], url), how, name);
    await free(name, url, held);
  };
  const cases = Object.keys(STATES).flatMap((state) =>
    Object.keys(ENDS).map((way) => ended(state, way)),
  );
  await Promise.all(cases);
});

test('a child process holds nothing of its parent, whose death it survives', async (t) => {
  const url = file(t);
  for (const state of Object.keys(STATES)) {
    const held = await holds(state, url, state);
    const child = `process.stdin.on('close', () => process.exit()).resume()`;
    const parent = program(
      `const election = new sync.Election('${state}');
       const reached = () => {
         const stdio = ['inherit', 'ignore', 'ignore'];
         const child = require('node:child_process').spawn(process.execPath, ['-e', "${child}"], { stdio });
         child.on('spawn', () => process.kill(process.pid, 'SIGKILL'));
       };
       ${STATES[state]}`,
      url,
    );
    await assert.rejects(parent, { signal: 'SIGKILL' });
    await free(state, url, held);
    parent.child.stdin.end();
  }
});

test('work that never returns keeps its term, which a warning of the process names', async () => {
  const url = fresh();
  const election = new Election('x', { url, ttl: '8s' });
  const done = later();
  const warned = new Promise((resolve) => {
    process.on('warning', function told({ name, message }) {
      if (name !== 'MetaparticleSyncWarning' || !message.includes('still at work')) return;
      process.off('warning', told);
      resolve(message);
    });
  });
  const led = election.lead(() => {
    election.stop();
    return done.promise;
  });
  assert.match(await warned, /^"x"/);
  assert.ok(election.isLeader());
  assert.equal(await new Lock('x', { url }).tryAcquire(), null);
  done.tell();
  await led;
});

test('shutdown inside of the work stops lead, and no second loop begins beside it', async () => {
  const election = new Election('x', { url: fresh() });
  await election.lead(async (term) => {
    election.shutdown();
    const second = election.lead(() => assert.fail('two are at work'));
    await assert.rejects(second, sync.AlreadyHeld);
    await aborted(term.signal);
    assert.equal(term.ending.reason, 'stopped');
    assert.ok(term.isHeld());
  });
});

test('the first API: calls from inside of its functions do not wait for them', async () => {
  const told = [];
  const election = new Election(
    'x',
    async () => {
      assert.throws(() => election.run(), sync.AlreadyHeld);
      await assert.rejects(election.campaign(), sync.AlreadyHeld);
      await assert.rejects(
        election.lead(() => {}),
        sync.AlreadyHeld,
      );
      if (told.length === 0) await election.resign();
      else election.shutdown();
      told.push('master');
    },
    () => told.push('lost'),
    { url: fresh() },
  );
  await election.run();
  assert.deepEqual(told.sort(), ['lost', 'lost', 'master', 'master']);
});

test('the first API: close inside of its function ends the run with Closed', async () => {
  const client = new Client(fresh());
  let lost = 0;
  const closes = () => client.close();
  const election = new Election('x', closes, () => lost++, { client });
  const told = new Promise((resolve) => election.on('error', resolve));
  election.run();
  assert.ok((await told) instanceof sync.Closed);
  assert.equal(lost, 1);
});

test('what ends a wait or a run is without effect when the client closes or is closed', async () => {
  const url = fresh();
  const held = await new Lock('x', { url }).acquire();
  for (const closing of [(client) => void client.close(), (client) => client.close()]) {
    const client = new Client(url);
    const [lock, election] = [new Lock('x', { client }), new Election('y', { client })];
    const controller = new AbortController();
    const { signal } = controller;
    const waits = lock.acquire({ signal });
    const seen = election.observe({ signal });
    await seen.next();
    const changed = seen.next().catch((error) => assert.ok(error instanceof sync.Closed));
    const led = election.lead(async () => {
      waits.catch(() => {});
      await closing(client);
      controller.abort();
      election.stop();
      election.shutdown();
      election.cancel();
      lock.cancel();
      await election.resign();
    });
    await assert.rejects(waits);
    await assert.rejects(led, sync.Closed);
    await changed;
    await seen.return();
    await client.close();
  }
  await held.release();
});
