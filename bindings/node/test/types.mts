// Programs as they are written in TypeScript; tsc checks them, nobody runs them.
import sync, { Election, Held, Leader, Lock, LockLost, withLock } from '../index.mjs';

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

// @ts-expect-error a name is text
new Lock(7);
// @ts-expect-error a token is no number
const wrong: number = held.token;
console.log(token, perhaps, number, text, wrong);
