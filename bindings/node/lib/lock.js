'use strict';

const { EventEmitter } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { DEFAULT_BASE_URI, log } = require('./client.js');
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
  #opened = [];
  #asking = null; // of `lock()`: withdraws it
  #released = Promise.resolve();
  #callbacks = false;

  constructor(name, ...rest) {
    super();
    const functions = rest.filter((value) => typeof value === 'function');
    const options = rest.find((value) => typeof value === 'object' && value !== null) ?? {};
    [this.lockAcquiredFn, this.lockLostFn] = functions;
    this.#options = handleOptions(options);
    this.baseUrl = options.url ?? DEFAULT_BASE_URI;
    this.name = name;
    this.#open();
  }

  /** The handle for the name and the store as they are now: both may change between grants. */
  #open() {
    const asked = [this.name, this.baseUrl];
    if (asked.every((value, i) => value === this.#opened[i]) || this.#handle?.held) {
      return this.#handle;
    }
    this.#handle = new Handle(LOCK, this.name, this.baseUrl, this.#options);
    this.#handle.onLost = (lost) => process.nextTick(() => this.#tellLost(lost));
    this.#opened = asked;
    return this.#handle;
  }

  /** The first API: whether it was asked for and not given back. Whether it is held: `isHeld()`. */
  get locked() {
    return this.#asking !== null || this.isHeld();
  }

  set locked(locked) {
    if (!locked && this.locked) this.#giveBack();
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
    return this.#open().take(null, waitOf(timeout), signal);
  }

  async tryAcquire() {
    try {
      return await this.#open().take(null, 0);
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
    if (this.locked) {
      throw new AlreadyHeld(`"${this.name}" is held, or asked for, already`, -8);
    }
    const asking = (this.#asking = new AbortController());
    this.#callbacks = true;
    this.#ask(asking.signal)
      .catch((error) => {
        if (!asking.signal.aborted) this.emit('error', error);
      })
      .finally(() => {
        if (this.#asking === asking) this.#asking = null;
      });
  }

  /** Behind what is given back just now. */
  async #ask(signal) {
    await this.#released;
    await takeWhenReachable(this.#open(), null, signal);
    this.#asking = null;
    process.nextTick(() => this.lockAcquiredFn?.());
    process.nextTick(() => this.emit('acquired'));
  }

  /** The first API: gives it back, or asks no longer. The promise resolves when the store knows. */
  unlock() {
    if (!this.locked) throw new NotHeld(`"${this.name}" is not held`, -7);
    return this.#giveBack(this.#callbacks ? this.lockLostFn : null);
  }

  #giveBack(told) {
    this.#callbacks = false;
    if (this.#asking) {
      this.#asking.abort();
      this.#asking = null;
      return this.#released;
    }
    const released = this.#handle.release();
    this.#released = released.then(
      () => told && process.nextTick(told),
      () => {},
    );
    return released;
  }

  /** A loss that the first API has nobody to tell is an unhandled error. */
  #tellLost(lost) {
    const callbacks = this.#callbacks;
    this.#callbacks = false;
    const heard = this.emit('lost', lost);
    if (this.lockLostFn) this.lockLostFn();
    else if (callbacks && !heard) this.emit('error', lost);
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
