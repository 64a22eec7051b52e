// The runner of the conformance scenarios over the Node package; see README.md.
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, Election, Lock, LockTimeout } from '../../bindings/node/index.mjs';

const client = new Client();
const handles = new Map();
const cuts = new Map(); // what ends the waiting of a handle
const works = new Map(); // what ends the work of a handle's term

function tell(...words) {
  process.stdout.write(`${words.join('\t')}\n`);
}

function tellError(key, error) {
  if (error instanceof LockTimeout) tell(key, 'busy');
  else tell(key, 'error', error.status);
}

function make(Class, key, name, ttl) {
  const handle = new Class(name, ttl === '-' ? { client } : { client, ttl });
  handle.on('lost', () => tell(key, 'lost'));
  handles.set(key, handle);
  tell(key, 'ok');
}

const waiting = (waitMs) => (waitMs === '-1' ? {} : { timeout: Number(waitMs) });

const verbs = {
  lock: (key, name, ttl) => make(Lock, key, name, ttl),
  election: (key, name, ttl) => make(Election, key, name, ttl),
  acquire: async (key, waitMs) => {
    const { signal } = cuts.set(key, new AbortController()).get(key);
    try {
      tell(key, 'held', (await handles.get(key).acquire({ signal, ...waiting(waitMs) })).token);
    } catch (error) {
      if (!signal.aborted) throw error;
      tell(key, 'cut');
    }
  },
  cut: (key) => cuts.get(key)?.abort(),
  waits: (key) =>
    handles
      .get(key)
      .on('waiting', ({ holder, position }) => tell(key, 'waits', holder ?? '-', position)),
  lead: async (key, value) => {
    await handles.get(key).lead((term) => work(key, term), { value });
    tell(key, 'over');
  },
  done: (key, how) => works.get(key)?.(how),
  stop: (key) => handles.get(key).stop(),
  resign: (key) => handles.get(key).resign(),
  close: async () => {
    await client.close();
    tell(0, 'closed');
  },
  exit: () => process.exit(),
  campaign: async (key, value, waitMs) => {
    tell(key, 'held', (await handles.get(key).campaign({ value, ...waiting(waitMs) })).token);
  },
  cancel: (key) => handles.get(key).cancel(),
  release: async (key) => {
    const handle = handles.get(key);
    await (handle instanceof Lock ? handle.release() : handle.resign());
    tell(key, 'released');
  },
  held: (key) => {
    const handle = handles.get(key);
    const held = handle instanceof Lock ? handle.isHeld() : handle.isLeader();
    tell(key, held ? 'yes' : 'no');
  },
  value: async (key, text) => {
    await handles.get(key).setValue(text);
    tell(key, 'done');
  },
  leader: async (key) => {
    const leader = await handles.get(key).leader();
    tell(key, 'leader', ...(leader ? [leader.holder, leader.value, leader.token] : ['-']));
  },
  observe: async (key) => {
    for await (const leader of handles.get(key).observe()) {
      tell(key, 'sees', ...(leader ? [leader.holder, leader.value] : ['-']));
    }
  },
  count: async (key, file, times) => {
    for (let turn = 0; turn < Number(times); turn++) {
      const held = await handles.get(key).acquire();
      await writeFile(file, String(Number(await readFile(file, 'utf8')) + 1));
      tell(key, 'turn', held.token);
      await held.release();
    }
    tell(key, 'done');
  },
  speed: async (key, times) => {
    const held = await handles.get(key).acquire();
    const began = process.hrtime.bigint();
    for (let call = 0; call < Number(times); call++) held.isHeld();
    tell(key, 'ns', (process.hrtime.bigint() - began) / BigInt(times));
    await held.release();
  },
  pass: async (key, times) => {
    const seen = [];
    for (let turn = 0; turn < Number(times); turn++) {
      const held = await handles.get(key).acquire();
      seen.push(process.hrtime.bigint());
      await pause(3);
      seen.push(process.hrtime.bigint());
      await held.release();
      await pause(1);
    }
    tell(key, 'times', ...seen);
  },
  drop: (key) => forget(key, 'dropped'),
  collect: (key) => forget(key, 'collected'),
};

function left(ms) {
  if (ms === Infinity) return 'all';
  return ms > 0 ? 'some' : 'none';
}

// One term: it lasts until it is told to be done.
async function work(key, term) {
  tell(key, 'term', term.token);
  const end = () => tell(key, 'ending', term.ending.reason, left(term.ending.left));
  term.signal.addEventListener('abort', end);
  const how = await new Promise((resolve) => works.set(key, resolve));
  term.signal.removeEventListener('abort', end);
  if (how === 'fail') throw new Error('as it was told');
}

// What is unreachable is found by a collection in a later turn of the loop.
function forget(key, said) {
  handles.delete(key);
  setImmediate(() => {
    globalThis.gc();
    setImmediate(() => tell(key, said));
  });
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const [verb, key, ...words] = line.split('\t');
    try {
      await verbs[verb](key, ...words);
    } catch (error) {
      tellError(key, error);
    }
  })
  .on('close', () => process.exit());
