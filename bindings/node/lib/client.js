'use strict';

const { isMainThread } = require('node:worker_threads');
const native = require('../build/mpsync_node.node');
const { checked, errorOf, Closed } = require('./errors.js');
const { asyncDispose, optionText, plainText } = require('./values.js');

const DEFAULT_BASE_URI = 'http://localhost:13131';

/** `mpsync_event_type`. */
const Type = { HELD: 1, LOST: 2, RELEASED: 3, WAITING: 7, LEADER: 8, LOG: 9, TERM: 11, ENDING: 12 };
/** These come before a request has ended. */
const STAGES = new Set([Type.WAITING, Type.LEADER, Type.LOG, Type.TERM, Type.ENDING]);

let log = () => {};

/** Let the package tell on standard error what it does. */
function debug() {
  log = (...words) => console.error('metaparticle-sync:', ...words);
}

/** What a program should know and did not ask for. */
function warn(what) {
  process.emitWarning(what, { type: 'MetaparticleSyncWarning' });
}

const closed = () => new Closed('the client is closed', -12);

/** The event of a request that has failed as an error. */
function errorOfEvent(event) {
  const text = native.mpsync_status_text(event.status);
  return errorOf(event.status, event.message ?? (event.holder ? `${text}: ${event.holder}` : text));
}

/** Give C the options by name, for as long as `call` runs. */
function withOptions(given, call) {
  const options = checked(() => native.mpsync_options_new());
  try {
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) continue;
      const text = optionText(name, value);
      checked(() => native.mpsync_options_set(options, name, text));
    }
    return checked(() => call(options));
  } finally {
    native.mpsync_options_free(options);
  }
}

/** When the last handle of a shared client has gone, so does the client. */
const unreachable = new FinalizationRegistry(({ client, id }) => client.drop(id));

/** A connection to one store; see index.d.ts. */
class Client {
  #native;
  #pump;
  #numbers = 0;
  #requests = new Map();
  #grants = new Map();
  #handles = new Map();
  #wanted = 0;
  #closing = null;
  #sharedAs = null; // the URL, of a client that all locks of it share

  constructor(url, options = {}) {
    const text = url === DEFAULT_BASE_URI ? null : url && plainText('url', url);
    const queue = checked(() => native.mpsync_queue_new());
    try {
      this.#native = withOptions(options, (set) =>
        native.mpsync_client_open(text ?? null, set, queue),
      );
    } catch (error) {
      native.mpsync_queue_free(queue);
      throw error;
    }
    const tell = (event) => this.#dispatch(event);
    this.#pump = native.pump_start(this.#native, queue, isMainThread ? 0 : 1, tell);
  }

  static #byUrl = new Map();

  /** The one that all locks of this URL share. */
  static of(url = DEFAULT_BASE_URI) {
    let client = Client.#byUrl.get(url);
    if (!client) {
      client = new Client(url);
      client.#sharedAs = url;
      Client.#byUrl.set(url, client);
    }
    return client;
  }

  /** The C library's handle. */
  get native() {
    if (this.#closing) throw closed();
    return this.#native;
  }

  get isOpen() {
    return this.#closing === null;
  }

  get url() {
    return native.mpsync_client_url(this.native);
  }

  /** Counts what the loop has to go on for. */
  want(change) {
    const before = this.#wanted > 0;
    this.#wanted += change;
    const after = this.#wanted > 0;
    if (before !== after && this.#pump) native.pump_ref(this.#pump, after ? 1 : 0);
  }

  /** From here on the C handle lasts until the object cannot be reached any more. */
  adopt(handle, keep, id) {
    keep(this.#pump, handle.raw);
    this.#handles.set(id, new WeakRef(handle));
    unreachable.register(handle, { client: this, id });
  }

  /** How many locks and elections are not freed yet. */
  get handleCount() {
    return this.#handles.size;
  }

  drop(id) {
    if (this.#handles.delete(id) && this.#pump) native.pump_free(this.#pump, id);
    if (this.#sharedAs && this.#handles.size === 0) this.close();
  }

  /** Losses are told to it until it has ended, whoever refers to what it belongs to. */
  enter(grant) {
    this.#grants.set(grant.number, grant);
  }

  leave(grant) {
    this.#grants.delete(grant.number);
  }

  /** Make a call with a number of its own, which is returned; `end` is told of its last event. */
  start(call, end, stage) {
    if (this.#closing) throw closed();
    const opId = ++this.#numbers;
    checked(() => call(opId));
    this.#requests.set(opId, { end, stage });
    this.want(1);
    return opId;
  }

  /** As `start`; resolves with the event, or rejects with its error. */
  ask(call) {
    return new Promise((resolve, reject) => {
      this.start(call, (event) =>
        event.status === 0 ? resolve(event) : reject(errorOfEvent(event)),
      );
    });
  }

  #dispatch(event) {
    log(event);
    if (event.type === Type.LOG) warn(event.message);
    if (event.type === Type.LOST) this.#grants.get(event.grant)?.lose(event.reason);
    if (event.type === Type.RELEASED && event.opId === 0)
      this.#grants.get(event.grant)?.end(closed());
    const request = this.#requests.get(event.opId);
    if (STAGES.has(event.type)) request?.stage?.(event);
    else if (request) this.#end(event.opId, event);
  }

  #end(opId, event) {
    const { end } = this.#requests.get(opId);
    this.#requests.delete(opId);
    this.want(-1);
    end(event);
  }

  /** Gives up what is held, and ends what is asked for. */
  close() {
    if (Client.#byUrl.get(this.#sharedAs) === this) Client.#byUrl.delete(this.#sharedAs);
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    await this.ask((opId) => native.mpsync_client_close_start(this.#native, opId));
    for (const opId of [...this.#requests.keys()]) this.#end(opId, { status: -12, message: null });
    for (const handle of this.#handles.values()) handle.deref()?.detach();
    this.#handles.clear();
    native.pump_end(this.#pump);
    this.#pump = this.#native = null;
  }

  async [asyncDispose]() {
    await this.close();
  }
}

module.exports = { Client, DEFAULT_BASE_URI, Type, debug, errorOfEvent, native, warn, withOptions };
