import sync from './index.js';

export const {
  AlreadyHeld,
  Cancelled,
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
  Unsupported,
  debug,
  withLock,
} = sync;
export default sync;
