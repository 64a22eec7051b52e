'use strict';

const { Type, errorOfEvent, native, withOptions } = require('./client.js');
const { Closed, NotHeld, checked } = require('./errors.js');
const { Grant, Held } = require('./held.js');
const { plainText, valueOf, whenAborted } = require('./values.js');

/** The C functions of each kind of handle. */
const LOCK = {
  make: native.mpsync_lock_new,
  keep: native.pump_keep_lock,
  id: native.mpsync_lock_id,
  start: (lock, opId, _value, waitMs) => native.mpsync_lock_acquire_start(lock, opId, waitMs),
  cancel: native.mpsync_lock_cancel,
  withdraw: native.mpsync_lock_withdraw,
  releaseStart: native.mpsync_lock_release_start,
  isHeld: native.mpsync_lock_is_held,
  remainingMs: native.mpsync_lock_remaining_ms,
  lostReason: native.mpsync_lock_lost_reason,
};
const ELECTION = {
  make: native.mpsync_election_new,
  keep: native.pump_keep_election,
  id: native.mpsync_election_id,
  start: native.mpsync_election_campaign_start,
  cancel: native.mpsync_election_cancel,
  withdraw: native.mpsync_election_withdraw,
  releaseStart: native.mpsync_election_resign_start,
  isHeld: native.mpsync_election_is_leader,
  remainingMs: native.mpsync_election_remaining_ms,
  lostReason: native.mpsync_election_lost_reason,
};

/** A native lock or election. What it holds or asks for keeps it, and its owner while that listens. */
class Handle {
  #owner;
  #listening = null;

  constructor(kind, name, client, options, owner) {
    this.kind = kind;
    this.name = plainText('name', name);
    this.client = client;
    this.#owner = new WeakRef(owner);
    this.raw = withOptions(options, (set) => kind.make(client.native, name, set));
    client.adopt(this, kind.keep, Number(kind.id(this.raw)));
  }

  /** Its client is closed, and freed it. */
  detach() {
    this.raw = null;
  }

  /** The owner has somebody to tell, so it lasts as long as what there is to be told of. */
  listen(owner) {
    this.#listening = owner;
  }

  get owner() {
    return this.#listening ?? this.#owner.deref();
  }

  tellWaiting({ holder, position }) {
    this.owner?.tell('waiting', { holder, position });
  }

  /** Ask; resolves with a Held. A signal that aborts takes the request back. */
  take(value, waitMs, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const text = valueOf(value);
      const opId = this.client.start(
        (number) => this.kind.start(this.raw, number, text, waitMs),
        (event) => {
          listens();
          if (signal?.aborted) return;
          if (event.type === Type.HELD) resolve(new Held(new Grant(this, event)));
          else reject(errorOfEvent(event));
        },
        (event) => this.tellWaiting(event),
      );
      const listens = whenAborted(signal, () => {
        reject(signal.reason);
        this.end((raw) => this.kind.withdraw(raw, opId));
      });
    });
  }

  cancel() {
    this.end(this.kind.cancel);
  }

  /** Make a call that ends something, which a client that closes may have ended before. */
  end(call) {
    try {
      if (this.raw) checked(() => call(this.raw));
    } catch (error) {
      if (!(error instanceof Closed || error instanceof NotHeld)) throw error;
    }
  }
}

module.exports = { ELECTION, Handle, LOCK };
