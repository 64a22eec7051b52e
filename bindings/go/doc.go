// Package mpsync offers locks and leader election to programs that run as many copies.
//
// [Do] runs a function while a lock is held, with a context that ends when the lock is lost:
//
//	err := mpsync.Do(ctx, "orders/42", func(ctx context.Context) error {
//		return charge(ctx)
//	}, mpsync.WithURL("file:locks.db"))
//
// [Candidate.Lead] runs a function while this program leads, term after term. [Lock] and [Candidate]
// are the parts of both. Where the locks live is said by [WithURL], else by the environment's
// MPSYNC_URL, else it is the elector next to this program.
//
// What is held stays held until it is given back, lost, or its [Client] is closed, whether or not
// anything refers to it. The package needs the C library libmpsync, found by pkg-config; with the
// build tag mpsync_static it is linked statically. Everything is safe for concurrent use. One
// goroutine waits for the events of a URL, however many wait for locks.
package mpsync
