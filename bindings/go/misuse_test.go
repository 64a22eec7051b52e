package mpsync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

var closed = &Error{Status: StatusClosed}

// Work that goes on keeps its term after the end of the context, and a warning names it.
func TestWorkThatGoesOn(t *testing.T) {
	t.Parallel()
	store, book := storeOf(t), &logbook{}
	ctx, stop := context.WithCancel(context.Background())
	candidate := must(NewCandidate("x", WithURL(store), WithLogger(book.logger()), WithTTL(4*time.Second)))
	err := candidate.Lead(ctx, "", func(context.Context, *Held) error {
		stop()
		eventually(t, "it is told", func() bool { return book.count("still at work") > 0 })
		return nil
	})
	if err != nil || book.count(`\"x\"`) == 0 {
		t.Error(err)
	}
	ctx, stop = context.WithCancel(context.Background())
	err = must(NewCandidate("x", WithURL(store))).Lead(ctx, "", func(_ context.Context, term *Held) error {
		stop()
		<-term.Ending()
		if !term.IsHeld() || isFree(t, store, "x") {
			t.Error("it is given back while the work goes on")
		}
		return nil
	})
	if err != nil || !isFree(t, store, "x") {
		t.Error(err)
	}
}

// Closing from inside of the work waits for nobody; the work is told, and whoever runs it gets the
// error, in either interface.
func TestCloseFromInside(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	for name, run := range map[string]func(*Client, WorkFn) error{
		"Do": func(client *Client, work WorkFn) error {
			return Do(context.Background(), "x", work, WithClient(client))
		},
		"Lead": func(client *Client, work WorkFn) error {
			return must(NewCandidate("x", WithClient(client))).Lead(context.Background(), "",
				func(ctx context.Context, _ *Held) error { return work(ctx) })
		},
		"Run": func(client *Client, work WorkFn) error {
			return NewElection(must(New("x", WithClient(client))), work, nil).Run(context.Background())
		},
	} {
		client := must(Open(store))
		err := run(client, func(ctx context.Context) error {
			err := client.Close()
			<-ctx.Done()
			term := FromContext(ctx)
			if why := term.Why(); why.Reason != "closed" || why.Left != 0 || term.IsHeld() || !isFree(t, store, "x") {
				t.Errorf("%s: %v", name, why)
			}
			return err
		})
		if !errors.Is(err, closed) {
			t.Errorf("%v came back from %s", err, name)
		}
	}
}

// Work that panics when its client is closed under it ends with its panic.
func TestPanicUnderAClosedClient(t *testing.T) {
	t.Parallel()
	client := must(Open(storeOf(t)))
	end := make(chan any, 1)
	go func() {
		defer func() { end <- recover() }()
		_ = Do(context.Background(), "x", func(context.Context) error {
			_ = client.Close()
			panic("work")
		}, WithClient(client))
	}()
	if said := within(t, "end", end); said != "work" {
		t.Error(said)
	}
}

// However often and from wherever a client is closed, each call returns when it is closed.
func TestCloseFromSeveralGoroutines(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	for range 20 {
		client := must(Open(store))
		held := must(must(New("x", WithClient(client))).Acquire(context.Background()))
		lost := background(func() error { return must(New("y", WithClient(client))).Do(context.Background(), waits) })
		var all sync.WaitGroup
		for range 4 {
			all.Add(1)
			go func() {
				defer all.Done()
				if err := client.Close(); err != nil || held.IsHeld() || client.core.native != nil {
					t.Errorf("%v came back, and it is not closed", err)
				}
			}()
		}
		all.Wait()
		if err := within(t, "end", lost); !errors.Is(err, closed) && !errors.Is(err, ErrCancelled) {
			t.Error(err)
		}
		if err := client.Close(); err != nil || !isFree(t, store, "x") {
			t.Errorf("%v came back from another Close", err)
		}
	}
}

// Where closing cannot begin, each who asks is told so, and nobody waits for an end that does not come.
func TestCloseThatCannotBegin(t *testing.T) {
	t.Parallel()
	none := &core{pump: newPump(nil), ended: make(chan struct{})} // the library refuses to close no client
	var ends []<-chan error
	for range 4 {
		ends = append(ends, background(func() (last error) {
			for range 5000 {
				last = none.close()
			}
			return last
		}))
	}
	for _, end := range ends {
		if within(t, "end", end) == nil {
			t.Error("it is closed")
		}
	}
}

