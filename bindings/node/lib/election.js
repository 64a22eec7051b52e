'use strict';

const { EventEmitter } = require('node:events');
const { Client, DEFAULT_BASE_URI, Type, native, plainText, report } = require('./client.js');
const { AlreadyHeld, NotHeld } = require('./errors.js');
const { ELECTION, Handle, waitOf } = require('./handle.js');
const { handleOptions, takeWhenReachable } = require('./lock.js');

function leaderOf({ holder, value, token }) {
  return holder === null ? null : { holder, value, token };
}

/** One name that at most one candidate leads at a time; see index.d.ts. */
class Election extends EventEmitter {
  #handle;
  #value;
  #master;
  #lostMaster;
  #stop = null;

  constructor(name, ...rest) {
    super();
    const functions = rest.filter((value) => typeof value === 'function');
    const options = rest.find((value) => typeof value === 'object' && value !== null) ?? {};
    [this.#master, this.#lostMaster] = functions;
    this.#value = options.value;
    this.name = name;
    this.#handle = new Handle(
      ELECTION,
      name,
      options.url ?? DEFAULT_BASE_URI,
      handleOptions(options),
    );
    this.#handle.onLost = (lost) => process.nextTick(() => this.emit('lost', lost));
  }

  async campaign({ value = this.#value, signal, timeout } = {}) {
    return this.#handle.take(value, waitOf(timeout), signal);
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
    this.#stop = new AbortController();
    return this.#terms(this.#stop.signal)
      .catch((error) => this.emit('error', error))
      .finally(() => (this.#stop = null));
  }

  async #terms(stop) {
    while (!stop.aborted) {
      let term;
      try {
        term = await takeWhenReachable(this.#handle, this.#value, stop);
      } catch (error) {
        if (stop.aborted) return;
        throw error;
      }
      if (this.#master) report(this.#master);
      await endOf(AbortSignal.any([term.signal, stop]));
      if (!term.signal.aborted) await this.resign().catch(ignoreNotHeld);
      if (this.#lostMaster) report(this.#lostMaster);
    }
  }

  /** Ends `run`: a leader resigns, a candidate stands no more. */
  shutdown() {
    this.#stop?.abort();
  }
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
