package mpsync

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func background(f func() error) <-chan error {
	end := make(chan error, 1)
	go func() { end <- f() }()
	return end
}

// A loss ends the work's context, whose cause says why, and is what Do returns.
func TestLossEndsTheWork(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	lock := must(New("x", WithURL(store)))
	err := lock.Do(context.Background(), func(ctx context.Context) error {
		lose(store, "x")
		<-ctx.Done()
		cause := context.Cause(ctx)
		var ending *Ending
		if !errors.Is(cause, ErrLost) || !errors.As(cause, &ending) || ending.Reason != "deleted" || ending.Left != 0 {
			t.Errorf("the cause is %v", cause)
		}
		held := FromContext(ctx)
		<-held.Lost()
		if held.Err() == nil || held.IsHeld() {
			t.Error("it is not lost")
		}
		return nil
	})
	if !errors.Is(err, ErrLost) {
		t.Errorf("%v came back", err)
	}
}

// The work's own error comes back beside the loss.
func TestLossKeepsTheErrorOfTheWork(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	broken := errors.New("broken")
	work := func(ctx context.Context) error {
		lose(store, "x")
		<-ctx.Done()
		return broken
	}
	err := Do(context.Background(), "x", work, WithURL(store))
	if !errors.Is(err, broken) || !errors.Is(err, ErrLost) {
		t.Errorf("%v came back from a lock", err)
	}
	err = must(NewCandidate("x", WithURL(store))).Do(context.Background(), "", work)
	if !errors.Is(err, broken) || !errors.Is(err, ErrLost) {
		t.Errorf("%v came back from a candidate", err)
	}
}

// A loss that nobody has read yet is a loss, not a release of nothing.
func TestLossDuringTheRelease(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	held := must(must(New("x", WithURL(store))).Acquire(context.Background()))
	lose(store, "x")
	<-held.Lost()
	if err := held.Release(); !errors.Is(err, ErrNotHeld) || !errors.Is(held.Err(), ErrLost) {
		t.Errorf("%v came back, and %v", err, held.Err())
	}
}

// A release beside the work, or from inside, ends its context, and waits for nobody; it is given back
// when the work has returned.
func TestReleaseBesideTheWork(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	lock := must(New("x", WithURL(store)))
	err := lock.Do(context.Background(), func(ctx context.Context) error {
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		var ending *Ending
		if !errors.As(context.Cause(ctx), &ending) || ending.Reason != "asked" || ending.Left >= 0 || errors.Is(ending, ErrLost) {
			t.Errorf("the cause is %v", context.Cause(ctx))
		}
		if !lock.Locked() || isFree(t, store, "x") {
			t.Error("it is given back while the work goes on")
		}
		return nil
	})
	if err != nil || lock.Locked() || !isFree(t, store, "x") {
		t.Errorf("%v came back, and it is not free", err)
	}
}

// A caller's context that ends tells the work, and the lock is held until the work has returned.
func TestWorkIsDrained(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	enough := errors.New("enough")
	ctx, stop := context.WithCancelCause(context.Background())
	err := Do(ctx, "x", func(ctx context.Context) error {
		stop(enough)
		held := FromContext(ctx)
		<-held.Ending()
		if context.Cause(ctx) != enough || held.Why().Reason != "stopped" || !held.IsHeld() || isFree(t, store, "x") {
			t.Errorf("%v, %v, held %v", context.Cause(ctx), held.Why(), held.IsHeld())
		}
		return nil
	}, WithURL(store))
	if err != nil || !isFree(t, store, "x") {
		t.Errorf("%v came back", err)
	}
}

// The option drain is a limit: then it is given back although the work goes on.
func TestDrainHasALimit(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	ctx, stop := context.WithCancel(context.Background())
	err := Do(ctx, "x", func(context.Context) error {
		stop()
		eventually(t, "it is free", func() bool { return isFree(t, store, "x") })
		return nil
	}, WithURL(store), WithSetting("drain", "50ms"))
	if err != nil {
		t.Error(err)
	}
}

// Lead stands again after each term: when the work returns, when it is asked to end, after a loss.
func TestLeadStandsAgain(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	candidate := must(NewCandidate("x", WithURL(store)))
	ctx, stop := context.WithCancel(context.Background())
	var tokens []uint64
	reasons := ""
	err := candidate.Lead(ctx, "me", func(ctx context.Context, term *Held) error {
		if len(tokens) > 0 && tokens[len(tokens)-1] >= term.Token() {
			t.Errorf("token %d after %v", term.Token(), tokens)
		}
		tokens = append(tokens, term.Token())
		switch len(tokens) {
		case 1:
			return nil
		case 2:
			if err := candidate.Resign(); err != nil {
				t.Error(err)
			}
		case 3:
			lose(store, "x")
		case 4:
			stop()
		}
		<-ctx.Done()
		<-term.Ending()
		reasons += term.Why().Reason + " "
		return ctx.Err()
	})
	if err != nil || reasons != "asked deleted stopped " {
		t.Errorf("%v came back, and the reasons are %q", err, reasons)
	}
	if candidate.IsLeader() || !isFree(t, store, "x") {
		t.Error("it is not given back")
	}
}

