//go:build mpsync_static

package mpsync

// #cgo LDFLAGS: -Wl,--as-needed -l:libmpsync.a -levent -lcurl -lcjson -lyaml -lssl -lcrypto -l:libsqlite3.a -l:libprotobuf-c.a -lm
import "C"
