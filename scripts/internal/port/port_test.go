package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// listen listens on a port of address that the system chooses.
func listen(t *testing.T, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no listener on %s here: %v", address, err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestCheckFindsAListenerOnAnyAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			port := listen(t, address)
			if err := Check(t.Context(), port); !errors.Is(err, ErrTaken) {
				t.Errorf("Check(%d) = %v, want ErrTaken", port, err)
			}
		})
	}
}

// Between fork and exec, a child holds the listeners of its parent.
func TestCheckIgnoresListenersInheritedByAStartingProgram(t *testing.T) {
	t.Parallel()
	block, err := Reserve(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(block.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			for ctx.Err() == nil {
				_ = exec.Command("true").Run()
			}
		})
	}
	for range 300 {
		if err := Check(t.Context(), block.Ports[0]); err != nil {
			t.Error(err)
			break
		}
	}
	cancel()
	starters.Wait()
}

func TestHolderNamesTheListeningProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere than on Linux this needs lsof")
	}
	port := listen(t, "127.0.0.1:0")
	want := fmt.Sprintf("(pid %d)", os.Getpid())
	if got := Holder(port); !strings.HasSuffix(got, want) {
		t.Errorf("Holder(%d) = %q, want one that ends with %q", port, got, want)
	}
}

func TestReserveReturnsFreePortsThatNoOtherBlockHas(t *testing.T) {
	t.Parallel()
	owner := map[int]int{}
	for i := range 100 {
		block, err := Reserve(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		defer block.Close()
		if len(block.Ports) != 10 {
			t.Fatalf("got %d ports, want 10", len(block.Ports))
		}
		for _, port := range block.Ports {
			if other, twice := owner[port]; twice {
				t.Errorf("blocks %d and %d both have port %d", other, i, port)
			}
			owner[port] = i
		}
		if err := Check(t.Context(), block.Ports[i%10]); err != nil {
			t.Errorf("port %d: %v", block.Ports[i%10], err)
		}
	}
}
