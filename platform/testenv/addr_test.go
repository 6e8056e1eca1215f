package testenv_test

import (
	"net"
	"testing"

	"example.com/todo/platform/testenv"
)

func TestFreeAddrIsFreeAndUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		addr := testenv.FreeAddr(t)
		if seen[addr] {
			t.Errorf("%s was returned twice", addr)
		}
		seen[addr] = true
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
	}
}
