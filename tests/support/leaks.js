// Takes and drops many locks and elections; valgrind looks for what is left (tests/languages.sh).
'use strict';

const { Election, Lock, withLock } = require('../../bindings/node');
const { Client } = require('../../bindings/node/lib/client.js');

const url = 'memory:leaks';

// A function of its own: its variables are gone when the collector looks.
async function work() {
  for (let turn = 0; turn < 50; turn++) {
    await withLock(`name-${turn}`, { url }, () => new Lock(`name-${turn}`, { url }).tryAcquire());
    const election = new Election('election', { url });
    const term = await election.campaign({ value: 'value' });
    await election.leader();
    await term.release();
    try {
      new Lock('', { url });
    } catch {
      // what a refused name leaves is looked for too
    }
  }
}

async function main() {
  await work();
  const client = Client.of(url);
  while (client.handleCount > 0) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.close();
}

main();
