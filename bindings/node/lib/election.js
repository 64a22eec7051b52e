'use strict';

const { EventEmitter } = require('node:events');
const { Client, DEFAULT_BASE_URI, Type, native, plainText } = require('./client.js');
const { AlreadyHeld, NotHeld } = require('./errors.js');
const { ELECTION, Handle, waitOf } = require('./handle.js');
const { handleOptions, takeWhenReachable } = require('./lock.js');

function leaderOf({ holder, value, token }) {
  return holder === null ? null : { holder, value, token };
}

/** One name that at most one candidate leads at a time; see index.d.ts. */
class Election extends EventEmitter {
  #handle = null;
  #options;
  #opened = [];
  #value;
  #master;
  #lostMaster;
  #stop = null;
  #ran = Promise.resolve();

  constructor(name, ...rest) {
    super();
    const functions = rest.filter((value) => typeof value === 'function');
    const options = rest.find((value) => typeof value === 'object' && value !== null) ?? {};
    [this.#master, this.#lostMaster] = functions;
    this.#value = options.value;
    this.#options = handleOptions(options);
    this.name = name;
    this.baseUrl = options.url ?? DEFAULT_BASE_URI;
    this.#open();
  }

  /** The handle for the name and the store as they are now: both may change between terms. */
  #open() {
    const asked = [this.name, this.baseUrl];
    if (asked.every((value, i) => value === this.#opened[i]) || this.#handle?.held) {
      return this.#handle;
    }
    this.#handle = new Handle(ELECTION, this.name, this.baseUrl, this.#options);
    this.#handle.onLost = (lost) => process.nextTick(() => this.emit('lost', lost));
    this.#opened = asked;
    return this.#handle;
  }

  /** The first API: what is stood for, as a lock. */
  get lock() {
    return this;
  }

  get locked() {
    return this.#stop !== null || this.isLeader();
  }

  async campaign({ value = this.#value, signal, timeout } = {}) {
    return this.#open().take(value, waitOf(timeout), signal);
  }

  async resign() {
    return this.#handle.release();
  }

  cancel() {
    this.#handle.cancel();
  }

  isLeader() {
    return this.#handle.isHeld();
  }

  async setValue(value) {
    const { client, raw } = this.#handle;
    const text = plainText('value', value);
    await client.ask((opId) => native.mpsync_election_set_value_start(raw, opId, text));
    this.#value = value;
  }

  async leader() {
    for await (const leader of this.observe()) return leader;
    return null;
  }

  async *observe({ signal } = {}) {
    const { client } = this.#handle;
    const told = [];
    let wake = () => {};
    const tell = (event) => {
      if (event.type === Type.LEADER) told.push(leaderOf(event));
      wake();
    };
    signal?.throwIfAborted();
    const { opId, ended } = client.start(
      (number) => native.mpsync_client_observe_start(client.native, number, this.name),
      tell,
    );
    let end = null;
    ended.then((event) => {
      end = event;
      wake();
    });
    const stop = () => native.mpsync_client_observe_stop(client.native, opId);
    signal?.addEventListener('abort', stop);
    try {
      for (;;) {
        while (told.length > 0) yield told.shift();
        if (end) break;
        await new Promise((resolve) => (wake = resolve));
      }
      Client.result(end);
    } finally {
      signal?.removeEventListener('abort', stop);
      if (!end) stop();
    }
  }

  /** The first API: stands again and again until `shutdown`, and tells the functions. */
  run() {
    if (this.#stop) throw new AlreadyHeld(`the election "${this.name}" is running already`, -8);
    const stop = (this.#stop = new AbortController());
    this.#ran = this.#ran
      .then(() => this.#terms(stop.signal))
      .catch((error) => this.emit('error', error))
      .finally(() => {
        if (this.#stop === stop) this.#stop = null;
      });
    return this.#ran;
  }

  async #terms(stop) {
    while (!stop.aborted) {
      let term;
      try {
        term = await takeWhenReachable(this.#open(), this.#value, stop);
      } catch (error) {
        if (stop.aborted) return;
        throw error;
      }
      if (this.#master) await tell(this.#master);
      await endOf(AbortSignal.any([term.signal, stop]));
      if (!term.signal.aborted) await this.resign().catch(ignoreNotHeld);
      if (this.#lostMaster) await tell(this.#lostMaster);
    }
  }

  /** Ends `run`: a leader resigns, a candidate stands no more. */
  shutdown() {
    this.#stop?.abort();
    this.#stop = null;
  }
}

/** Outside of any promise, so that what it throws is an uncaught exception. */
function tell(callback) {
  return new Promise((resolve) =>
    process.nextTick(() => {
      resolve();
      callback();
    }),
  );
}

function endOf(signal) {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

/** It was lost, or given back, in the same moment. */
function ignoreNotHeld(error) {
  if (!(error instanceof NotHeld)) throw error;
}

module.exports = { Election };
