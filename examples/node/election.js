// A program of the first Metaparticle Sync: one leads.
const sync = require('@metaparticle/sync');

const election = new sync.Election(
  'example',
  () => {
    console.log('leading');
    election.shutdown();
  },
  () => console.log('not leading'),
);
election.run();
