//go:build !cgo

package mpsync

const _ int = "mpsync needs cgo: build with CGO_ENABLED=1, a C compiler and the library libmpsync"
