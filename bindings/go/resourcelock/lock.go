// Package resourcelock lets client-go's leader election, and so a manager of controller-runtime, lead
// by a name of Metaparticle Sync instead of a Lease:
//
//	lock, err := resourcelock.New("scheduler", "", mpsync.WithURL("etcd://etcd:2379"))
//	…
//	ctx, stop := context.WithCancelCause(ctx)
//	lock.OnLost = stop
//	manager, err := ctrl.NewManager(config, ctrl.Options{
//		LeaderElection:                      true,
//		LeaderElectionResourceLockInterface: lock,
//		LeaderElectionReleaseOnCancel:       true,
//	})
//	…
//	err = manager.Start(ctx)
//
// client-go asks at times of its own: how long that makes a hand-over, and what leads without it, is
// in the project's page on Go. It believes that it leads for one LeaseDuration after each renewal at
// most; here a renewal succeeds only when the right lasts as long, so that the right outlives the belief.
package resourcelock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	mpsync "github.com/metaparticle-io/sync/go/sync"
	rl "k8s.io/client-go/tools/leaderelection/resourcelock"
)

var _ rl.Interface = (*Lock)(nil)

// Lock is a candidate, as client-go's leader election asks for it. One elector uses it at a time.
type Lock struct {
	// OnLost is called when the right of a term has ended unasked, unless it is nil: client-go itself
	// learns of that with its next renewal, and leads on until its RenewDeadline is over. A
	// [context.CancelCauseFunc] of the elector's context ends the term at once. Set it before use.
	OnLost func(cause error)

	name, identity string
	candidate      *mpsync.Candidate
	mutex          sync.Mutex
	request        *request                // what stands, until a term begins with it
	held           *mpsync.Held            // of the present term, also when it is lost
	over           chan struct{}           // the present term
	record         rl.LeaderElectionRecord // as client-go has written it
	leaving        *time.Timer             // gives back what client-go has let run out
	looks          int64
}

// request is a wait for the right, and then the right, of which client-go does not know yet.
type request struct {
	answered chan struct{}
	held     *mpsync.Held
	err      error
	used     chan struct{}
}

// answersIn is how long a store may take to answer, as client-go's own locks have it by default.
const answersIn = 5 * time.Second

var (
	errNoAnswer = errors.New("the store has not answered in time")
	errNotYet   = errors.New("it is not granted yet: another has it, or the store does not answer")
)

// New makes a lock. The identity, which others see, is to be unique; "" makes one of the host's name.
// The ttl is 45 s: it is to be three times the LeaseDuration of the elector.
func New(name, identity string, options ...mpsync.Option) (*Lock, error) {
	if identity == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		identity = host + "_" + rand.Text()
	}
	options = append([]mpsync.Option{mpsync.WithTTL(45 * time.Second)}, options...)
	candidate, err := mpsync.NewCandidate(name, append(options, mpsync.WithIdentity(identity))...)
	if err != nil {
		return nil, err
	}
	return &Lock{name: name, identity: identity, candidate: candidate}, nil
}

// Held is the present term's right, with its fencing token; nil while this lock does not lead.
func (l *Lock) Held() *mpsync.Held {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.held == nil || !l.held.IsHeld() {
		return nil
	}
	return l.held
}

// Get stands until the context ends, and tells who leads: the record's HolderIdentity is empty when
// nobody does, or when it is this lock's turn.
func (l *Lock) Get(ctx context.Context) (*rl.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.own(ctx)
	if record != nil || err != nil {
		return record, raw, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answersIn, errNoAnswer)
	defer cancel()
	leader, err := l.candidate.Leader(ctx)
	if err != nil {
		return nil, nil, err
	}
	if leader.Holder == l.identity {
		leader.Holder = "" // the right has just been granted
	}
	return &rl.LeaderElectionRecord{HolderIdentity: leader.Holder, LeaseDurationSeconds: 1}, raw, nil
}

// own is the record of a present term, or an empty one when a right waits for its term; else nil.
func (l *Lock) own(ctx context.Context) (*rl.LeaderElectionRecord, []byte, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	// A right that the store knows of is alive. client-go takes it for alive when this text changes.
	l.looks++
	raw := strconv.AppendInt(nil, l.looks, 10)
	if l.held != nil {
		if !l.held.IsHeld() {
			return nil, raw, nil
		}
		record := l.record
		return &record, raw, nil
	}
	switch r := l.stand(ctx); {
	case r.err != nil:
		l.use(r)
		return nil, nil, r.err
	case r.held != nil:
		return &rl.LeaderElectionRecord{}, raw, nil
	}
	return nil, raw, nil
}

// Create does what Update does: there is nothing that has to be made first.
func (l *Lock) Create(ctx context.Context, record rl.LeaderElectionRecord) error {
	return l.Update(ctx, record)
}

