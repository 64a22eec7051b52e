// One leads, until its term is lost or given back.
import { Election } from '@metaparticle/sync';

const election = new Election('example', { value: 'http://me:8080' });
const term = await election.campaign();
console.log('leading');
await term.release();
console.log('not leading');
