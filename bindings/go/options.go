package mpsync

// #include "native.h"
import "C"

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unsafe"
)

// BaseLockURL is where the elector next to this program listens; as a URL it means the default.
const BaseLockURL = "http://localhost:13131/"

type settings struct {
	url     string
	text    map[string]string
	client  *Client
	logger  *slog.Logger
	waiting func(Waiting)
}

// An Option of a lock, a candidate or a client.
type Option func(*settings)

// WithURL says where the locks live: "file:locks.db", "http://…", "kubernetes:", "etcd://…", "memory:".
func WithURL(url string) Option { return func(s *settings) { s.url = url } }

// WithClient says by which client, which can be closed, instead of one that all of a URL share.
func WithClient(c *Client) Option { return func(s *settings) { s.client = c } }

// WithTTL says how long a right lasts without renewal.
func WithTTL(ttl time.Duration) Option { return withDuration("ttl", ttl) }

// WithWait says how long to wait for it at most.
func WithWait(wait time.Duration) Option { return withDuration("wait", wait) }

// WithIdentity says how others see this holder.
func WithIdentity(identity string) Option { return WithSetting("identity", identity) }

// WithLogger says where troubles are told, as that a store does not answer: else to [slog.Default].
// With [WithClient] it is the client's logger that counts.
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithWaiting has the function called while a lock or a candidate waits: once when the wait begins,
// and whenever what is known of it changes. It is called by a goroutine of the package, one call
// after another.
func WithWaiting(told func(Waiting)) Option { return func(s *settings) { s.waiting = told } }

// WithSetting sets any option by name, as URLs and the environment do.
func WithSetting(name, value string) Option {
	return func(s *settings) { s.text[name] = value }
}

func withDuration(name string, value time.Duration) Option {
	return WithSetting(name, fmt.Sprintf("%dms", milliseconds(value)))
}

// longestMS is the longest that an option may say: a thousand hours.
const longestMS = 1000 * 3600 * 1000

// milliseconds rounds up, so that a short wait is never none.
func milliseconds(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return min(ms, longestMS)
}

func settingsOf(options []Option) *settings {
	s := &settings{text: map[string]string{}}
	for _, option := range options {
		option(s)
	}
	if strings.TrimSuffix(s.url, "/")+"/" == BaseLockURL {
		s.url = ""
	}
	return s
}

// native makes the C library's options; the caller frees them.
func (s *settings) native() (*C.mpsync_options, error) {
	var e C.mpsync_error
	options := C.mpsync_options_new(&e)
	for name, value := range s.text {
		if e.status != C.MPSYNC_OK {
			break
		}
		if err := withText(func(text ...*C.char) { C.mpsync_options_set(options, text[0], text[1], &e) },
			name, value); err != nil {
			C.mpsync_options_free(options)
			return nil, err
		}
	}
	if err := errorOf(&e); err != nil {
		C.mpsync_options_free(options)
		return nil, err
	}
	return options, nil
}

// withText makes the call with C strings. C would not see what follows a NUL.
func withText(call func(text ...*C.char), text ...string) error {
	native := make([]*C.char, len(text))
	for i, s := range text {
		if strings.IndexByte(s, 0) >= 0 {
			return failure(StatusInvalid, "%q has a NUL character in it", s)
		}
		native[i] = C.CString(s)
		defer C.free(unsafe.Pointer(native[i]))
	}
	call(native...)
	return nil
}
