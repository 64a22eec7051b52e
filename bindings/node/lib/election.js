'use strict';

const { Type, errorOfEvent, native, warn } = require('./client.js');
const { AlreadyHeld, LockLost } = require('./errors.js');
const { ELECTION } = require('./handle.js');
const { Named } = require('./named.js');
const { Run } = require('./run.js');
const {
  WAIT_FOR_EVER,
  parametersOf,
  plainText,
  valueOf,
  waitOf,
  whenAborted,
} = require('./values.js');

const OPTIONS = ['url', 'client', 'ttl', 'identity', 'wait', 'drain', 'value'];

function leaderOf({ holder, value, token }) {
  return holder === null ? null : { holder, value, token };
}

/** Outside of any promise, so that it is an uncaught exception. */
function throwUncaught(error) {
  process.nextTick(() => {
    throw error;
  });
}

const aborted = (signal) => new Promise((resolve) => whenAborted(signal, resolve));

/** One name that at most one candidate leads at a time; see index.d.ts. */
class Election extends Named {
  #value;
  #loop = null; // an AbortController: ends `lead` or `run`
  #stopped = false; // before it began
  #ran = Promise.resolve(); // `run` queues behind the run that was shut down

  constructor(name, ...rest) {
    const { functions, options } = parametersOf(rest, OPTIONS);
    super(ELECTION, name, options);
    [this.masterFn, this.lostMasterFn] = functions;
    this.#value = options.value;
  }

  /** The first API: what is stood for, as a lock. */
  get lock() {
    return this;
  }

  get locked() {
    return this.#loop !== null || this.isLeader();
  }

  async campaign({ value = this.#value, signal, timeout } = {}) {
    return this.take(value, waitOf(timeout), signal);
  }

  async resign() {
    return this.release();
  }

  isLeader() {
    return this.isHeld();
  }

  async setValue(value) {
    const text = plainText('value', value);
    const { client, raw } = this.open();
    await client.ask((opId) => native.mpsync_election_set_value_start(raw, opId, text));
    this.#value = value;
  }

  async leader() {
    for await (const leader of this.observe()) return leader;
    return null;
  }

  async *observe({ signal } = {}) {
    const { client } = this.open();
    const told = [];
    let wake = () => {};
    let end = null;
    signal?.throwIfAborted();
    const opId = client.start(
      (number) => native.mpsync_client_observe_start(client.native, number, this.name),
      (event) => {
        end = event;
        wake();
      },
      (event) => {
        if (event.type === Type.LEADER) told.push(leaderOf(event));
        wake();
      },
    );
    const stop = () => client.isOpen && native.mpsync_client_observe_stop(client.native, opId);
    const listens = whenAborted(signal, stop);
    try {
      for (;;) {
        while (told.length > 0) yield told.shift();
        if (end) break;
        await new Promise((resolve) => (wake = resolve));
      }
      if (end.status !== 0) throw errorOfEvent(end);
    } finally {
      listens();
      if (!end) stop();
    }
  }

  /** Stands again and again until the loop is aborted, whose end is this one's. */
  async #lead(work, failed, value, waitMs, loop) {
    let listens = () => {};
    try {
      const text = valueOf(value);
      const run = new Run(this.open(), (term) => work(this.hold(term)), failed);
      listens = whenAborted(loop.signal, () => run.stop());
      if (!loop.signal.aborted) await run.start(text, waitMs);
    } finally {
      listens();
      if (this.#loop === loop) this.#loop = null;
    }
  }

  #begin() {
    if (this.#loop) throw new AlreadyHeld(`the election "${this.name}" is running already`, -8);
    this.#loop = new AbortController();
    return this.#loop;
  }

  async lead(work, { value = this.#value, signal, timeout } = {}) {
    if (typeof work !== 'function') throw new TypeError('a function is expected, which leads');
    const waitMs = waitOf(timeout);
    const loop = this.#begin();
    const listens = whenAborted(signal, () => loop.abort());
    if (this.#stopped || signal?.aborted) loop.abort();
    this.#stopped = false;
    try {
      await this.#lead(work, (error) => this.#tellFailure(error), value, waitMs, loop);
    } finally {
      listens();
    }
  }

  /** Ends `lead`: the one that goes on, or else the next. */
  stop() {
    if (this.#loop) this.#loop.abort();
    else this.#stopped = true;
  }

  #tellFailure(error) {
    if (this.listenerCount('error') > 0) this.tell('error', error);
    else warn(error instanceof Error ? error : String(error));
  }

  /** The first API: stands again and again until `shutdown`, and tells the functions. */
  run() {
    const loop = this.#begin();
    this.#ran = this.#ran
      .then(() => this.#lead(this.#serve, throwUncaught, this.#value, WAIT_FOR_EVER, loop))
      .catch((error) => process.nextTick(() => this.emit('error', error)));
    return this.#ran;
  }

  /** One term of the first API: it lasts although `masterFn` returns, and ends where that throws. */
  #serve = async (term) => {
    const over = aborted(term.signal);
    const master = (async () => this.masterFn?.())();
    await Promise.race([over, master.then(() => over)]).catch(() => {});
    if (term.signal.reason instanceof LockLost) this.lose(term.signal.reason);
    await this.lostMasterFn?.();
    await master;
  };

  /** Ends `run`: a leader resigns when its functions have returned, a candidate stands no more. */
  shutdown() {
    this.#loop?.abort();
    this.#loop = null;
  }
}

module.exports = { Election };
