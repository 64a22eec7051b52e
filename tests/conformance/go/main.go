// The runner of the conformance scenarios over the Go package; see ../README.md.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

type handle struct {
	lock      *mpsync.Lock
	candidate *mpsync.Candidate
	cancels   []context.CancelCauseFunc // of what was begun
	stopped   bool                      // before anything was begun
	done      chan error                // ends the work of a term
	waits     atomic.Bool               // is its waiting to be told?
}

func (h *handle) cancel(cause error) {
	h.stopped = len(h.cancels) == 0
	for _, cancel := range h.cancels {
		cancel(cause)
	}
	h.cancels = nil
}

var errCut = errors.New("cut")

var (
	client  *mpsync.Client
	handles = map[string]*handle{}
	writing sync.Mutex
)

func tell(words ...string) {
	writing.Lock()
	defer writing.Unlock()
	fmt.Println(strings.Join(words, "\t"))
}

func tellError(key string, err error) {
	var failed *mpsync.Error
	switch {
	case errors.Is(err, errCut):
		tell(key, "cut")
	case errors.Is(err, mpsync.ErrBusy), errors.Is(err, mpsync.ErrTimeout):
		tell(key, "busy")
	case errors.As(err, &failed):
		tell(key, "error", strconv.Itoa(int(failed.Status)))
	default:
		tell(key, "error", err.Error())
	}
}

func makeHandle(kind, key, name, ttl string) {
	h := &handle{done: make(chan error)}
	options := []mpsync.Option{mpsync.WithClient(client), mpsync.WithWaiting(func(w mpsync.Waiting) {
		if h.waits.Load() {
			tell(key, "waits", w.Holder, strconv.Itoa(w.Position))
		}
	})}
	if ttl != "-" {
		options = append(options, mpsync.WithSetting("ttl", ttl))
	}
	var err error
	if kind == "lock" {
		h.lock, err = mpsync.New(name, options...)
	} else {
		h.candidate, err = mpsync.NewCandidate(name, options...)
	}
	handles[key] = h
	if err != nil {
		tellError(key, err)
		return
	}
	tell(key, "ok")
}

func (h *handle) take(ctx context.Context, value, wait string) (*mpsync.Held, error) {
	ms, _ := strconv.Atoi(wait)
	timeout := time.Duration(ms) * time.Millisecond
	switch {
	case h.lock != nil && ms < 0:
		return h.lock.Acquire(ctx)
	case h.lock != nil:
		return h.lock.AcquireTimeout(ctx, timeout)
	case ms < 0:
		return h.candidate.Campaign(ctx, value)
	}
	return h.candidate.CampaignTimeout(ctx, value, timeout)
}

func take(h *handle, ctx context.Context, key, value, wait string) {
	held, err := h.take(ctx, value, wait)
	if err != nil {
		tellError(key, err)
		return
	}
	tell(key, "held", strconv.FormatUint(held.Token(), 10))
	lost := held.Lost()
	go func() {
		<-lost
		tell(key, "lost")
	}()
}

func lead(h *handle, ctx context.Context, key, value string) {
	err := h.candidate.Lead(ctx, value, func(_ context.Context, term *mpsync.Held) error {
		tell(key, "term", strconv.FormatUint(term.Token(), 10))
		select {
		case end := <-h.done:
			return end
		case <-term.Ending():
		}
		left := map[bool]string{true: "all", false: "some"}[term.Why().Left < 0]
		if term.Why().Left == 0 {
			left = "none"
		}
		tell(key, "ending", term.Why().Reason, left)
		return <-h.done
	})
	if err != nil {
		tellError(key, err)
		return
	}
	tell(key, "over")
}

func done(h *handle, failed bool) {
	var err error
	if failed {
		err = errors.New("it was told to fail")
	}
	h.done <- err
}

func resign(h *handle, key string) {
	if err := h.candidate.Resign(); err != nil {
		tellError(key, err)
	}
}

func release(h *handle, key string) {
	var err error
	if h.lock != nil {
		err = h.lock.Release()
	} else {
		err = h.candidate.Resign()
	}
	if err != nil {
		tellError(key, err)
		return
	}
	tell(key, "released")
}

func holds(h *handle, key string) {
	if h.lock != nil && h.lock.Locked() || h.candidate != nil && h.candidate.IsLeader() {
		tell(key, "yes")
	} else {
		tell(key, "no")
	}
}

