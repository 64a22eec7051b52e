'use strict';

const { InvalidArgument } = require('./errors.js');

const WAIT_AS_OPTION = -2;
const WAIT_FOR_EVER = -1;

/** What `await using` calls, which older versions of Node have no name for. */
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

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

function milliseconds(what, value) {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw new InvalidArgument(`${what}: ${value} is not a number of milliseconds from 0 on`, -1);
  }
  return Math.min(Math.ceil(value), Number.MAX_SAFE_INTEGER);
}

/** A number is milliseconds, text is passed on as it is. */
function optionText(name, value) {
  return typeof value === 'number' ? `${milliseconds(name, value)}ms` : plainText(name, value);
}

/** How long to wait: the option `wait` without a timeout. */
function waitOf(timeout) {
  return timeout === undefined ? WAIT_AS_OPTION : milliseconds('timeout', timeout);
}

function valueOf(value) {
  return value === undefined || value === null ? null : plainText('value', value);
}

/** Refuses what nobody would look at. */
function known(options, names) {
  const odd = Object.keys(options).find((name) => !names.includes(name));
  if (odd === undefined) return options;
  throw new InvalidArgument(
    `"${odd}" is no option here; there are ${names.join(', ')}; others stand in the URL`,
    -1,
  );
}

/** The functions, the options and the URL that follow a name, as both APIs order them. */
function parametersOf(rest, names) {
  const functions = [];
  let options = {};
  for (const value of rest) {
    if (typeof value === 'function') functions.push(value);
    else if (typeof value === 'string') options = { ...options, url: value };
    else if (typeof value === 'object') options = { ...options, ...value };
    else if (value !== undefined) throw new TypeError(`${value} is neither options nor a function`);
  }
  return { functions, options: known(options, names) };
}

const calls = new WeakMap();

/** One listener for each signal, however many requests it ends: Node warns of more than ten. */
function whenAborted(signal, call) {
  if (!signal) return () => {};
  if (!calls.has(signal)) {
    const all = new Set();
    calls.set(signal, all);
    signal.addEventListener('abort', () => all.forEach((each) => each()), { once: true });
  }
  calls.get(signal).add(call);
  return () => calls.get(signal).delete(call);
}

module.exports = {
  WAIT_FOR_EVER,
  asyncDispose,
  optionText,
  parametersOf,
  plainText,
  valueOf,
  waitOf,
  whenAborted,
};
