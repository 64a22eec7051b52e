// Takes turns by client-go's own leader election and writes down what it believes, as tests/support/turns.c
// does; it has no token, and says 0.
//
//	turns KUBECONFIG NAMESPACE NAME IDENTITY LEASE RENEW RETRY
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

const turn = 150 * time.Millisecond

func duration(text string) time.Duration {
	value, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return value
}

func now() int64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &at); err != nil {
		panic(err)
	}
	return at.Nano()
}

// lead believes for one turn, or until it is told that it no longer leads, and then resigns.
func lead(ctx context.Context, asked int64, resign func()) {
	defer resign()
	fmt.Println("acquired 0", asked, now())
	last := asked
	for end := now() + turn.Nanoseconds(); now() < end; time.Sleep(20 * time.Millisecond) {
		before := now()
		if ctx.Err() != nil {
			fmt.Println("ended 0", last, now())
			return
		}
		fmt.Println("holds 0", before, now())
		last = before
	}
	fmt.Println("released 0", last, now())
}

func main() {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	arguments := os.Args[1:]
	config, err := clientcmd.BuildConfigFromFlags("", arguments[0])
	if err != nil {
		panic(err)
	}
	client := kubernetes.NewForConfigOrDie(config).CoordinationV1()
	for {
		asked := now()
		ctx, resign := context.WithCancel(context.Background())
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: arguments[1], Name: arguments[2]},
				Client:     client,
				LockConfig: resourcelock.ResourceLockConfig{Identity: arguments[3]},
			},
			ReleaseOnCancel: true,
			LeaseDuration:   duration(arguments[4]),
			RenewDeadline:   duration(arguments[5]),
			RetryPeriod:     duration(arguments[6]),
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) { lead(ctx, asked, resign) },
				OnStoppedLeading: func() {},
			},
		})
		resign()
	}
}
