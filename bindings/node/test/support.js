'use strict';
// What the tests share.

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync } = require('node:fs');
const { after } = require('node:test');
const { promisify } = require('node:util');
const { Client, native } = require('../lib/client.js');

const run = promisify(execFile);

/** A program of its own, which finds the package as `sync`. */
function program(text, url, ...flags) {
  const script = `const sync = require(${JSON.stringify(require.resolve('..'))}); ${text}`;
  return run(process.execPath, [...flags, '-e', script], {
    env: { ...process.env, MPSYNC_URL: url },
    timeout: 120_000,
  });
}

let stores = 0;

// What a failed test still holds or asks for would keep the process.
after(() => setTimeout(() => process.exit(), 2000).unref());

module.exports = {
  /**
   * The ttl of what is taken away: its holder learns that by its next renewal, a third of this
   * later, and until then it does not run out by itself, however slow the machine is.
   */
  BRIEF: '6s',
  /** Text of a program that takes the name from whoever has it. */
  FORCE: `(name) => {
    const { Client, native } = require(${JSON.stringify(require.resolve('../lib/client.js'))});
    native.mpsync_client_force_release(Client.of().native, name, 1);
  }`,
  /** When the signal aborts. */
  aborted: (signal) => signal.aborted || once(signal, 'abort'),
  descriptors: () => readdirSync('/proc/self/fd').length,
  force: (name, url) => native.mpsync_client_force_release(Client.of(url).native, name, 1),
  /** A store that nobody else has. */
  fresh: () => `memory:${process.pid}-${++stores}`,
  /** What a test wants to be told later. */
  later: () => {
    const told = {};
    told.promise = new Promise((resolve) => (told.tell = resolve));
    return told;
  },
  program,
  turn: () => new Promise((resolve) => setImmediate(resolve)),
};
