// Judges a history of turns at one lock: is there an order of its steps, each within its own moments,
// in which nobody holds what another holds, and in which tokens rise?
//
// It reads lines "WORKER KIND TOKEN BEFORE AFTER" (see tests/support/turns.c) and answers with the
// number of steps, or with the folder's history.html that shows where no order exists.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

type step struct {
	kind  string
	token uint64
}

// state is the lock as the store has it: the grant that is in force, and the greatest so far.
type state struct {
	held   uint64
	latest uint64
}

// after tells whether the step may happen now, and what it leaves.
func after(s state, taken step) (bool, state) {
	switch taken.kind {
	case "acquired":
		return s.held == 0 && taken.token > s.latest, state{taken.token, taken.token}
	case "holds":
		return s.held == taken.token, s
	default: // released, ended
		return s.held == taken.token, state{0, s.latest}
	}
}

var lock = porcupine.Model{
	Init: func() interface{} { return state{} },
	Step: func(s, input, _ interface{}) (bool, interface{}) { return after(s.(state), input.(step)) },
	DescribeOperation: func(input, _ interface{}) string {
		return fmt.Sprintf("%s %d", input.(step).kind, input.(step).token)
	},
}

func read() (history []porcupine.Operation, err error) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var taken step
		operation := porcupine.Operation{}
		if _, err := fmt.Sscan(lines.Text(), &operation.ClientId, &taken.kind, &taken.token,
			&operation.Call, &operation.Return); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		operation.Input = taken
		history = append(history, operation)
	}
	return history, lines.Err()
}

func main() {
	history, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	result, information := porcupine.CheckOperationsVerbose(lock, history, 5*time.Minute)
	if result != porcupine.Ok {
		_ = porcupine.VisualizePath(lock, information, "history.html")
		fmt.Printf("%s after %d steps; see history.html\n", result, len(history))
		os.Exit(1)
	}
	fmt.Println(len(history), "steps")
}
