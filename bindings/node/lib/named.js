'use strict';

const { EventEmitter } = require('node:events');
const { Client, DEFAULT_BASE_URI, warn } = require('./client.js');
const { NotHeld } = require('./errors.js');
const { Handle } = require('./handle.js');

/** What a lock and an election have in common: a name, a store, and what is held. */
class Named extends EventEmitter {
  #kind;
  #options;
  #client;
  #handle = null;
  #opened = [];
  #held = null;

  constructor(kind, name, { url, client, ttl, identity, wait, drain }) {
    super();
    this.#kind = kind;
    this.#options = { ttl, identity, wait, drain };
    this.#client = client;
    this.name = name;
    this.baseUrl = url ?? DEFAULT_BASE_URI;
    this.open();
    this.on('newListener', (event) => event === 'lost' && this.#handle.listen(this));
  }

  /** The handle for the name and the store as they are now: both may change between grants. */
  open() {
    const asked = [this.name, this.baseUrl];
    if (asked.every((value, i) => value === this.#opened[i]) || this.isHeld()) return this.#handle;
    const client = this.#client ?? Client.of(this.baseUrl);
    this.#handle = new Handle(this.#kind, this.name, client, this.#options, this);
    if (this.listenerCount('lost') > 0) this.#handle.listen(this);
    this.#opened = asked;
    return this.#handle;
  }

  get client() {
    return this.#handle.client;
  }

  get token() {
    return this.isHeld() ? this.#held.token : null;
  }

  isHeld() {
    return this.#held?.isHeld() ?? false;
  }

  remaining() {
    return this.#held?.remaining() ?? 0;
  }

  async take(value, waitMs, signal) {
    return this.hold(await this.open().take(value, waitMs, signal));
  }

  /** Who refers to the lock or the election refers to what it holds. */
  hold(held) {
    this.#held = held;
    return held;
  }

  async release() {
    if (!this.#held) throw new NotHeld(`"${this.name}" is not held`, -7);
    return this.#held.release();
  }

  cancel() {
    this.#handle.cancel();
  }

  /** To each listener, whatever the others throw. */
  tell(event, what) {
    for (const listener of this.rawListeners(event)) {
      try {
        listener.call(this, what);
      } catch (error) {
        warn(error);
      }
    }
  }

  lose(lost) {
    this.tell('lost', lost);
  }
}

module.exports = { Named };
