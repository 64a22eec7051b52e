'use strict';

const { Client, Type, milliseconds, native, optionText, plainText } = require('./client.js');
const { checked, LockLost, NotHeld } = require('./errors.js');

const WAIT_AS_OPTION = -2;
const WAIT_FOR_EVER = -1;

/** The C functions of each kind of handle. */
const LOCK = {
  make: native.mpsync_lock_new,
  free: native.mpsync_lock_free,
  id: native.mpsync_lock_id,
  start: (lock, opId, _value, waitMs) => native.mpsync_lock_acquire_start(lock, opId, waitMs),
  cancel: native.mpsync_lock_cancel,
  releaseStart: native.mpsync_lock_release_start,
  isHeld: native.mpsync_lock_is_held,
  remainingMs: native.mpsync_lock_remaining_ms,
  lostReason: native.mpsync_lock_lost_reason,
};
const ELECTION = {
  make: native.mpsync_election_new,
  free: native.mpsync_election_free,
  id: native.mpsync_election_id,
  start: native.mpsync_election_campaign_start,
  cancel: native.mpsync_election_cancel,
  releaseStart: native.mpsync_election_resign_start,
  isHeld: native.mpsync_election_is_leader,
  remainingMs: native.mpsync_election_remaining_ms,
  lostReason: native.mpsync_election_lost_reason,
};

const abandoned = new FinalizationRegistry(({ client, kind, raw, id }) => {
  client.unregister(id);
  kind.free(raw);
});

/** One grant of a lock, or one term of a leader. It stays ended when it has ended. */
class Held {
  #handle;
  #grant;
  #raw;
  #isHeld;
  #controller = new AbortController();
  #ended = false;

  constructor(handle, event) {
    this.#handle = handle;
    this.#grant = event.grant;
    this.#raw = handle.raw;
    this.#isHeld = handle.kind.isHeld;
    this.name = handle.name;
    this.token = event.token;
  }

  /** Aborts when the grant is lost; its reason is a `LockLost`. */
  get signal() {
    return this.#controller.signal;
  }

  isHeld() {
    return this.#isHeld(this.#raw, this.#grant) !== 0;
  }

  remaining() {
    return this.#handle.kind.remainingMs(this.#raw, this.#grant);
  }

  async release() {
    const { client, kind } = this.#handle;
    try {
      const { ended } = client.start((opId) => kind.releaseStart(this.#raw, opId, this.#grant));
      this.end();
      Client.result(await ended);
    } catch (error) {
      // The event that tells of a loss may not have come yet.
      const reason = kind.lostReason(this.#raw, this.#grant);
      if (reason !== 0) this.#handle.tellLost(this, reason);
      throw error;
    }
  }

  isOf(event) {
    return this.#grant === event.grant;
  }

  /** Release at the end of its scope: a loss, before or during it, is what it rejects with. */
  async finish() {
    this.signal.throwIfAborted();
    try {
      await this.release();
    } catch (error) {
      throw this.signal.aborted ? this.signal.reason : error;
    }
  }

  /** Release without waiting, and without a word if it has ended already. */
  letGo() {
    this.release().catch(() => {});
  }

  /** Once: it keeps the loop going no longer. */
  end(lost) {
    if (!this.#ended) this.#handle.client.want(-1);
    this.#ended = true;
    if (lost) this.#controller.abort(lost);
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    if (this.signal.aborted || !this.#ended) await this.finish();
  }
}

/** A native lock or election with its present grant. */
class Handle {
  held = null;
  #latest = null; // held, or being released: it may be lost yet
  onLost = () => {};

  constructor(kind, name, url, given) {
    this.kind = kind;
    this.name = plainText('name', name);
    this.client = Client.of(url);
    const options = checked(() => native.mpsync_options_new());
    try {
      for (const [option, value] of Object.entries(given)) {
        if (value === undefined) continue;
        const text = optionText(option, value);
        checked(() => native.mpsync_options_set(options, option, text));
      }
      this.raw = checked(() => kind.make(this.client.native, name, options));
    } finally {
      native.mpsync_options_free(options);
    }
    const id = Number(kind.id(this.raw));
    this.client.register(id, this);
    abandoned.register(this, { client: this.client, kind, raw: this.raw, id });
  }

  /** Ask; resolves with a Held. A signal that aborts withdraws the request. */
  async take(value, waitMs, signal) {
    signal?.throwIfAborted();
    const text = value === undefined || value === null ? null : plainText('value', value);
    let held;
    const { opId, ended } = this.client.start((number) =>
      this.kind.start(this.raw, number, text, waitMs),
    );
    this.client.onEnd(opId, (event) => {
      if (event.type === Type.HELD) held = this.#begin(event);
    });
    const cancel = () => this.cancel();
    signal?.addEventListener('abort', cancel);
    try {
      const event = await ended;
      if (signal?.aborted) {
        held?.letGo();
        throw signal.reason;
      }
      Client.result(event);
      return held;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  #begin(event) {
    this.held = this.#latest = new Held(this, event);
    this.client.want(1);
    return this.held;
  }

  /** Called by the client: a grant has ended unasked. */
  lose(event) {
    if (this.#latest?.isOf(event)) this.tellLost(this.#latest, event.reason);
  }

  /** Tell of a loss, once. */
  tellLost(held, why) {
    if (held.signal.aborted) return;
    if (this.held === held) this.held = null;
    const reason = native.mpsync_reason_text(why);
    const lost = new LockLost(`"${this.name}" was lost (${reason})`, -3);
    held.end(lost);
    this.onLost(lost);
  }

  cancel() {
    checked(() => this.kind.cancel(this.raw));
  }

  isHeld() {
    return this.held?.isHeld() ?? false;
  }

  release() {
    const { held } = this;
    this.held = null;
    if (!held) throw new NotHeld(`"${this.name}" is not held`, -7);
    return held.release();
  }
}

/** How long to wait: the option `wait` without a timeout. */
function waitOf(timeout) {
  return timeout === undefined ? WAIT_AS_OPTION : milliseconds('timeout', timeout);
}

module.exports = { ELECTION, Handle, Held, LOCK, WAIT_FOR_EVER, waitOf };
