package mpsync

// #include "native.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
)

// run is work that goes with terms. When a candidate stands, leads, stops and stands again, the C
// library decides; here the functions are called, and their end is reported.
type run struct {
	*request
	native C.native
	value  string
	waitMS int64
	work   WorkFn
	follow func()               // another has it
	lead   func()               // nobody else has it
	ends   func(told bool) bool // does the run end with work that has returned?
	worked error                // what the last term's work returned
}

// do runs the functions on the caller's goroutine until the run has ended.
func (r *run) do(ctx context.Context, h *handle) (end event, err error) {
	if ctx.Err() != nil {
		return event{}, context.Cause(ctx)
	}
	r.native = h.native
	r.request = &request{handle: h, ctx: ctx, terms: make(chan *Held, 1), waits: make(chan struct{}, 1)}
	err = h.start(r.request, r.value, func(op C.uint64_t, value *C.char, e *C.mpsync_error) {
		C.run(r.native, op, value, C.int64_t(r.waitMS), e)
	})
	if err != nil {
		return event{}, err
	}
	defer runtime.KeepAlive(h)
	defer context.AfterFunc(ctx, r.stop)()
	for {
		select {
		case <-r.waits:
			call(r.follow)
		case term := <-r.terms:
			r.drain()
			call(r.lead)
			r.term(term)
		case end := <-r.end:
			return end, nil
		}
	}
}

// once is a run of one term. The error is what the work returned, joined with what ended its term
// unasked.
func (r *run) once(ctx context.Context, h *handle) error {
	r.ends = func(bool) bool { return true }
	end, err := r.do(ctx, h)
	switch {
	case err != nil:
		return err
	case r.held == nil && end.isStop():
		return context.Cause(ctx)
	case r.held == nil:
		return end.err()
	}
	r.held.noteLoss()
	if err = r.held.Err(); err == nil && !end.isStop() {
		err = end.err()
	}
	return both(r.worked, err)
}

// isStop tells that the run has ended as it was asked to.
func (e event) isStop() bool { return e.status == C.MPSYNC_OK || e.status == C.MPSYNC_E_CANCELLED }

// waits of before a term are of no interest in it.
func (r *run) drain() {
	select {
	case <-r.waits:
	default:
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}

func (r *run) stop() {
	C.run_stop(r.native, C.uint64_t(r.op))
	runtime.KeepAlive(r.handle)
}

// term runs the work, and says when it has ended, however that is. Work that panics, or ends its
// goroutine, ends the run: nothing is held any more when the panic goes on.
func (r *run) term(term *Held) {
	returned := false
	defer func() {
		told := term.ctx.Err() != nil
		term.cancel(context.Canceled)
		if !returned || r.ctx.Err() != nil || r.ends != nil && r.ends(told) {
			r.stop()
		}
		failed := C.int32_t(0)
		if !told && (r.worked != nil || !returned) {
			failed = 1
		}
		C.term_done(r.native, term.grant, failed)
		if !returned {
			<-r.end
		}
	}()
	r.worked = r.work(term.ctx)
	returned = true
}

// both keeps the work's own error beside what ended it, unless it is the same.
func both(worked, ended error) error {
	if worked == nil || ended != nil && (errors.Is(ended, worked) || errors.Is(worked, ended)) {
		return ended
	}
	if ended == nil {
		return worked
	}
	return errors.Join(worked, ended)
}
