// Leads by client-go's own leader election, for the tests: prints what happens, and resigns when its input ends.
//
//	contender KUBECONFIG NAMESPACE NAME IDENTITY LEASE RENEW RETRY
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

func duration(text string) time.Duration {
	value, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	arguments := os.Args[1:]
	config, err := clientcmd.BuildConfigFromFlags("", arguments[0])
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: arguments[1], Name: arguments[2]},
			Client:     kubernetes.NewForConfigOrDie(config).CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: arguments[3]},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   duration(arguments[4]),
		RenewDeadline:   duration(arguments[5]),
		RetryPeriod:     duration(arguments[6]),
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { fmt.Println("leads") },
			OnStoppedLeading: func() { fmt.Println("stopped") },
			OnNewLeader:      func(identity string) { fmt.Println("leader", identity) },
		},
	})
}
