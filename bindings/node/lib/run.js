'use strict';

const { Type, errorOfEvent, native } = require('./client.js');
const { Grant, Term } = require('./held.js');

/** Term after term, as the C library's loop tells: it runs the work, and reports its end. */
class Run {
  #handle;
  #work;
  #opId;
  #grant = null;
  #working = Promise.resolve();

  /** `work(term)` is called for each term; what it throws goes to `failed`. */
  constructor(handle, work, failed) {
    this.#handle = handle;
    this.#work = async (term) => {
      try {
        await work(term);
        return 0;
      } catch (error) {
        // Work that was told to end often ends by an error that says just that.
        if (term.signal.aborted && (error === term.signal.reason || error?.name === 'AbortError'))
          return 0;
        failed(error);
        return 1;
      }
    };
  }

  /** Resolves when it has been stopped, and its work has ended. */
  start(value, waitMs) {
    const { client, raw } = this.#handle;
    return new Promise((resolve, reject) => {
      this.#opId = client.start(
        (opId) => native.mpsync_election_run_start(raw, opId, value, waitMs),
        (event) =>
          this.#working.then(() => (event.status === 0 ? resolve() : reject(errorOfEvent(event)))),
        (event) => this.#take(event),
      );
    });
  }

  stop() {
    this.#handle.end((raw) => native.mpsync_election_run_stop(raw, this.#opId));
  }

  #take(event) {
    if (event.type === Type.TERM) this.#working = this.#lead(event);
    else if (event.type === Type.ENDING) this.#grant.tellEnding(event);
    else if (event.type === Type.WAITING) this.#handle.tellWaiting(event);
  }

  async #lead(event) {
    this.#grant = new Grant(this.#handle, event);
    const failed = await this.#work(new Term(this.#grant));
    this.#handle.end((raw) => native.mpsync_election_term_done(raw, event.grant, failed));
  }
}

module.exports = { Run };
