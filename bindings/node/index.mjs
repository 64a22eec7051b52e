import sync from './index.js';

export const {
  AlreadyHeld,
  Cancelled,
  Client,
  Closed,
  DEFAULT_BASE_URI,
  Election,
  Held,
  InvalidArgument,
  Lock,
  LockLost,
  LockTimeout,
  NotHeld,
  StoreError,
  SyncError,
  Term,
  Unsupported,
  debug,
  request,
  withLock,
} = sync;
export default sync;
