'use strict';

/** Base of everything this package rejects or throws with; `status` is the C library's number. */
class SyncError extends Error {
  constructor(message, status = -16) {
    super(message);
    this.name = new.target.name;
    this.status = status;
  }
}

class InvalidArgument extends SyncError {}
class LockTimeout extends SyncError {}
class LockLost extends SyncError {}
class StoreError extends SyncError {}
class Cancelled extends SyncError {}
class NotHeld extends SyncError {}
class AlreadyHeld extends SyncError {}
class Unsupported extends SyncError {}
class Closed extends SyncError {}

const CLASSES = new Map([
  [-1, InvalidArgument],
  [-2, LockTimeout],
  [-3, LockLost],
  [-4, StoreError],
  [-5, LockTimeout],
  [-6, Cancelled],
  [-7, NotHeld],
  [-8, AlreadyHeld],
  [-9, StoreError],
  [-10, StoreError],
  [-11, Closed],
  [-12, Closed],
  [-14, Unsupported],
  [-15, StoreError],
]);

function errorOf(status, message) {
  const Class = CLASSES.get(status) ?? SyncError;
  return new Class(message, status);
}

/** Make a call of the C library; its error becomes one of ours. */
function checked(call) {
  try {
    return call();
  } catch (error) {
    throw typeof error.status === 'number' ? errorOf(error.status, error.message) : error;
  }
}

module.exports = {
  SyncError,
  InvalidArgument,
  LockTimeout,
  LockLost,
  StoreError,
  Cancelled,
  NotHeld,
  AlreadyHeld,
  Unsupported,
  Closed,
  errorOf,
  checked,
};
