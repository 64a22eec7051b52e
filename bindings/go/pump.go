package mpsync

// #include "native.h"
//
// /* Frees the events that were taken before, and takes those that there are. */
// static int32_t exchange(mpsync_queue *queue, mpsync_event **events, int32_t taken, int32_t room)
// {
//	while (taken > 0)
//		mpsync_event_free(events[--taken]);
//	while (taken < room && (events[taken] = mpsync_queue_next(queue)))
//		taken++;
//	return taken;
// }
import "C"

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// event is mpsync_event as Go has it.
type event struct {
	kind, status, reason int
	op, grant, token     uint64
	left                 time.Duration
	waiting              Waiting
	value, message       string
	nobody               bool
}

func eventOf(e *C.mpsync_event) event {
	left := time.Duration(e.left_ms)
	if left > 0 {
		left *= time.Millisecond
	}
	return event{
		kind: int(e._type), status: int(e.status), reason: int(e.reason),
		op: uint64(e.op_id), grant: uint64(e.grant), token: uint64(e.token), left: left,
		waiting: Waiting{C.GoString(e.name), C.GoString(e.holder), int(e.position),
			time.Duration(e.unchanged_ms) * time.Millisecond},
		value: C.GoString(e.value), message: C.GoString(e.message), nobody: e.holder == nil,
	}
}

// err is what the event says, nil for success.
func (e event) err() error {
	if e.status == C.MPSYNC_OK {
		return nil
	}
	message := e.message
	if message == "" {
		message = C.GoString(C.mpsync_status_text(C.int32_t(e.status)))
		if !e.nobody {
			message += ": " + e.waiting.Holder + " has it"
		}
	}
	return &Error{Status(e.status), message}
}

// request is a call under way, or a run. Its end is sent once.
type request struct {
	op     uint64
	handle *handle
	held   *Held
	ctx    context.Context // a run's
	terms  chan *Held      // a run's, one at a time
	waits  chan struct{}   // a run's: another has it
	seen   func(Leader)    // an observation's
	closes bool            // the client
	end    chan event
}

// pump hands out the events of a client to the requests that they belong to. It runs nothing of the
// program's own.
type pump struct {
	teller
	logger   *slog.Logger
	numbers  atomic.Uint64
	mutex    sync.Mutex
	requests map[uint64]*request
	grants   map[uint64]*Held // held, whether or not the program refers to them
	over     bool             // the client is closed
}

func newPump(logger *slog.Logger) *pump {
	return &pump{logger: logger, requests: map[uint64]*request{}, grants: map[uint64]*Held{}}
}

// fileOf is a descriptor of one's own, for the runtime's poller.
func fileOf(descriptor C.int) (*os.File, error) {
	own, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), syscall.F_DUPFD_CLOEXEC, 0)
	if failed != 0 {
		return nil, failed
	}
	return os.NewFile(own, "mpsync"), nil
}

// start gives the request a number and makes the call with it.
func (p *pump) start(r *request, call func(op C.uint64_t, e *C.mpsync_error)) error {
	var e C.mpsync_error
	r.op = p.numbers.Add(1)
	r.end = make(chan event, 1)
	p.mutex.Lock()
	p.requests[r.op] = r
	p.mutex.Unlock()
	call(C.uint64_t(r.op), &e)
	err := errorOf(&e)
	if err != nil {
		p.mutex.Lock()
		delete(p.requests, r.op)
		p.mutex.Unlock()
	}
	return err
}

// asks tells whether a request of the handle, or a run, is under way.
func (p *pump) asks(h *handle) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, r := range p.requests {
		if r.handle == h {
			return true
		}
	}
	return false
}

// ask makes a call that ends soon, and waits for its end.
func (p *pump) ask(call func(op C.uint64_t, e *C.mpsync_error)) error {
	r := &request{}
	if err := p.start(r, call); err != nil {
		return err
	}
	return (<-r.end).err()
}