func waits(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// A callback may close its client.
func TestCloseInACallback(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	must(must(New("x", WithURL(store))).Acquire(context.Background()))
	client := must(Open(store))
	lock := must(New("x", WithClient(client), WithWaiting(func(Waiting) { _ = client.Close() })))
	_, err := lock.Acquire(context.Background())
	if !errors.Is(err, closed) && !errors.Is(err, ErrCancelled) {
		t.Error(err)
	}
	_ = client.Close()
}

// What is asked of a closed client fails at once, and nothing is held.
func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	client := must(Open(storeOf(t)))
	ctx := context.Background()
	lock, candidate := must(New("x", WithClient(client))), must(NewCandidate("y", WithClient(client)))
	held, term := must(lock.Acquire(ctx)), must(candidate.Campaign(ctx, ""))
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	never := func(context.Context) error { t.Error("it runs"); return nil }
	_, acquired := lock.Acquire(ctx)
	_, tried := lock.TryAcquire(ctx)
	_, campaigned := candidate.Campaign(ctx, "")
	_, seen := candidate.Leader(ctx)
	_, made := New("z", WithClient(client))
	for i, err := range []error{
		acquired, tried, campaigned, seen, made, lock.Do(ctx, never), lock.Lock(ctx, never), candidate.SetValue("new"),
		candidate.Lead(ctx, "", func(ctx context.Context, _ *Held) error { return never(ctx) }),
		NewElection(lock, never, never).Run(ctx),
	} {
		if !errors.Is(err, closed) {
			t.Errorf("%v came back from call %d", err, i)
		}
	}
	for i, err := range []error{held.Release(), term.Release(), lock.Release(), candidate.Resign()} {
		if !errors.Is(err, ErrNotHeld) {
			t.Errorf("%v came back from release %d", err, i)
		}
	}
	if held.IsHeld() || held.Remaining() != 0 || held.Err() != nil || lock.Locked() || candidate.IsLeader() {
		t.Error("it is held")
	}
}

// A context that ends, a release and whatever else ends a wait or a term are without effect while the
// client closes: nothing waits for ever, and nothing stays held.
func TestEndsWhileTheClientCloses(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	must(must(New("held", WithURL(store))).Acquire(context.Background()))
	for round := range 50 {
		client := must(Open(store))
		ctx, stop := context.WithCancel(context.Background())
		began := make(chan bool, 2)
		work := func(ctx context.Context) error { began <- true; return waits(ctx) }
		leader := must(NewCandidate("a", WithClient(client)))
		ends := []<-chan error{
			background(func() error {
				return leader.Lead(ctx, "", func(ctx context.Context, _ *Held) error { return work(ctx) })
			}),
			background(func() error { return Do(ctx, "b", work, WithClient(client)) }),
			background(func() error { return Do(ctx, "held", work, WithClient(client)) }),
			background(func() error { _, err := must(New("held", WithClient(client))).Acquire(ctx); return err }),
			background(func() error { return NewElection(must(New("held", WithClient(client))), nil, waits).Run(ctx) }),
			background(func() (last error) {
				for _, err := range leader.Observe(ctx) {
					last = err
				}
				return last
			}),
		}
		within(t, "term", began)
		within(t, "work", began)
		together := make(chan bool)
		beside := background(func() error {
			<-together
			_ = leader.Resign()
			_ = leader.SetValue("new")
			stop()
			return nil
		})
		closing := background(func() error { <-together; return client.Close() })
		close(together)
		if err := within(t, "closed", closing); err != nil {
			t.Error(err)
		}
		within(t, "beside", beside)
		for i, end := range ends {
			err := within(t, fmt.Sprintf("end %d of round %d", i, round), end)
			if err != nil && !errors.Is(err, closed) && !errors.Is(err, ErrCancelled) && !errors.Is(err, context.Canceled) {
				t.Errorf("%v came back from %d", err, i)
			}
		}
		if leader.IsLeader() || !isFree(t, store, "a") || !isFree(t, store, "b") {
			t.Error("it is held")
		}
	}
}

// Resign is never a release that waits for the work, also of a term that begins just now.
func TestResignBesideTheBegin(t *testing.T) {
	t.Parallel()
	candidate := must(NewCandidate("x", fresh(t)))
	ctx, stop := context.WithCancel(context.Background())
	resigning := background(func() error {
		for ctx.Err() == nil {
			if err := candidate.Resign(); err != nil && !errors.Is(err, ErrNotHeld) {
				return err
			}
		}
		return nil
	})
	err := candidate.Lead(ctx, "", func(_ context.Context, term *Held) error {
		<-term.Ending()
		stop()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := within(t, "end", resigning); err != nil {
		t.Error(err)
	}
}

// A lock that waits, or works, has no election beside it.
func TestElectionBesideARequest(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	held := must(must(New("x", WithURL(store))).Acquire(context.Background()))
	waiting := make(chan Waiting, 1)
	lock := must(New("x", WithURL(store), WithWaiting(func(w Waiting) { waiting <- w })))
	acquired := background(func() error { _, err := lock.Acquire(context.Background()); return err })
	within(t, "waiting", waiting)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stands := func(context.Context) error { stop(); return nil }
	if err := NewElection(lock, nil, stands).Run(ctx); !errors.Is(err, ErrAlreadyHeld) {
		t.Errorf("%v came back beside a lock that waits", err)
	}
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	if err := within(t, "grant", acquired); err != nil || !lock.Locked() {
		t.Error(err)
	}
}
