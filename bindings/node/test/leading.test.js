'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const sync = require('..');
const { aborted, BRIEF, force, fresh, later, program, FORCE, turn } = require('./support.js');

const { Client, Election } = sync;

test('lead stands again when its work has returned, until it is stopped', async () => {
  const election = new Election('x', { url: fresh(), value: 'me' });
  const tokens = [];
  await election.lead((term) => {
    tokens.push(term.token);
    assert.ok(term.isHeld() && election.isLeader() && term.remaining() > 0);
    if (tokens.length === 3) election.stop();
  });
  assert.ok(tokens[0] < tokens[1] && tokens[1] < tokens[2]);
  assert.ok(!election.isLeader());
});

test('stop tells the work, and the term lasts until the work has returned', async () => {
  const url = fresh();
  const election = new Election('x', { url });
  const [begun, done] = [later(), later()];
  const led = election.lead(async (term) => {
    begun.tell(term);
    await aborted(term.signal);
    await done.promise;
  });
  const term = await begun.promise;
  const next = new Election('x', { url }).campaign();
  assert.equal(term.ending, null);
  election.stop();
  await aborted(term.signal);
  assert.deepEqual(term.ending, { reason: 'stopped', left: Infinity });
  assert.ok(term.signal.reason instanceof sync.Cancelled);
  assert.ok(term.isHeld());
  assert.equal(await Promise.race([next, turn().then(turn)]), undefined);
  done.tell();
  await led;
  assert.ok(!term.isHeld() && (await next).token > term.token);
});

test('work that throws is told, and leads again after a pause', async () => {
  const election = new Election('x', { url: fresh(), ttl: BRIEF });
  const told = [];
  election.on('error', (error) => told.push(error.message));
  let terms = 0;
  await election.lead(() => {
    if (++terms === 3) election.stop();
    else throw new Error(`broken ${terms}`);
  });
  assert.deepEqual(told, ['broken 1', 'broken 2']);
});

test('what nobody listens for of failed work is a warning', async () => {
  const { stdout, stderr } = await program(
    `const election = new sync.Election('x');
     let terms = 0;
     election.lead(async () => {
       if (++terms === 2) election.stop();
       else throw new Error('broken');
     }).then(() => console.log('over'));`,
    `${fresh()}?ttl=${BRIEF}`,
  );
  assert.equal(stdout, 'over\n');
  assert.match(stderr, /broken/);
});

test('stop before lead ends it as it begins, and so does an aborted signal', async () => {
  const election = new Election('x', { url: fresh() });
  const never = () => assert.fail('it leads');
  election.stop();
  await election.lead(never);
  await election.lead(never, { signal: AbortSignal.abort() });
  const ended = election.lead(never);
  election.stop();
  await ended;
  await election.lead(() => election.stop());
});

test('a signal ends lead as stop does, while it stands and while it leads', async () => {
  const url = fresh();
  const controller = new AbortController();
  const leader = new Election('x', { url });
  const begun = later();
  const led = leader.lead(
    async (term) => {
      begun.tell();
      await aborted(term.signal);
    },
    { signal: controller.signal },
  );
  await begun.promise;
  const standing = new Election('x', { url }).lead(() => {}, { signal: controller.signal });
  controller.abort();
  await Promise.all([led, standing]);
});

test('two loops on one object, or a campaign inside of one, are refused', async () => {
  const election = new Election('x', { url: fresh() });
  await election.lead(async () => {
    await assert.rejects(
      election.lead(() => {}),
      sync.AlreadyHeld,
    );
    await assert.rejects(election.campaign(), sync.AlreadyHeld);
    assert.throws(() => election.run(), sync.AlreadyHeld);
    election.stop();
  });
});

test('resign and release inside of the work ask for its end, and do not wait for it', async () => {
  const election = new Election('x', { url: fresh() });
  const reasons = [];
  await election.lead(async (term) => {
    await (reasons.length === 0 ? election.resign() : term.release());
    await aborted(term.signal);
    assert.ok(term.isHeld());
    if (reasons.push(term.ending.reason) === 2) election.stop();
  });
  assert.deepEqual(reasons, ['asked', 'asked']);
});

