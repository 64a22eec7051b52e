'use strict';

const { Client, DEFAULT_BASE_URI, debug } = require('./lib/client.js');
const { Election } = require('./lib/election.js');
const { checked, errorOf, ...errors } = require('./lib/errors.js'); // eslint-disable-line no-unused-vars
const { Held, Term } = require('./lib/held.js');
const { Lock, request } = require('./lib/lock.js');

module.exports = {
  ...errors,
  Client,
  DEFAULT_BASE_URI,
  Election,
  Held,
  Lock,
  Term,
  debug,
  request,
  withLock: request,
};
