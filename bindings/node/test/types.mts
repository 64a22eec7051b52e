// Programs as they are written in TypeScript; tsc checks them, nobody runs them.
import sync, {
  Client,
  Election,
  Held,
  Leader,
  Lock,
  LockLost,
  Term,
  request,
  withLock,
} from '../index.mjs';

const lock = new Lock('orders/42', { url: 'file:locks.db', ttl: '15s', identity: 'me' });
const held: Held = await lock.acquire({ signal: AbortSignal.timeout(1000), timeout: 500 });
const token: bigint = held.token;
const perhaps: Held | null = await lock.tryAcquire();
const number: number = await withLock('x', async ({ signal }) => (signal.aborted ? 0 : 1));
const text: string = await withLock('x', { ttl: 5000 }, () => 'done');
lock.on('lost', (lost: LockLost) => console.log(lost.status));

const first = new Lock(
  'x',
  () => console.log('held'),
  () => console.log('lost'),
);
first.baseUrl = 'http://localhost:13131';
first.lock();
void first.unlock();

const election = new Election(
  'x',
  () => {},
  () => {},
  { value: 'http://me' },
);
void election.run();
election.shutdown();
for await (const leader of election.observe()) {
  const seen: Leader | null = leader;
  console.log(seen?.holder);
}
sync.debug();

const client = new Client('file:locks.db', { ttl: 5000, durability: 'full' });
const waited = new Lock('x', { client, drain: '5s' }).on('waiting', ({ holder, position }) => {
  const who: string | null = holder;
  console.log(who, position + 1);
});
await election.lead(
  async (term: Term) => {
    const left: number | undefined = term.ending?.left;
    await fetch('http://localhost', { signal: term.signal });
    console.log(left);
  },
  { value: 'me', signal: AbortSignal.timeout(1000) },
);
election.stop();
const free: boolean = await request('x', { ifAvailable: true }, (held) => held !== null);
const asked: bigint = await request('x', { mode: 'exclusive', timeout: 5 }, ({ token }) => token);
console.log(waited.client === client, free, asked, JSON.stringify(held), client.url);
await client.close();
new Lock('x', 'file:locks.db');
new Election('x', 'file:locks.db');

// @ts-expect-error there are no shared locks
void request('x', { mode: 'shared' }, () => {});
// @ts-expect-error an option that nobody knows
new Lock('x', { tll: 5 });
// @ts-expect-error it may be null
void request('x', { ifAvailable: true }, (perhaps) => perhaps.token);

// @ts-expect-error a name is text
new Lock(7);
// @ts-expect-error a token is no number
const wrong: number = held.token;
console.log(token, perhaps, number, text, wrong);
