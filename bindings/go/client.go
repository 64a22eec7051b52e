package mpsync

// #cgo pkg-config: mpsync
// #include "native.h"
import "C"

import (
	"log/slog"
	"maps"
	"os"
	"runtime"
	"sync"
	"weak"
)

// Client is a connection to one place where locks live, with a thread of the C library and a
// goroutine of its own. The locks of a URL share one that ends with the last of them; make one that
// is to be closed at a known moment.
type Client struct{ core *core }

// core is what the goroutine refers to: it does not keep the Client from being collected.
type core struct {
	*pump
	using   sync.RWMutex // native is not dropped while somebody calls with it
	native  *C.mpsync_client
	queue   *C.mpsync_queue
	file    *os.File   // of the queue's events
	closing sync.Mutex // of who begins to close it
	closes  bool
	ended   chan struct{}
}

type clientKey struct {
	url         string
	environment string // what the environment said when it was opened, as a program's tests change that
	logger      *slog.Logger
}

var clients = struct {
	sync.Mutex
	open map[clientKey]weak.Pointer[Client]
}{open: map[clientKey]weak.Pointer[Client]{}}

// Open connects to where the URL says; "" is the default. The options hold for all locks of the
// client that say nothing else.
func Open(url string, options ...Option) (*Client, error) {
	return open(settingsOf(append([]Option{WithURL(url)}, options...)))
}

// clientOf is the one of [WithClient], or else the one that all of a URL share.
func clientOf(s *settings) (*Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	clients.Lock()
	defer clients.Unlock()
	key := clientKey{s.url, os.Getenv("MPSYNC_URL"), s.logger}
	if c := clients.open[key].Value(); c != nil {
		return c, nil
	}
	maps.DeleteFunc(clients.open, func(_ clientKey, c weak.Pointer[Client]) bool { return c.Value() == nil })
	c, err := open(&settings{url: s.url, logger: s.logger})
	if err == nil {
		clients.open[key] = weak.Make(c)
	}
	return c, err
}

func open(s *settings) (*Client, error) {
	var e C.mpsync_error
	options, err := s.native()
	if err != nil {
		return nil, err
	}
	defer C.mpsync_options_free(options)
	c := &core{pump: newPump(s.logger), ended: make(chan struct{})}
	if c.queue = C.mpsync_queue_new(&e); c.queue == nil {
		return nil, errorOf(&e)
	}
	err = withText(func(url ...*C.char) {
		if s.url == "" {
			url[0] = nil
		}
		c.native = C.mpsync_client_open(url[0], options, c.queue, &e)
	}, s.url)
	if err == nil {
		err = errorOf(&e)
	}
	if err == nil {
		c.file, err = fileOf(C.mpsync_queue_fd(c.queue))
	}
	if err != nil {
		c.drop()
		return nil, err
	}
	go c.run()
	client := &Client{c}
	runtime.AddCleanup(client, func(c *core) { go c.close() }, c)
	return client, nil
}

// drop leaves nothing of it; locks that are still there know by themselves that it is closed.
func (c *core) drop() {
	c.using.Lock()
	defer c.using.Unlock()
	C.mpsync_client_close(c.native)
	C.mpsync_queue_free(c.queue)
	if c.file != nil {
		_ = c.file.Close()
	}
	c.native, c.queue = nil, nil
}

// with makes a call with the native client, if it is still open.
func (c *core) with(call func(*C.mpsync_client) error) error {
	c.using.RLock()
	defer c.using.RUnlock()
	if c.native == nil {
		return failure(StatusClosed, "the client is closed")
	}
	return call(c.native)
}

// Close gives back all that is held, ends all waits, and leaves no goroutine, thread or descriptor.
// Work that goes on under a lock is told by its context, and not waited for. It may be called again,
// from wherever: all calls wait for the same end.
func (c *Client) Close() error {
	defer runtime.KeepAlive(c)
	return c.core.close()
}

func (c *core) close() error {
	if err := c.beginToClose(); err != nil {
		return err
	}
	<-c.ended
	return nil
}

// beginToClose lets whoever comes meanwhile wait: where memory lacks, the next one tries it anew.
func (c *core) beginToClose() error {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closes {
		return nil
	}
	err := c.start(&request{closes: true}, func(op C.uint64_t, e *C.mpsync_error) {
		C.mpsync_client_close_start(c.native, op, e)
	})
	c.closes = err == nil
	return err
}

// run hands out events until the client is closed.
func (c *core) run() {
	c.pumpFrom(c.queue, c.file)
	c.drop()
	c.failAll()
	close(c.ended)
}