func setValue(h *handle, key, value string) {
	if err := h.candidate.SetValue(value); err != nil {
		tellError(key, err)
		return
	}
	tell(key, "done")
}

func leader(h *handle, key string) {
	seen, err := h.candidate.Leader(context.Background())
	switch {
	case err != nil:
		tellError(key, err)
	case seen.Token == 0:
		tell(key, "leader", "-")
	default:
		tell(key, "leader", seen.Holder, seen.Value, strconv.FormatUint(seen.Token, 10))
	}
}

func observe(h *handle, key string) {
	for seen := range h.candidate.Observe(context.Background()) {
		if seen.Token == 0 {
			tell(key, "sees", "-")
		} else {
			tell(key, "sees", seen.Holder, seen.Value)
		}
	}
}

func addOne(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(number+1)), 0o600)
}

func count(h *handle, key, file, times string) {
	n, _ := strconv.Atoi(times)
	for range n {
		held, err := h.lock.Acquire(context.Background())
		if err == nil {
			err = addOne(file)
		}
		if err != nil {
			tellError(key, err)
			return
		}
		tell(key, "turn", strconv.FormatUint(held.Token(), 10))
		if err := held.Release(); err != nil {
			tellError(key, err)
			return
		}
	}
	tell(key, "done")
}

func speed(h *handle, key, times string) {
	n, _ := strconv.Atoi(times)
	held, err := h.lock.Acquire(context.Background())
	if err != nil {
		tellError(key, err)
		return
	}
	began := time.Now()
	for range n {
		if !held.IsHeld() {
			return
		}
	}
	tell(key, "ns", strconv.Itoa(int(time.Since(began))/n))
	_ = held.Release()
}

func pass(h *handle, key, times string) {
	n, _ := strconv.Atoi(times)
	seen := []string{key, "times"}
	now := func() string { return strconv.FormatInt(time.Now().UnixNano(), 10) }
	for range n {
		held, err := h.lock.Acquire(context.Background())
		if err != nil {
			tellError(key, err)
			return
		}
		seen = append(seen, now())
		time.Sleep(3 * time.Millisecond)
		seen = append(seen, now())
		_ = held.Release()
		time.Sleep(time.Millisecond)
	}
	tell(seen...)
}

// forget has the collector find the handle.
func forget(key, word string) {
	delete(handles, key)
	runtime.GC()
	runtime.GC()
	tell(key, word)
}

// begin is what takes its time, and how to end it.
func begin(h *handle, words []string) {
	ctx, cancel := context.WithCancelCause(context.Background())
	h.cancels = append(h.cancels, cancel)
	if h.stopped {
		h.stopped = false
		h.cancel(context.Canceled)
	}
	switch key := words[1]; words[0] {
	case "acquire":
		go take(h, ctx, key, "", words[2])
	case "campaign":
		go take(h, ctx, key, words[2], words[3])
	case "lead":
		go lead(h, ctx, key, words[2])
	}
}

func closeClient() {
	if err := client.Close(); err != nil {
		tellError("0", err)
		return
	}
	tell("0", "closed")
}

func obey(words []string) {
	words = append(words, "", "")
	verb, key := words[0], words[1]
	h := handles[key]
	switch verb {
	case "lock", "election":
		makeHandle(verb, key, words[2], words[3])
	case "acquire", "campaign", "lead":
		begin(h, words)
	case "cancel":
		h.cancel(mpsync.ErrCancelled)
	case "cut":
		h.cancel(errCut)
	case "stop":
		h.cancel(context.Canceled)
	case "done":
		done(h, words[2] == "fail")
	case "resign":
		resign(h, key)
	case "waits":
		h.waits.Store(true)
	case "close":
		closeClient()
	case "exit":
		os.Exit(0)
	case "release":
		release(h, key)
	case "held":
		holds(h, key)
	case "value":
		setValue(h, key, words[2])
	case "leader":
		leader(h, key)
	case "observe":
		go observe(h, key)
	case "count":
		go count(h, key, words[2], words[3])
	case "speed":
		go speed(h, key, words[2])
	case "pass":
		go pass(h, key, words[2])
	case "drop":
		forget(key, "dropped")
	case "collect":
		forget(key, "collected")
	}
}

func main() {
	var err error
	if client, err = mpsync.Open(""); err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		obey(strings.Split(lines.Text(), "\t"))
	}
}
