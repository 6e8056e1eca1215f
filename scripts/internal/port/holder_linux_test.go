package port

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListenerInodesFindsListeningSocketsOfThePortOnly(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:1538 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
   3: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0 100 0 0 10 0
`
	if diff := cmp.Diff([]string{"111", "222"}, listenerInodes(table, 0x1538)); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
}
