import * as sync from './index.js';

export * from './index.js';
export default sync;
