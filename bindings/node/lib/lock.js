'use strict';

const { EventEmitter } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { DEFAULT_BASE_URI, log, report } = require('./client.js');
const { AlreadyHeld, LockTimeout, NotHeld } = require('./errors.js');
const { Handle, LOCK, WAIT_FOR_EVER, waitOf } = require('./handle.js');

const UNREACHABLE = -4;
const RETRY_MS = 1000;

/** Options that the C library knows, from those of a constructor. */
function handleOptions({ ttl, identity, wait }) {
  return { ttl, identity, wait };
}

/** One name that at most one holder has at a time; see index.d.ts. */
class Lock extends EventEmitter {
  #handle = null;
  #options;
  #baseUrl;
  #lockAcquired;
  #lockLost;
  #asking = false;
  #callbacks = false;

  constructor(name, ...rest) {
    super();
    const functions = rest.filter((value) => typeof value === 'function');
    const options = rest.find((value) => typeof value === 'object' && value !== null) ?? {};
    [this.#lockAcquired, this.#lockLost] = functions;
    this.#options = handleOptions(options);
    this.#baseUrl = options.url ?? DEFAULT_BASE_URI;
    this.name = name;
    this.#open();
  }

  #open() {
    this.#handle = new Handle(LOCK, this.name, this.#baseUrl, this.#options);
    this.#handle.onLost = (lost) => process.nextTick(() => this.#tellLost(lost));
    return this.#handle;
  }

  get baseUrl() {
    return this.#baseUrl;
  }

  set baseUrl(url) {
    if (this.#asking || this.locked) {
      throw new AlreadyHeld(`"${this.name}" is held, or asked for; release it first`, -8);
    }
    this.#baseUrl = url;
    this.#open();
  }

  /** Whether it is held now. */
  get locked() {
    return this.#handle.isHeld();
  }

  get token() {
    return this.isHeld() ? this.#handle.held.token : null;
  }

  isHeld() {
    return this.#handle.isHeld();
  }

  remaining() {
    return this.#handle.held?.remaining() ?? 0;
  }

  async acquire({ signal, timeout } = {}) {
    return this.#handle.take(null, waitOf(timeout), signal);
  }

  async tryAcquire() {
    try {
      return await this.#handle.take(null, 0);
    } catch (error) {
      if (error instanceof LockTimeout) return null;
      throw error;
    }
  }

  async release() {
    return this.#handle.release();
  }

  cancel() {
    this.#handle.cancel();
  }

  /** The first API: asks until it is held, and calls `lockAcquiredFn` then. */
  lock() {
    if (this.#asking || this.locked) {
      throw new AlreadyHeld(`"${this.name}" is held, or asked for, already`, -8);
    }
    this.#asking = true;
    this.#callbacks = true;
    this.#ask().catch((error) => this.emit('error', error));
  }

  async #ask() {
    try {
      await takeWhenReachable(this.#handle, null);
    } finally {
      this.#asking = false;
    }
    if (this.#lockAcquired) report(this.#lockAcquired);
    this.emit('acquired');
  }

  /** The first API: gives it back. The promise resolves when the store knows. */
  unlock() {
    this.#callbacks = false;
    if (!this.#handle.held) throw new NotHeld(`"${this.name}" is not held`, -7);
    const released = this.#handle.release();
    released.catch(() => {});
    return released;
  }

  /** A loss that the first API has nobody to tell is an unhandled error. */
  #tellLost(lost) {
    const callbacks = this.#callbacks;
    this.#callbacks = false;
    if (this.#lockLost) report(this.#lockLost);
    const heard = this.emit('lost', lost);
    if (callbacks && !heard && !this.#lockLost) this.emit('error', lost);
  }
}

/** Waits for the store too: it may start after this program. */
async function takeWhenReachable(handle, value, signal) {
  for (;;) {
    try {
      return await handle.take(value, WAIT_FOR_EVER, signal);
    } catch (error) {
      if (error.status !== UNREACHABLE) throw error;
      log(error.message);
      await pause(RETRY_MS, undefined, { signal });
    }
  }
}

async function withLock(name, ...rest) {
  const [options, work] = rest.length > 1 ? rest : [{}, rest[0]];
  const held = await new Lock(name, options).acquire(options);
  try {
    return await work(held);
  } finally {
    await held.finish();
  }
}

module.exports = { Lock, handleOptions, takeWhenReachable, withLock };
