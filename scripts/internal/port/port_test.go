package port

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
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

func TestATakenPortIsNoticedWhereverItsHolderListens(t *testing.T) {
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

func TestTheHolderOfAPortIsNamed(t *testing.T) {
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

func TestFreePortsAreDifferentAndFree(t *testing.T) {
	t.Parallel()
	ports, err := Free(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range ports {
		if err := Check(t.Context(), port); err != nil {
			t.Errorf("port %d: %v", port, err)
		}
	}
	slices.Sort(ports)
	if n := len(slices.Compact(ports)); n != 10 {
		t.Errorf("got %d different ports, want 10", n)
	}
}
