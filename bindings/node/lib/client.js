'use strict';

const native = require('../build/mpsync_node.node');
const { checked, errorOf, InvalidArgument } = require('./errors.js');

const DEFAULT_BASE_URI = 'http://localhost:13131';

/** `mpsync_event_type`. */
const Type = { HELD: 1, LOST: 2, WAITING: 7, LEADER: 8, LOG: 9 };

let log = () => {};

/** Let the package tell on standard error what it does. */
function debug() {
  log = (...words) => console.error('metaparticle-sync:', ...words);
}

/** Text that C can take whole, or an error that says what is wrong with it. */
function plainText(what, text) {
  if (typeof text !== 'string') throw new TypeError(`${what}: a string is expected, not ${text}`);
  if (text.includes('\0')) {
    throw new InvalidArgument(`${what}: ${JSON.stringify(text)} has a NUL character in it`, -1);
  }
  if (/\p{Surrogate}/u.test(text)) {
    throw new InvalidArgument(`${what}: ${JSON.stringify(text)} is not valid Unicode`, -1);
  }
  return text;
}

/** A number is milliseconds, text is passed on as it is. */
function optionText(name, value) {
  return typeof value === 'number' ? `${milliseconds(name, value)}ms` : plainText(name, value);
}

function milliseconds(what, value) {
  if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER) {
    throw new InvalidArgument(`${what}: ${value} is not a number of milliseconds from 0 on`, -1);
  }
  return Math.ceil(value);
}

/** The event of a failed request as an error. */
function errorOfEvent(event) {
  const text = native.mpsync_status_text(event.status);
  return errorOf(
    event.status,
    event.message ?? (event.holder === null ? text : `${text}: ${event.holder} has it`),
  );
}

/** A connection to one URL. The loop goes on while something is held, or asked for. */
class Client {
  #native;
  #pump;
  #numbers = 0;
  #requests = new Map();
  #handles = new Map();
  #wanted = 0;

  constructor(url) {
    const queue = checked(() => native.mpsync_queue_new());
    this.#native = checked(() => native.mpsync_client_open(url, null, queue));
    this.#pump = native.pump_start(this.#native, queue, (event) => this.#dispatch(event));
  }

  static #byUrl = new Map();

  static of(url) {
    const key = url === DEFAULT_BASE_URI || url === undefined ? null : plainText('url', url);
    if (!Client.#byUrl.has(key)) Client.#byUrl.set(key, new Client(key));
    return Client.#byUrl.get(key);
  }

  get native() {
    return this.#native;
  }

  /** Counts what the loop has to go on for. */
  want(change) {
    const before = this.#wanted > 0;
    this.#wanted += change;
    const after = this.#wanted > 0;
    if (before !== after) native.pump_ref(this.#pump, after ? 1 : 0);
  }

  /** Losses of this handle are told to `lost`, for as long as somebody has it. */
  register(id, handle) {
    this.#handles.set(id, new WeakRef(handle));
  }

  /** How many locks and elections are not freed yet. */
  get handleCount() {
    return this.#handles.size;
  }

  unregister(id) {
    this.#handles.delete(id);
  }

  /** Make a call with a number of its own; `progress` is told of what comes before the end. */
  start(call, progress) {
    const opId = ++this.#numbers;
    checked(() => call(opId));
    this.want(1);
    const ended = new Promise((resolve) => this.#requests.set(opId, { resolve, progress }));
    return { opId, ended };
  }

  /** As `start`; resolves with the event, or rejects with its error. */
  async ask(call) {
    return Client.result(await this.start(call).ended);
  }

  static result(event) {
    if (event.status !== 0) throw errorOfEvent(event);
    return event;
  }

  #dispatch(event) {
    log(event);
    if (event.type === Type.LOST) {
      this.#handles.get(event.lock)?.deref()?.lose(event);
      return;
    }
    const request = this.#requests.get(event.opId);
    if (!request) return;
    if (event.type === Type.WAITING || event.type === Type.LEADER || event.type === Type.LOG) {
      request.progress?.(event);
      return;
    }
    this.#requests.delete(event.opId);
    request.begin?.(event);
    request.resolve(event);
    this.want(-1);
  }

  /** The next event of this request is looked at before anything else happens. */
  onEnd(opId, begin) {
    this.#requests.get(opId).begin = begin;
  }
}

module.exports = {
  Client,
  DEFAULT_BASE_URI,
  Type,
  debug,
  log: (...words) => log(...words),
  milliseconds,
  native,
  optionText,
  plainText,
};
