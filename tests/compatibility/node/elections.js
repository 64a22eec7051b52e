'use strict';
// Every way in which an election of the first package could be used.
const { execFileSync } = require('child_process');
const { Election, Lock } = require('@metaparticle/sync');

const turns = [
  () => execFileSync(process.env.MPSYNC, ['release', '--force', '--now', 'a']),
  () => {
    // The second call queues behind the first.
    election.shutdown();
    election.run();
  },
  () => {
    election.lock.name = 'b';
    election.shutdown();
    election.run();
  },
  () => {
    const other = new Lock('a', () => {
      console.log('a is free');
      other.unlock();
      election.shutdown();
    });
    other.lock();
  },
];
const election = new Election('a', () => {
  console.log('master', election.lock.name, election.lock.locked);
  turns.shift()();
}, () => console.log('lost'));

election.shutdown(); // not running: nothing to end
election.lock.baseUrl = process.env.MPSYNC_URL;
election.run();
process.on('exit', () => console.log('nothing is left to do'));
