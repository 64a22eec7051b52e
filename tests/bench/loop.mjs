// Prints how long Node's loop stood still at most while a thousand locks wait, and take their turns.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Lock } from '../../bindings/node/index.mjs';

const url = process.argv[2] ?? 'memory:';
const held = await new Lock('loop', { url }).acquire();
const asked = Array.from({ length: 1000 }, () => new Lock('loop', { url }));
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const all = asked.map((lock) => lock.acquire().then((turn) => turn.release()));
await held.release();
await Promise.all(all);
delay.disable();
const ms = (ns) => (ns / 1e6).toFixed(1);
console.log(`the loop's delay: median ${ms(delay.percentile(50))} ms, at most ${ms(delay.max)} ms (its timer: 1 ms)`);
