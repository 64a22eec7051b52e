package mpsync

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func goBuild(t *testing.T, environment []string, arguments ...string) string {
	t.Helper()
	build := exec.Command("go", append([]string{"build", "-o", os.DevNull}, arguments...)...)
	build.Env = append(os.Environ(), environment...)
	out, _ := build.CombinedOutput()
	return string(out)
}

// Without cgo there is one sentence that says what is missing.
func TestWithoutCgo(t *testing.T) {
	t.Parallel()
	out := goBuild(t, []string{"CGO_ENABLED=0"}, ".")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 ||
		!strings.Contains(lines[1], "mpsync needs cgo: build with CGO_ENABLED=1, a C compiler and the library libmpsync") {
		t.Errorf("it says %s", out)
	}
}

// The tag mpsync_static links the library into the program, which needs no libmpsync.so then.
func TestStaticLinking(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-tags", "mpsync_static", "-o", program, "./testdata/program")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(program, storeOf(t)).CombinedOutput(); err != nil || string(out) != "held\n" {
		t.Errorf("%v\n%s", err, out)
	}
	libraries := string(must(exec.Command("ldd", program).Output()))
	if strings.Contains(libraries, "libmpsync") {
		t.Error(libraries)
	}
}
