// A program of the first Metaparticle Sync: one at a time.
const sync = require('@metaparticle/sync');

let released = false;
const lock = new sync.Lock(
  'example',
  async () => {
    console.log('holding');
    released = true; // the callback below is called at a release as well
    await lock.unlock();
    console.log('released');
  },
  () => released || console.log('lost'),
);
lock.lock();
