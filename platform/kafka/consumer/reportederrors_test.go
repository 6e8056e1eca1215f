package consumer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestGroupLogsAndCountsErrorsThatSaramaReports(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err           error
		said, unready bool
	}{
		"what cannot be decoded":   {sarama.PacketDecodingError{Info: "CRC didn't match"}, true, true},
		"a batch too large":        {sarama.ErrDecompressedBatchTooLarge, true, true},
		"an unknown error":         {errors.New("of another version"), true, true},
		"no authorization":         {sarama.ErrTopicAuthorizationFailed, true, true},
		"a rebalance":              {sarama.ErrIllegalGeneration, true, false},
		"a coordinator that moves": {sarama.ErrNotCoordinatorForConsumer, true, false},
		"a refused connection":     {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false, false},
		"a closed connection":      {io.EOF, false, false},
		"no broker":                {sarama.ErrOutOfBrokers, false, false},
		"a session's end":          {context.Canceled, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				group := NewGroup(GroupConfig{Group: "readers"}, scriptedHandler{}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
				group.membership.joined(t.Context())
				failures := make(chan error, 2)
				failures <- &sarama.ConsumerError{Topic: "things", Err: test.err}
				failures <- &sarama.ConsumerError{Topic: "things", Err: test.err}
				close(failures)
				group.logErrors(failures)
				count, want := testutil.ToFloat64(group.metrics.reported), 0.0
				if test.said {
					want = 2
				}
				if warned := strings.Count(log.String(), "level=WARN"); warned != int(want/2) || count != want {
					t.Errorf("%v counted, the log says\n%s", count, log.String())
				}
				if err := group.Ready(t.Context()); (err != nil) != test.unready {
					t.Errorf("ready: %v", err)
				}
				if advanceClock(reportTTL); group.Ready(t.Context()) != nil {
					t.Error("not ready long after")
				}
			})
		})
	}
}
