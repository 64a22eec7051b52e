// A program that is linked in several ways.
package main

import (
	"context"
	"fmt"
	"os"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func main() {
	err := mpsync.Do(context.Background(), "x", func(context.Context) error {
		fmt.Println("held")
		return nil
	}, mpsync.WithURL(os.Args[1]))
	if err != nil {
		panic(err)
	}
}
