/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** Where the elector next to this program listens; as a URL it means the default. */
export const DEFAULT_BASE_URI: string;

/** Where locks live, and how they are held. */
export interface Options {
  /** The client to use; by default one that all locks of the URL share. */
  client?: Client;
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
  /**
   * How long the work of a term may take to end while it stays held: milliseconds, or text; without
   * a limit by default. Then the next leader begins beside it.
   */
  drain?: number | string;
}

/** Who has what is waited for. */
export interface WaitedFor {
  /** The holder's identity, or null if it is not known. */
  holder: string | null;
  /** The place in the queue: 1 is next, 0 is not known. */
  position: number;
}

/** A connection to one store, with a thread of its own. */
export class Client {
  /** `options` are those of a URL's query. Without a URL: `MPSYNC_URL`, or the elector. */
  constructor(url?: string, options?: Record<string, number | string | undefined>);
  /** The URL in use, without passwords. */
  readonly url: string;
  /**
   * Gives up all that is held, ends what is asked for, and leaves nothing behind. Work that goes on
   * is not waited for: its signal aborts with `Closed`.
   */
  close(): Promise<void>;
  /** For `await using`: closes. */
  [Symbol.asyncDispose](): Promise<void>;
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
  /** Made by the package alone. */
  protected constructor();
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
  /** The name, and the token as text. */
  toJSON(): {
    /** What is held. */
    name: string;
    /** The fencing token, in decimal digits. */
    token: string;
  };
}

/** Why the work of a term is to end. */
export interface Ending {
  /** `stopped`, `asked` (it is to be handed over), `closed`, or why it is lost: `expired`, … */
  reason: string;
  /** Milliseconds that the term stays held; Infinity: until the work has ended; 0: it is lost. */
  left: number;
}

/** One term of `lead`. */
export class Term extends Held {
  /** Why the work is to end; null as long as it is not. */
  readonly ending: Ending | null;
  /** Aborts when the work is to end: with a `LockLost`, or, stopped or asked, with `Cancelled`. */
  readonly signal: AbortSignal;
  /** Asks for the term's end, which is told as any other, and does not wait for it. */
  release(): Promise<void>;
}

/**
 * One name that at most one holder has at a time. One object has or asks for one grant at a time.
 * The process goes on while it asks, and while somebody refers to what is held.
 */
export class Lock extends EventEmitter {
  /** A lock of this name: 1 to 1,024 bytes of UTF-8. Nothing is asked of the store yet. */
  constructor(name: string, options?: Options | string);
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
  /** The client in use. */
  readonly client: Client;
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
  /** Tells who has it while it waits. */
  on(event: 'waiting', listener: (waited: WaitedFor) => void): this;
  /** Tells that `lock()` has come to hold it. */
  on(event: 'acquired', listener: () => void): this;
  /** Tells that the lock was lost, and why. */
  on(event: 'lost', listener: (lost: LockLost) => void): this;
  /** Tells what `lock()` could not do, and a loss that nobody else is told. */
  on(event: 'error', listener: (error: Error) => void): this;
}

/** How `request` asks. */
export interface Asking extends Options, Waiting {
  /** `exclusive`; there are no others here. */
  mode?: 'exclusive';
  /** Does not wait: the work is called with null if another has it. Not together with `timeout`. */
  ifAvailable?: boolean;
}

/**
 * Run work under a lock, as `navigator.locks.request` does. Rejects with what the work throws, and
 * with `LockLost` if the lock was lost meanwhile; its `cause` is what the work threw then.
 */
export function request<T>(name: string, work: (held: Held) => T | Promise<T>): Promise<T>;
/** Run work under a lock if it is to be had at once. */
export function request<T>(
  name: string,
  options: Asking & { ifAvailable: true },
  work: (held: Held | null) => T | Promise<T>,
): Promise<T>;
/** Run work under a lock with options. */
export function request<T>(
  name: string,
  options: Asking,
  work: (held: Held) => T | Promise<T>,
): Promise<T>;
/** The same. */
export const withLock: typeof request;

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
  constructor(name: string, options?: (Options & { value?: string }) | string);
  /** A candidate whose `run()` calls `masterFn` and `lostMasterFn`. */
  constructor(
    name: string,
    masterFn?: () => unknown,
    lostMasterFn?: () => unknown,
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
  /** Called by `run()` when a term begins. */
  masterFn: (() => unknown) | undefined;
  /** Called by `run()` once for each term, when it is to end or was lost. */
  lostMasterFn: (() => unknown) | undefined;
  /** The client in use. */
  readonly client: Client;
  /** The token of the present term, or null. */
  readonly token: bigint | null;
  /** Whether this candidate leads now, as `isLeader`. */
  isHeld(): boolean;
  /** Milliseconds until the right ends unless it is renewed; 0 when it does not lead. */
  remaining(): number;
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
  /**
   * Stands again and again, and runs `work` while it leads. The term is held until the work has
   * ended, which its signal asks for. Work that throws is told as `error`, or as a warning where
   * nobody listens, and it stands again after a pause. Resolves when it was stopped, or the signal
   * aborted; rejects with `LockTimeout`, `StoreError`, `Closed`, or `AlreadyHeld` if it leads or runs.
   */
  lead(work: (term: Term) => unknown, standing?: Waiting & { value?: string }): Promise<void>;
  /** Ends `lead`, or the next one if none goes on; does not wait for its work. */
  stop(): void;
  /** Stands again and again; calls `masterFn` when a term begins, `lostMasterFn` when it has ended. */
  run(): Promise<void>;
  /** Ends `run`: a leader resigns when its functions have returned, a candidate stands no more. */
  shutdown(): void;
  /** Tells who leads while it waits. */
  on(event: 'waiting', listener: (waited: WaitedFor) => void): this;
  /** Tells that the term of `campaign` or `run` was lost, and why. */
  on(event: 'lost', listener: (lost: LockLost) => void): this;
  /** Tells what `run()` could not do, and what the work of `lead` throws. */
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
