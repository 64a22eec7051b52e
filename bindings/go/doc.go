// Package mpsync offers locks and leader election to programs that run as many copies.
//
// [Do] runs a function while a lock is held, with a context that ends when the lock is lost:
//
//	err := mpsync.Do(ctx, "orders/42", func(ctx context.Context) error {
//		return charge(ctx)
//	}, mpsync.WithURL("file:locks.db"))
//
// [Lock] and [Candidate] are its parts. Where the locks live is said by [WithURL], else by the
// environment's MPSYNC_URL, else it is the elector next to this program.
//
// The package needs the C library libmpsync, found by pkg-config. Everything is safe for concurrent
// use. One thread of the process waits for events, however many goroutines wait for locks.
package mpsync
