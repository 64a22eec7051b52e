// A program of the first Metaparticle Sync: one at a time.
const sync = require('@metaparticle/sync');

const lock = new sync.Lock(
  'example',
  async () => {
    console.log('holding');
    await lock.unlock();
    console.log('released');
  },
  () => console.log('lost'),
);
lock.lock();
