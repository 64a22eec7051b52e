// As types.mts, for programs that require.
import sync = require('../index.js');

const lock: sync.Lock = new sync.Lock('x');
lock.acquire().then(
  (held) => held.release(),
  (error: unknown) => console.log(error instanceof sync.SyncError && error.status),
);
