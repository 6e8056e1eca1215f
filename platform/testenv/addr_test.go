package testenv_test

import (
	"net"
	"testing"

	"example.com/todo/platform/testenv"
)

func TestAnAddressIsFreeAndGivenOnce(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	for range 100 {
		addr := testenv.FreeAddr(t)
		if given[addr] {
			t.Errorf("%s was given twice", addr)
		}
		given[addr] = true
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
	}
}
