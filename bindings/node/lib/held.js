'use strict';

const { native } = require('./client.js');
const { Cancelled, LockLost } = require('./errors.js');
const { asyncDispose } = require('./values.js');

const FIRST_ASKED = 7; // below are the reasons of a loss

/** A grant that nobody refers to any more goes on, but does not keep the process running. */
const unreferenced = new FinalizationRegistry((grant) => grant.unkeep());

/** What the client knows of one grant, whether anybody refers to its `Held` or not. */
class Grant {
  ending = null;
  #handle;
  #controller = new AbortController();
  #ended = false;
  #keeps = false;

  constructor(handle, event) {
    this.#handle = handle;
    this.number = event.grant;
    this.name = handle.name;
    this.token = event.token;
    handle.client.enter(this);
  }

  get signal() {
    return this.#controller.signal;
  }

  get ended() {
    return this.#ended;
  }

  isHeld() {
    return this.#handle.kind.isHeld(this.#handle.raw, this.number) !== 0;
  }

  remaining() {
    return this.#handle.kind.remainingMs(this.#handle.raw, this.number);
  }

  keep(held) {
    this.#keeps = true;
    this.#handle.client.want(1);
    unreferenced.register(held, this);
  }

  unkeep() {
    if (this.#keeps) this.#handle.client.want(-1);
    this.#keeps = false;
  }

  #askRelease() {
    const { client, kind, raw } = this.#handle;
    return client.ask((opId) => kind.releaseStart(raw, opId, this.number));
  }

  async release() {
    try {
      const released = this.#askRelease();
      this.end();
      await released;
    } catch (error) {
      // The event that tells of a loss may not have come yet.
      const reason = this.#handle.kind.lostReason(this.#handle.raw, this.number);
      if (reason !== 0) this.lose(reason);
      throw error;
    }
  }

  /** Of a run: its work, which may be what asks, is told to end, so nobody waits for that here. */
  async resign() {
    this.#askRelease().catch(() => {}); // it has ended meanwhile
  }

  lose(reason) {
    if (this.signal.aborted) return;
    const lost = new LockLost(`"${this.name}" was lost (${native.mpsync_reason_text(reason)})`, -3);
    this.end(lost);
    this.#handle.owner?.lose(lost);
  }

  /** The work of a term shall end. */
  tellEnding(event) {
    const reason = native.mpsync_reason_text(event.reason);
    const left = event.leftMs < 0 ? Infinity : event.leftMs;
    this.ending = { reason, left };
    const words = `the term of "${this.name}" ${left > 0 ? 'is to end' : 'has ended'} (${reason})`;
    this.end(event.reason < FIRST_ASKED ? new LockLost(words, -3) : new Cancelled(words, -6));
  }

  /** Once: it keeps the loop going no longer. */
  end(why) {
    this.#ended = true;
    this.unkeep();
    this.#handle.client.leave(this);
    if (why) this.#controller.abort(why);
  }
}

/** One grant of a lock, or one term of a leader; see index.d.ts. */
class Held {
  #grant;

  constructor(grant) {
    this.#grant = grant;
    this.name = grant.name;
    this.token = grant.token;
    grant.keep(this);
  }

  get signal() {
    return this.#grant.signal;
  }

  isHeld() {
    return this.#grant.isHeld();
  }

  remaining() {
    return this.#grant.remaining();
  }

  release() {
    return this.#grant.release();
  }

  toJSON() {
    return { name: this.name, token: String(this.token) };
  }

  async [asyncDispose]() {
    this.signal.throwIfAborted();
    if (this.#grant.ended) return;
    try {
      await this.release();
    } catch (error) {
      throw this.signal.aborted ? this.signal.reason : error;
    }
  }
}

/** One term of `lead`; see index.d.ts. */
class Term extends Held {
  #grant;

  constructor(grant) {
    super(grant);
    this.#grant = grant;
  }

  get ending() {
    return this.#grant.ending;
  }

  release() {
    return this.#grant.resign();
  }
}

module.exports = { Grant, Held, Term };