// pumpFrom waits in the runtime's poller, as for a socket: no thread stands still in C, and from the
// event to the goroutine that it is for there is no other thread to wake. What has been handed out
// is freed with the next call into C, so that the goroutine does not wait for that either.
func (p *pump) pumpFrom(queue *C.mpsync_queue, file *os.File) {
	var events [16]*C.mpsync_event
	var taken C.int32_t
	readable, err := file.SyscallConn()
	if err == nil {
		err = readable.Read(func(uintptr) bool {
			for {
				taken = C.exchange(queue, &events[0], taken, C.int32_t(len(events)))
				for _, native := range events[:taken] {
					p.dispatch(eventOf(native))
				}
				if int(taken) < len(events) {
					return p.over
				}
			}
		})
	}
	if err != nil {
		panic(err) // the descriptor is this goroutine's own
	}
	C.exchange(queue, &events[0], taken, 0)
}

func (p *pump) dispatch(e event) {
	p.mutex.Lock()
	r := p.requests[e.op]
	if e.ends() {
		delete(p.requests, e.op)
	}
	grant := p.grants[e.grant]
	if e.kind == C.MPSYNC_EVENT_RELEASED || e.kind == C.MPSYNC_EVENT_LOST {
		delete(p.grants, e.grant)
	}
	p.mutex.Unlock()
	switch {
	case e.kind == C.MPSYNC_EVENT_LOG:
		p.tell(func() { p.slog().Warn(e.message) })
	case e.kind == C.MPSYNC_EVENT_LOST && grant != nil:
		grant.end(e.reason, 0)
	case r == nil:
	case e.kind == C.MPSYNC_EVENT_HELD:
		r.held = r.handle.begin(r.ctx, e)
		p.mutex.Lock()
		p.grants[e.grant] = r.held
		p.mutex.Unlock()
		r.end <- e
	case e.ends():
		p.over = p.over || r.closes
		r.end <- e
	default:
		r.progress(p, e)
	}
}

// ends tells whether it is a request's last one.
func (e event) ends() bool {
	switch e.kind {
	case C.MPSYNC_EVENT_WAITING, C.MPSYNC_EVENT_LEADER, C.MPSYNC_EVENT_LOG, C.MPSYNC_EVENT_TERM, C.MPSYNC_EVENT_ENDING:
		return false
	}
	return true
}

func (r *request) progress(p *pump, e event) {
	switch e.kind {
	case C.MPSYNC_EVENT_TERM:
		r.held = r.handle.begin(r.ctx, e)
		r.terms <- r.held
	case C.MPSYNC_EVENT_ENDING:
		r.held.end(e.reason, e.left)
	case C.MPSYNC_EVENT_LEADER:
		r.seen(Leader{e.waiting.Holder, e.value, e.token})
	case C.MPSYNC_EVENT_WAITING:
		if told := r.handle.waiting; told != nil {
			p.tell(func() { told(e.waiting) })
		}
		select {
		case r.waits <- struct{}{}:
		default: // nobody wants to know, or it is known
		}
	}
}

func (p *pump) slog() *slog.Logger {
	if p.logger != nil {
		return p.logger
	}
	return slog.Default()
}

// failAll ends what nothing more will be told of.
func (p *pump) failAll() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for op, r := range p.requests {
		r.end <- event{status: C.MPSYNC_E_CLOSED, nobody: true}
		delete(p.requests, op)
	}
	clear(p.grants)
}

// teller calls what the program wants to be told with, in order, by a goroutine that is there while
// there is something to tell.
type teller struct {
	telling sync.Mutex
	calls   []func()
	busy    bool
}

func (t *teller) tell(call func()) {
	t.telling.Lock()
	defer t.telling.Unlock()
	t.calls = append(t.calls, call)
	if !t.busy {
		t.busy = true
		go t.run()
	}
}

func (t *teller) run() {
	for {
		t.telling.Lock()
		calls := t.calls
		t.calls = nil
		t.busy = len(calls) > 0
		t.telling.Unlock()
		if len(calls) == 0 {
			return
		}
		for _, call := range calls {
			call()
		}
	}
}
