package mpsync

// #cgo pkg-config: mpsync
// #include <mpsync.h>
// #include <stdlib.h>
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
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
	"weak"
)

// event is mpsync_event as Go has it.
type event struct {
	kind    int
	status  Status
	reason  int
	op      uint64
	lock    uint64
	grant   uint64
	token   uint64
	holder  string
	value   string
	message string
	nobody  bool
}

func eventOf(e *C.mpsync_event) event {
	return event{
		kind: int(e._type), status: Status(e.status), reason: int(e.reason), op: uint64(e.op_id),
		lock: uint64(e.lock), grant: uint64(e.grant), token: uint64(e.token),
		holder: C.GoString(e.holder), value: C.GoString(e.value), message: C.GoString(e.message),
		nobody: e.holder == nil,
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
			message += ": " + e.holder + " has it"
		}
	}
	return &Error{e.status, message}
}

// request is a call under way. Its end is sent once; progress, where it is wanted, before.
type request struct {
	handle   *handle
	held     *Held
	end      chan event
	progress func(event)
}

// client is the process's connection to one URL, and the goroutine that hands out its events.
type client struct {
	native   *C.mpsync_client
	queue    *C.mpsync_queue
	readable syscall.RawConn // the queue's descriptor
	numbers  atomic.Uint64
	mutex    sync.Mutex
	requests map[uint64]*request
	handles  map[uint64]weak.Pointer[handle]
}

var clients = struct {
	sync.Mutex
	byURL map[string]*client
}{byURL: map[string]*client{}}

// clientOf is kept for the life of the process: a program has few URLs.
func clientOf(url string) (*client, error) {
	if strings.TrimSuffix(url, "/")+"/" == BaseLockURL {
		url = ""
	}
	clients.Lock()
	defer clients.Unlock()
	if c := clients.byURL[url]; c != nil {
		return c, nil
	}
	c, err := open(url)
	if err == nil {
		clients.byURL[url] = c
	}
	return c, err
}

func open(url string) (*client, error) {
	var e C.mpsync_error
	var curl *C.char
	if url != "" {
		var err error
		if curl, err = text("url", url); err != nil {
			return nil, err
		}
		defer C.free(unsafe.Pointer(curl))
	}
	queue := C.mpsync_queue_new(&e)
	if queue == nil {
		return nil, errorOf(&e)
	}
	native := C.mpsync_client_open(curl, nil, queue, &e)
	if native == nil {
		C.mpsync_queue_free(queue)
		return nil, errorOf(&e)
	}
	// Only now, for the runtime would close the descriptor of a queue that is freed.
	readable, err := os.NewFile(uintptr(C.mpsync_queue_fd(queue)), "mpsync").SyscallConn()
	if err != nil {
		C.mpsync_client_close(native)
		return nil, err
	}
	c := &client{
		native: native, queue: queue, readable: readable,
		requests: map[uint64]*request{}, handles: map[uint64]weak.Pointer[handle]{},
	}
	go c.pump()
	return c, nil
}

// start gives the request a number and makes the call with it.
func (c *client) start(r *request, call func(op C.uint64_t, e *C.mpsync_error)) (uint64, error) {
	var e C.mpsync_error
	op := c.numbers.Add(1)
	c.mutex.Lock()
	c.requests[op] = r
	c.mutex.Unlock()
	call(C.uint64_t(op), &e)
	if err := errorOf(&e); err != nil {
		c.mutex.Lock()
		delete(c.requests, op)
		c.mutex.Unlock()
		return 0, err
	}
	return op, nil
}

// ask makes a call that ends soon, and waits for its end.
func (c *client) ask(call func(op C.uint64_t, e *C.mpsync_error)) error {
	r := &request{end: make(chan event, 1)}
	if _, err := c.start(r, call); err != nil {
		return err
	}
	return (<-r.end).err()
}

// pump waits in the runtime's poller, as for a socket: no thread stands still in C, and from the
// event to the goroutine that it is for there is no other thread to wake. What has been handed out
// is freed with the next call into C, so that the goroutine does not wait for that either.
func (c *client) pump() {
	var events [16]*C.mpsync_event
	var taken C.int32_t
	handOut := func(uintptr) bool {
		for {
			taken = C.exchange(c.queue, &events[0], taken, C.int32_t(len(events)))
			for _, native := range events[:taken] {
				c.dispatch(eventOf(native))
			}
			if int(taken) < len(events) {
				return false
			}
		}
	}
	panic(c.readable.Read(handOut)) // the descriptor is never closed
}

func (c *client) dispatch(e event) {
	if e.kind == C.MPSYNC_EVENT_LOST {
		c.lose(e)
		return
	}
	progress := e.kind == C.MPSYNC_EVENT_WAITING || e.kind == C.MPSYNC_EVENT_LEADER ||
		e.kind == C.MPSYNC_EVENT_LOG
	c.mutex.Lock()
	r := c.requests[e.op]
	if !progress {
		delete(c.requests, e.op)
	}
	c.mutex.Unlock()
	switch {
	case r == nil:
	case progress:
		if r.progress != nil {
			r.progress(e)
		}
	default:
		if e.kind == C.MPSYNC_EVENT_HELD {
			r.held = r.handle.begin(e)
		}
		r.end <- e
	}
}

func (c *client) lose(e event) {
	c.mutex.Lock()
	h := c.handles[e.lock].Value()
	c.mutex.Unlock()
	if h != nil {
		h.lose(e)
	}
}
