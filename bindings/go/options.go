package mpsync

// #include <mpsync.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"strings"
	"time"
	"unsafe"
)

// BaseLockURL is where the elector next to this program listens; as a URL it means the default.
const BaseLockURL = "http://localhost:13131/"

// What an elector answers to the first wire: it is held by who asks, free, or held by another.
const (
	OK       = 200 // there is such a lock, or it is ours
	NOTFOUND = 404 // nobody holds it
	CONFLICT = 409 // another holder has it
)

type settings struct {
	url  string
	text map[string]string
}

// An Option of a lock or a candidate.
type Option func(*settings)

// WithURL says where the locks live: "file:locks.db", "http://…", "kubernetes:", "etcd://…", "memory:".
func WithURL(url string) Option { return func(s *settings) { s.url = url } }

// WithTTL says how long a right lasts without renewal.
func WithTTL(ttl time.Duration) Option { return withDuration("ttl", ttl) }

// WithWait says how long to wait for it at most.
func WithWait(wait time.Duration) Option { return withDuration("wait", wait) }

// WithIdentity says how others see this holder.
func WithIdentity(identity string) Option { return WithSetting("identity", identity) }

// WithSetting sets any option by name, as URLs and the environment do.
func WithSetting(name, value string) Option {
	return func(s *settings) { s.text[name] = value }
}

func withDuration(name string, value time.Duration) Option {
	return WithSetting(name, fmt.Sprintf("%dms", milliseconds(value)))
}

// milliseconds rounds up, so that a short wait is never none.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

func settingsOf(options []Option) *settings {
	s := &settings{url: BaseLockURL, text: map[string]string{}}
	for _, option := range options {
		option(s)
	}
	return s
}

// native makes the C library's options; the caller frees them.
func (s *settings) native() (*C.mpsync_options, error) {
	var e C.mpsync_error
	options := C.mpsync_options_new(&e)
	if options == nil {
		return nil, errorOf(&e)
	}
	for name, value := range s.text {
		if err := setOption(options, name, value); err != nil {
			C.mpsync_options_free(options)
			return nil, err
		}
	}
	return options, nil
}

func setOption(options *C.mpsync_options, name, value string) error {
	var e C.mpsync_error
	cname, err := text("option", name)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(cname))
	cvalue, err := text(name, value)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(cvalue))
	C.mpsync_options_set(options, cname, cvalue, &e)
	return errorOf(&e)
}

// text is a C string, to be freed; C would not see what follows a NUL.
func text(what, s string) (*C.char, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, failure(StatusInvalid, "%s: %q has a NUL character in it", what, s)
	}
	return C.CString(s), nil
}
