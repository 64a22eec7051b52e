// One at a time: `signal` aborts when the lock is lost.
import { withLock } from '@metaparticle/sync';

await withLock('example', async ({ signal }) => {
  signal.throwIfAborted();
  console.log('holding');
});
console.log('released');
