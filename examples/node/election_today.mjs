// One leads, until it is stopped; `term.signal` aborts when the work is to end.
import { Election } from '@metaparticle/sync';

const election = new Election('example', { value: 'http://me:8080' });
await election.lead(async (term) => {
  term.signal.throwIfAborted();
  console.log('leading');
  election.stop();
});
console.log('not leading');