// Work that fails is logged, and the candidate stands again.
func TestLeadAfterWorkThatFails(t *testing.T) {
	t.Parallel()
	book := &logbook{}
	candidate := must(NewCandidate("x", fresh(t), WithTTL(6*time.Second), WithLogger(book.logger())))
	ctx, stop := context.WithCancel(context.Background())
	terms := 0
	err := candidate.Lead(ctx, "", func(context.Context, *Held) error {
		if terms++; terms == 2 {
			if book.count("error=broken") != 1 {
				t.Error("it is not told")
			}
			stop()
		}
		return errors.New("broken")
	})
	if err != nil || terms != 2 {
		t.Errorf("%v came back after %d terms", err, terms)
	}
}

// Work that panics or ends its goroutine gives the term back, and so ends the run.
func TestWorkThatNeverReturns(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	candidate := must(NewCandidate("x", WithURL(store)))
	for name, work := range map[string]func(){"panic": func() { panic("work") }, "goexit": runtime.Goexit} {
		end := make(chan any, 1)
		go func() {
			defer func() { end <- recover() }()
			_ = candidate.Lead(context.Background(), "", func(context.Context, *Held) error {
				work()
				return nil
			})
		}()
		if said := within(t, "end", end); said != nil && said != "work" {
			t.Error(said)
		}
		if candidate.IsLeader() || !isFree(t, store, "x") {
			t.Error("held after " + name)
		}
	}
}

// Of two loops on one object the second is refused, also when the first is at work: nobody waits for
// himself.
func TestTwoLoops(t *testing.T) {
	t.Parallel()
	candidate := must(NewCandidate("x", fresh(t)))
	ctx, stop := context.WithCancel(context.Background())
	err := candidate.Lead(ctx, "", func(ctx context.Context, _ *Held) error {
		defer stop()
		if err := candidate.Lead(ctx, "", nil); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("%v came back from Lead inside of Lead", err)
		}
		if _, err := candidate.Campaign(ctx, ""); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("%v came back from Campaign inside of Lead", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	lock := must(New("y", fresh(t)))
	err = NewElection(lock, func(ctx context.Context) error {
		if err := NewElection(lock, nil, nil).Run(ctx); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("%v came back from Run inside of Run", err)
		}
		if _, err := lock.Acquire(ctx); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("%v came back from Acquire inside of Run", err)
		}
		return nil
	}, nil).Run(context.Background())
	if err != nil {
		t.Error(err)
	}
}

// What has ended before it begins does nothing; what ends while it stands, ends.
func TestLeadIsStoppedEarly(t *testing.T) {
	t.Parallel()
	store := fresh(t)
	candidate := must(NewCandidate("x", store))
	ctx, stop := context.WithCancel(context.Background())
	stop()
	never := func(context.Context, *Held) error { t.Error("it leads"); return nil }
	if err := candidate.Lead(ctx, "", never); err != nil {
		t.Error(err)
	}
	held := must(must(New("x", store)).Acquire(context.Background()))
	waits := make(chan Waiting, 1)
	standing := must(NewCandidate("x", store, WithWaiting(func(w Waiting) { waits <- w })))
	ctx, stop = context.WithCancel(context.Background())
	end := background(func() error { return standing.Lead(ctx, "", never) })
	if w := within(t, "waiting", waits); w.Name != "x" || w.Position != 1 {
		t.Errorf("%+v", w)
	}
	stop()
	if err := within(t, "end", end); err != nil || !held.IsHeld() {
		t.Error(err)
	}
}

// A wait that ends without a term is what Lead returns.
func TestLeadWaitsNoLongerThanTold(t *testing.T) {
	t.Parallel()
	store := fresh(t)
	must(must(New("x", store)).Acquire(context.Background()))
	for wait, expected := range map[time.Duration]*Error{0: ErrBusy, time.Millisecond: ErrTimeout} {
		err := must(NewCandidate("x", store, WithWait(wait))).Lead(context.Background(), "", nil)
		if !errors.Is(err, expected) {
			t.Errorf("%v came back after %v", err, wait)
		}
	}
}

// A wait waits for an elector that is not there yet, and says so once; a try does not wait.
func TestAWaitWaitsForItsElector(t *testing.T) {
	t.Parallel()
	address := freeAddress()
	book := &logbook{}
	url := WithURL("http://" + address)
	if _, err := must(New("x", url)).TryAcquire(context.Background()); !errors.Is(err, ErrUnreachable) ||
		!strings.Contains(err.Error(), "mpsync elector") {
		t.Errorf("%v came back from a try", err)
	}
	work := func(context.Context) error { return nil }
	acquired := background(func() error {
		held, err := must(New("a", url, WithLogger(book.logger()))).Acquire(context.Background())
		if err == nil {
			err = held.Release()
		}
		return err
	})
	led := background(func() error {
		return NewElection(must(New("b", url, WithLogger(book.logger()))), work, nil).Run(context.Background())
	})
	eventually(t, "it is told", func() bool { return book.count("mpsync elector") > 0 })
	startElector(t, address)
	if err := within(t, "lock", acquired); err != nil {
		t.Error(err)
	}
	if err := within(t, "leader", led); err != nil {
		t.Error(err)
	}
}