// Update begins a term, or succeeds if the right of the present one lasts for a LeaseDuration more.
// A term whose right was lost does not get another one. Without a HolderIdentity it gives back.
func (l *Lock) Update(ctx context.Context, record rl.LeaderElectionRecord) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if record.HolderIdentity == "" {
		return l.release(ctx)
	}
	lasts := time.Duration(record.LeaseDurationSeconds) * time.Second
	if l.held == nil {
		if err := l.begin(ctx, lasts); err != nil {
			return err
		}
	} else if err := outlasts(l.held, l.name, lasts); err != nil {
		return err
	}
	l.stay()
	l.record = record
	return nil
}

// stand asks for the right, for as long as the context of client-go's own attempts lasts.
func (l *Lock) stand(ctx context.Context) *request {
	if l.request == nil {
		r := &request{answered: make(chan struct{}), used: make(chan struct{})}
		l.request = r
		go func() {
			held, err := l.candidate.Campaign(ctx, "")
			l.mutex.Lock()
			r.held, r.err = held, err
			l.mutex.Unlock()
			close(r.answered)
			select {
			case <-r.used:
			case <-ctx.Done():
				l.giveUp(r)
			}
		}()
	}
	return l.request
}

// use ends the wait for what becomes of a request.
func (l *Lock) use(r *request) {
	l.request = nil
	close(r.used)
}

// giveUp is the end of a request with which no term has begun.
func (l *Lock) giveUp(r *request) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.request == r {
		l.request = nil
		giveBack(r.held)
	}
}

// giveBack does not wait for the store. Nothing is held any more.
func giveBack(held *mpsync.Held) <-chan error {
	released := make(chan error, 1)
	if held == nil {
		released <- nil
	} else {
		go func() { released <- held.Release() }()
	}
	return released
}

// begin takes what was asked for, and waits for it as long as a store may take to answer.
func (l *Lock) begin(ctx context.Context, lasts time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answersIn, errNotYet)
	defer cancel()
	r := l.stand(ctx)
	l.mutex.Unlock()
	select {
	case <-r.answered:
	case <-ctx.Done():
	}
	l.mutex.Lock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.request != r: // the context with which it stood has ended
		return mpsync.ErrCancelled
	}
	l.use(r)
	if r.err != nil {
		return r.err
	}
	if err := outlasts(r.held, l.name, lasts); err != nil {
		giveBack(r.held)
		return err
	}
	l.held, l.over = r.held, make(chan struct{})
	if l.OnLost != nil {
		go l.watch(l.held, l.over)
	}
	return nil
}

// outlasts tells why the right is not enough for client-go to lead for so long.
func outlasts(held *mpsync.Held, name string, lasts time.Duration) error {
	remaining := held.Remaining()
	switch {
	case held.Err() != nil:
		return held.Err()
	case remaining == 0:
		return fmt.Errorf("%q is not held any more", name)
	case remaining < lasts:
		return fmt.Errorf("the right to %q lasts for %v, and the LeaseDuration is %v: give it a ttl of three times that", name, remaining, lasts)
	}
	return nil
}

func (l *Lock) watch(held *mpsync.Held, over chan struct{}) {
	select {
	case <-held.Lost():
		l.OnLost(held.Err())
	case <-over:
	}
}

// release waits for the store no longer than the context.
func (l *Lock) release(ctx context.Context) error {
	if l.held == nil {
		return nil
	}
	select {
	case err := <-giveBack(l.end()):
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end is that of the present term.
func (l *Lock) end() *mpsync.Held {
	held := l.held
	l.stay()
	close(l.over)
	l.held = nil
	return held
}

// RecordEvent logs what client-go tells. After "stopped leading" what was not given back stays held
// for one LeaseDuration, as a Lease would, so that work may come to its end.
func (l *Lock) RecordEvent(event string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	attributes := []any{"name", l.name, "identity", l.identity}
	if l.held != nil {
		attributes = append(attributes, "token", l.held.Token())
	}
	slog.Info("leader election: "+event, attributes...)
	if event == "stopped leading" && l.held != nil {
		l.leave()
	}
}

func (l *Lock) leave() {
	if !l.held.IsHeld() {
		l.end()
		return
	}
	var leaving *time.Timer
	leaving = time.AfterFunc(time.Duration(l.record.LeaseDurationSeconds)*time.Second, func() {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		if l.leaving == leaving {
			giveBack(l.end())
		}
	})
	l.leaving = leaving
}

// stay is what an elector does that runs again before its last term's right is given back.
func (l *Lock) stay() {
	if l.leaving != nil {
		l.leaving.Stop()
		l.leaving = nil
	}
}

// Identity is how others see this lock.
func (l *Lock) Identity() string { return l.identity }

// Describe is the name.
func (l *Lock) Describe() string { return l.name }
