'use strict';

const {
  AlreadyHeld,
  InvalidArgument,
  LockLost,
  LockTimeout,
  NotHeld,
  Unsupported,
} = require('./errors.js');
const { LOCK } = require('./handle.js');
const { Named } = require('./named.js');
const { WAIT_FOR_EVER, asyncDispose, parametersOf, waitOf } = require('./values.js');

const OPTIONS = ['url', 'client', 'ttl', 'identity', 'wait', 'drain'];
const REQUEST_OPTIONS = [...OPTIONS, 'signal', 'timeout', 'mode', 'ifAvailable', 'steal'];

/** One name that at most one holder has at a time; see index.d.ts. */
class Lock extends Named {
  #asking = null; // of `lock()`: withdraws it
  #calls = false; // what is held was asked for by `lock()`

  constructor(name, ...rest) {
    const { functions, options } = parametersOf(rest, OPTIONS);
    super(LOCK, name, options);
    [this.lockAcquiredFn, this.lockLostFn] = functions;
  }

  /** The first API: whether it was asked for and not given back. Whether it is held: `isHeld()`. */
  get locked() {
    return this.#asking !== null || this.isHeld();
  }

  set locked(locked) {
    if (!locked && this.locked) this.#giveBack();
  }

  async acquire({ signal, timeout } = {}) {
    return this.take(null, waitOf(timeout), signal);
  }

  async tryAcquire() {
    try {
      return await this.take(null, 0);
    } catch (error) {
      if (error instanceof LockTimeout) return null;
      throw error;
    }
  }

  /** The first API: asks until it is held, and calls `lockAcquiredFn` then. */
  lock() {
    if (this.locked) {
      throw new AlreadyHeld(`"${this.name}" is held, or asked for, already`, -8);
    }
    const { signal } = (this.#asking = new AbortController());
    this.#calls = true;
    this.open().listen(this);
    this.take(null, WAIT_FOR_EVER, signal).then(
      () => {
        this.#asking = null;
        process.nextTick(() => this.lockAcquiredFn?.());
        process.nextTick(() => this.emit('acquired'));
      },
      (error) => {
        if (signal.aborted) return;
        this.#asking = null;
        process.nextTick(() => this.emit('error', error));
      },
    );
  }

  /** The first API: gives it back, or asks no longer. The promise resolves when the store knows. */
  async #unlock() {
    const told = this.#calls ? this.lockLostFn : null;
    const asked = this.#asking !== null;
    await this.#giveBack();
    if (told && !asked) process.nextTick(told);
  }

  unlock() {
    if (!this.locked) throw new NotHeld(`"${this.name}" is not held`, -7);
    return this.#unlock();
  }

  async #giveBack() {
    const asking = this.#asking;
    this.#calls = false;
    this.#asking = null;
    if (asking) asking.abort();
    else await this.release();
  }

  /** A loss that the first API has nobody to tell is an unhandled error. */
  lose(lost) {
    const calls = this.#calls;
    this.#calls = false;
    super.lose(lost);
    if (this.lockLostFn) process.nextTick(() => this.lockLostFn());
    else if (calls && this.listenerCount('lost') === 0) {
      process.nextTick(() => this.emit('error', lost));
    }
  }
}

/** A loss goes before what the work threw, which is its cause then. */
async function underLock(held, work) {
  let thrown;
  try {
    return await work(held);
  } catch (error) {
    thrown = { error };
    throw error;
  } finally {
    await held[asyncDispose]().catch((error) => {
      if (!thrown) throw error;
      if (!(error instanceof LockLost) || error === thrown.error) return;
      error.cause = thrown.error;
      throw error;
    });
  }
}

/** Refuses what the locks of browsers can do and these cannot. */
function checkAsking({ mode = 'exclusive', steal, ifAvailable, timeout }) {
  if (mode === 'shared') throw new Unsupported('mode "shared": locks here are exclusive', -14);
  if (mode !== 'exclusive')
    throw new InvalidArgument(`mode: "exclusive" is expected, not ${mode}`, -1);
  if (steal) throw new Unsupported('steal: a program does not take what another one holds', -14);
  if (ifAvailable && timeout)
    throw new InvalidArgument('ifAvailable does not wait: no timeout', -1);
}

async function request(name, ...rest) {
  const { functions, options } = parametersOf(rest, REQUEST_OPTIONS);
  const { signal, timeout, ifAvailable, mode, steal, ...where } = options;
  const [work] = functions;
  if (!work) throw new TypeError('a function is expected, which runs under the lock');
  checkAsking({ mode, steal, ifAvailable, timeout });
  const asked = new Lock(name, where).acquire({ signal, timeout: ifAvailable ? 0 : timeout });
  const held = await asked.catch((error) => {
    if (ifAvailable && error instanceof LockTimeout) return null;
    throw error;
  });
  return held ? underLock(held, work) : work(null);
}

module.exports = { Lock, request };
