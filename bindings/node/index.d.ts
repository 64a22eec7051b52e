/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** Where the elector next to this program listens; as a URL it means the default. */
export const DEFAULT_BASE_URI: string;

/** Where locks live, and how they are held. */
export interface Options {
  /**
   * Where the locks live: `http://…`, `file:…`, `kubernetes:`, `etcd://…`, `memory:`; `MPSYNC_URL` or
   * the elector next to this program by default.
   */
  url?: string;
  /** How long a silent holder keeps others out: milliseconds, or text; `15s` by default. */
  ttl?: number | string;
  /** How long to wait at most: milliseconds, or text; for ever by default. */
  wait?: number | string;
  /** How others see this holder; host and process by default. */
  identity?: string;
}

/** How one request waits. */
export interface Waiting {
  /** Withdraws the request; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Milliseconds to wait at most; 0 tries once. Rejects with `LockTimeout`. */
  timeout?: number;
}

/** One grant of a lock, or one term of a leader. It stays ended when it has ended. */
export class Held {
  private constructor();
  /** The name of the lock or election. */
  readonly name: string;
  /** The fencing token, greater than that of every earlier grant of the name. */
  readonly token: bigint;
  /** Aborts when the grant is lost; its reason is a `LockLost`. */
  readonly signal: AbortSignal;
  /** Whether this very grant is held now; right after any pause, for it compares with the clock. */
  isHeld(): boolean;
  /** Milliseconds until the right ends unless it is renewed; 0 when it is not held. */
  remaining(): number;
  /** Resolves when the store knows; rejects with `NotHeld` if it had ended before. */
  release(): Promise<void>;
  /** For `await using`: releases; rejects with `LockLost` if it was lost. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * One name that at most one holder has at a time. One object has or asks for one grant at a time.
 * The process goes on while it does, and may end when it does not.
 */
export class Lock extends EventEmitter {
  /** A lock of this name: 1 to 1,024 bytes of UTF-8. Nothing is asked of the store yet. */
  constructor(name: string, options?: Options);
  /** A lock whose `lock()` calls `lockAcquiredFn` when it is held. */
  constructor(name: string, lockAcquiredFn?: () => void, options?: Options);
  /** A lock whose `lock()` calls `lockAcquiredFn` when it is held, and `lockLostFn` after a loss. */
  constructor(
    name: string,
    lockAcquiredFn?: () => void,
    lockLostFn?: () => void,
    options?: Options,
  );
  /** What is locked; another one counts from the next time that it is asked for. */
  name: string;
  /** Where the lock lives; likewise. */
  baseUrl: string;
  /** Called when `lock()` has come to hold it. */
  lockAcquiredFn: (() => void) | undefined;
  /** Called when what `lock()` came to hold is not held any more: after a loss, and after `unlock()`. */
  lockLostFn: (() => void) | undefined;
  /** Whether `lock()` asks for it, or it is held; false gives it back. Held now is `isHeld()`. */
  locked: boolean;
  /** The token of the present grant, or null. */
  readonly token: bigint | null;
  /** Whether the lock is held now; right after any pause. */
  isHeld(): boolean;
  /** Milliseconds until the right ends unless it is renewed; 0 when it is not held. */
  remaining(): number;
  /** Resolves when the lock is held; rejects with `LockTimeout`, `AlreadyHeld` or `StoreError`. */
  acquire(waiting?: Waiting): Promise<Held>;
  /** Resolves with null if another holder has it. */
  tryAcquire(): Promise<Held | null>;
  /** Resolves when the store knows; rejects with `NotHeld` if nothing is held. */
  release(): Promise<void>;
  /** Ends the waiting: its promise rejects with `Cancelled`. */
  cancel(): void;
  /** Asks until it is held, and calls `lockAcquiredFn` then. Throws if it is held or asked for. */
  lock(): void;
  /** Gives it back, or asks no longer; `lock()` may follow at once. Throws if `locked` is false. */
  unlock(): Promise<void>;
  /** Tells that `lock()` has come to hold it. */
  on(event: 'acquired', listener: () => void): this;
  /** Tells that the lock was lost, and why. */
  on(event: 'lost', listener: (lost: LockLost) => void): this;
  /** Tells what `lock()` could not do, and a loss that nobody else is told. */
  on(event: 'error', listener: (error: Error) => void): this;
}

/** Run work under a lock. Rejects with `LockLost` if it was lost meanwhile. */
export function withLock<T>(name: string, work: (held: Held) => T | Promise<T>): Promise<T>;
/** Run work under a lock with options. Rejects with `LockLost` if it was lost meanwhile. */
export function withLock<T>(
  name: string,
  options: Options & Waiting,
  work: (held: Held) => T | Promise<T>,
): Promise<T>;

/** Who leads, as others see it. */
export interface Leader {
  /** The leader's identity. */
  holder: string;
  /** What the leader tells its observers, or null. */
  value: string | null;
  /** The fencing token of its term. */
  token: bigint;
}

/** One name that at most one candidate leads at a time. */
export class Election extends EventEmitter {
  /** A candidate; `value` is what observers see of it while it leads. */
  constructor(name: string, options?: Options & { value?: string });
  /** A candidate whose `run()` calls `masterFn` and `lostMasterFn`. */
  constructor(
    name: string,
    masterFn?: () => void,
    lostMasterFn?: () => void,
    options?: Options & { value?: string },
  );
  /** What is stood for; another one counts from the next term on. */
  name: string;
  /** Where it lives; likewise. */
  baseUrl: string;
  /** The first API: what is stood for, as a lock. */
  readonly lock: this;
  /** Whether it runs, or leads. */
  readonly locked: boolean;
  /** Resolves with the term when this candidate leads. `value` is what observers see of it. */
  campaign(standing?: Waiting & { value?: string }): Promise<Held>;
  /** Ends the present term; rejects with `NotHeld` without one. */
  resign(): Promise<void>;
  /** Ends the waiting: its promise rejects with `Cancelled`. */
  cancel(): void;
  /** Whether this candidate leads now; right after any pause. */
  isLeader(): boolean;
  /** Changes what observers see of the present term; resolves when the store has it. */
  setValue(value: string): Promise<void>;
  /** Who leads now, or null. */
  leader(): Promise<Leader | null>;
  /** Who leads now, and then each change, until the signal aborts or the loop is left. */
  observe(options?: { signal?: AbortSignal }): AsyncGenerator<Leader | null, void, undefined>;
  /** Stands again and again; calls `masterFn` when a term begins, `lostMasterFn` when it has ended. */
  run(): Promise<void>;
  /** Ends `run`: a leader resigns, a candidate stands no more. */
  shutdown(): void;
  /** Tells that the term was lost, and why. */
  on(event: 'lost', listener: (lost: LockLost) => void): this;
  /** Tells what `run()` could not do. */
  on(event: 'error', listener: (error: Error) => void): this;
}

/** Let the package tell on standard error what it does. */
export function debug(): void;

/** Base of everything this package throws or rejects with. */
export class SyncError extends Error {
  /** The C library's number. */
  readonly status: number;
}
/** A name, an option or a URL breaks the contract. */
export class InvalidArgument extends SyncError {}
/** The wait ended without the lock; the message names the holder. */
export class LockTimeout extends SyncError {}
/** The right ran out or was taken. */
export class LockLost extends SyncError {}
/** The store did not answer, refused, or holds what this library does not write. */
export class StoreError extends SyncError {}
/** The request was cancelled. */
export class Cancelled extends SyncError {}
/** Nothing is held that could be released. */
export class NotHeld extends SyncError {}
/** It is held, or asked for, already. */
export class AlreadyHeld extends SyncError {}
/** This store cannot do that. */
export class Unsupported extends SyncError {}
/** The client is closed. */
export class Closed extends SyncError {}
