// One leads, term after term, until it is stopped; a term that is under way ends first.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	mpsync "github.com/metaparticle-io/sync/go/sync"
)

func main() {
	candidate, err := mpsync.NewCandidate("example")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = candidate.Lead(ctx, "http://me:8080", func(ctx context.Context, term *mpsync.Held) error {
		fmt.Println("leading")
		stop()       // a service works on instead, until:
		<-ctx.Done() // stopped, asked to hand over, or lost: context.Cause(ctx) says which
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("not leading")
}
