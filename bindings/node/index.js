'use strict';

const { DEFAULT_BASE_URI, debug } = require('./lib/client.js');
const { Election } = require('./lib/election.js');
const errors = require('./lib/errors.js');
const { Held } = require('./lib/handle.js');
const { Lock, withLock } = require('./lib/lock.js');

module.exports = {
  AlreadyHeld: errors.AlreadyHeld,
  Cancelled: errors.Cancelled,
  Closed: errors.Closed,
  DEFAULT_BASE_URI,
  Election,
  Held,
  InvalidArgument: errors.InvalidArgument,
  Lock,
  LockLost: errors.LockLost,
  LockTimeout: errors.LockTimeout,
  NotHeld: errors.NotHeld,
  StoreError: errors.StoreError,
  SyncError: errors.SyncError,
  Unsupported: errors.Unsupported,
  debug,
  withLock,
};