test('close inside of the work ends the term at once, and lead with Closed', async () => {
  const client = new Client(fresh());
  const election = new Election('x', { client });
  const led = election.lead(async (term) => {
    await client.close();
    assert.ok(!term.isHeld());
    assert.deepEqual(term.ending, { reason: 'closed', left: 0 });
  });
  await assert.rejects(led, sync.Closed);
});

test('a term that is lost says so, and what ends by its signal has not failed', async () => {
  const url = fresh();
  const election = new Election('x', { url, ttl: BRIEF });
  election.on('error', (error) => assert.fail(error));
  let terms = 0;
  await election.lead(async (term) => {
    if (++terms === 2) return election.stop();
    force('x', url);
    await aborted(term.signal);
    assert.equal(term.ending.left, 0);
    assert.ok(term.signal.reason instanceof sync.LockLost);
    throw term.signal.reason;
  });
});

test('a wait that is over ends lead with LockTimeout', async () => {
  const url = fresh();
  const held = await new Election('x', { url }).campaign();
  const election = new Election('x', { url });
  await assert.rejects(
    election.lead(() => {}, { timeout: 5 }),
    sync.LockTimeout,
  );
  await held.release();
  await election.lead(() => election.stop(), { timeout: 60_000 });
});

test('work that does not return is left to itself at the limit of the option drain', async () => {
  const url = fresh();
  const election = new Election('x', { url, drain: 20 });
  const [begun, done] = [later(), later()];
  const led = election.lead(async (term) => {
    begun.tell(term);
    await done.promise;
  });
  const term = await begun.promise;
  election.stop();
  await new Election('x', { url }).campaign();
  assert.ok(!term.isHeld() && term.ending.left <= 20);
  done.tell();
  await led;
});

test('the first API drains: its functions have returned before another leads', async () => {
  const url = fresh();
  const told = [];
  const done = later();
  const master = new Promise((resolve) => {
    const election = new Election(
      'x',
      async () => {
        resolve(election);
        await done.promise;
        told.push('master has returned');
      },
      () => told.push('lost'),
      { url },
    );
    election.run();
  });
  const election = await master;
  const next = new Election('x', { url }).campaign().then(() => told.push('next'));
  election.shutdown();
  while (told.length === 0) await turn();
  assert.ok(election.isLeader());
  done.tell();
  await next;
  assert.deepEqual(told, ['lost', 'master has returned', 'next']);
});

test('the first API: run right after shutdown queues behind the work, shutdown before run does nothing', async () => {
  let terms = 0;
  const election = new Election(
    'x',
    () => {
      terms++;
      election.shutdown();
      if (terms < 3) election.run();
      else over.tell();
    },
    () => {},
    { url: fresh() },
  );
  const over = later();
  election.shutdown();
  election.run();
  await over.promise;
});

test('the first API: a function that throws is uncaught, is told the end, and stands again', async () => {
  const { stdout } = await program(
    `let terms = 0;
     process.on('uncaughtException', (error) => console.log('uncaught', error.message));
     const election = new sync.Election('x', () => {
       if (++terms === 2) return election.shutdown();
       throw new Error('mine');
     }, () => console.log('lost', terms));
     election.run();`,
    `${fresh()}?ttl=${BRIEF}`,
  );
  assert.equal(stdout, 'lost 1\nuncaught mine\nlost 2\n');
});

test('the first API: a loss is told once, and it stands again', async () => {
  const { stdout } = await program(
    `let terms = 0;
     const election = new sync.Election('x', () => {
       if (++terms === 2) return election.shutdown();
       (${FORCE})('x');
     }, () => console.log('lost', terms));
     election.on('lost', (lost) => console.log(lost.name));
     election.run();`,
    `${fresh()}?ttl=${BRIEF}`,
  );
  assert.equal(stdout, 'LockLost\nlost 1\nlost 2\n');
});

test('who stands is told whom it waits for', async () => {
  const url = fresh();
  const held = await new Election('x', { url, identity: 'first' }).campaign();
  const election = new Election('x', { url });
  const led = election.lead(() => election.stop());
  const [{ holder }] = await once(election, 'waiting');
  assert.equal(holder, 'first');
  await held.release();
  await led;
});
