'use strict';
// Every way in which a lock of the first package could be used, all calls as if they were synchronous.
const { execFileSync } = require('child_process');
const sync = require('@metaparticle/sync');

const lose = (name) => execFileSync(process.env.MPSYNC, ['release', '--force', '--now', name]);
const threw = (call) => {
  try {
    call();
  } catch (error) {
    console.log('threw', error instanceof Error);
  }
};
const steps = [];
const next = () => steps.length > 0 && steps.shift()();

steps.push(() => {
  const lock = new sync.Lock('a', () => {
    console.log('held', lock.name, lock.baseUrl, lock.locked);
    threw(() => lock.lock());
    lock.unlock();
    console.log('unlocked', lock.locked);
    threw(() => lock.unlock());
    lock.lockAcquiredFn = () => {
      console.log('held again');
      lock.unlock();
      next();
    };
    lock.lock();
    console.log('asked for behind the release', lock.locked);
  });
  console.log(lock.locked);
  lock.lock();
  console.log(lock.locked);
  threw(() => lock.lock());
});

// A release calls the third argument; so does a loss, and the lock can be had again.
steps.push(() => {
  let turns = 0;
  const lock = new sync.Lock('b', () => {
    console.log('held b');
    if (++turns === 1) lock.unlock();
    else if (turns === 2) lose('b');
    else {
      lock.lockLostFn = () => next();
      lock.unlock();
    }
  }, () => {
    console.log('lost b');
    lock.lock();
  });
  lock.lock();
});

// Given up while it waits.
steps.push(() => {
  const holder = new sync.Lock('c', () => {
    const waiter = new sync.Lock('c', () => console.log('never'));
    waiter.lock();
    console.log('waits', waiter.locked);
    waiter.unlock();
    console.log('waits no longer', waiter.locked);
    threw(() => waiter.unlock());
    waiter.lock();
    waiter.locked = false;
    console.log('nor now', waiter.locked);
    holder.unlock();
  }, () => next());
  holder.lock();
});

// Set after construction, and read when it is used.
steps.push(() => {
  const lock = new sync.Lock('d');
  lock.name = 'e';
  lock.baseUrl = process.env.MPSYNC_URL;
  lock.lockAcquiredFn = () => {
    console.log('held', lock.name);
    const other = new sync.Lock('d', () => {
      console.log('d is free');
      other.unlock();
      lock.unlock();
    });
    other.lock();
  };
  lock.lockLostFn = () => next();
  lock.lock();
});

// What a callback throws, and a loss that nobody is told: uncaught, both.
steps.push(() => {
  const lock = new sync.Lock('f', () => {
    throw new Error('from the callback');
  });
  process.once('uncaughtException', (error) => {
    console.log(error.message);
    lock.lockAcquiredFn = () => lose('f');
    process.once('uncaughtException', (lost) => {
      console.log(lost.name);
      process.exit(4);
    });
    lock.unlock();
    lock.lock();
  });
  lock.lock();
});

console.log(typeof sync.debug);
next();
