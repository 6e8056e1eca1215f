package fdlimit

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
)

func TestCapConnectionsLowersTheLimitsToTheOpenFilesLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit, others int
		http, grpc    int
		ops           int
		want          [3]int
		logged        string // the level
		refused       string
	}{
		"room for all":           {limit: 30_000, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"no limit":               {limit: noLimit, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"exactly room for all":   {limit: 20_134, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"one too few":            {limit: 20_133, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{9_999, 10_000, 64}, logged: "INFO"},
		"a little too few":       {limit: 18_128, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{8_997, 8_997, 64}, logged: "INFO"},
		"a tenth too few":        {limit: 18_127, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{8_996, 8_997, 64}, logged: "WARN"},
		"a low limit":            {limit: 1024, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{445, 445, 64}, logged: "WARN"},
		"hardly any":             {limit: 81, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{4, 4, 3}, logged: "WARN"},
		"the least":              {limit: 79, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{3, 3, 3}, logged: "WARN"},
		"less than the least":    {limit: 78, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}, refused: "may have 78 files open"},
		"none at all":            {limit: 10, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}, refused: "needs at least 79"},
		"settings of few":        {limit: 76, others: 70, http: 2, grpc: 2, ops: 2, want: [3]int{2, 2, 2}},
		"settings of few, fewer": {limit: 75, others: 70, http: 2, grpc: 2, ops: 2, want: [3]int{2, 2, 2}, refused: "http.max_conns"},
		"large settings":         {limit: 1000, others: 70, http: math.MaxInt32, grpc: 10, ops: 10, want: [3]int{910, 10, 10}, logged: "WARN"},
	} {
		var log bytes.Buffer
		http, grpc, ops := c.http, c.grpc, c.ops
		bounds := []ConnLimit{{"http.max_conns", &http}, {"grpc.max_conns", &grpc}, {"ops.max_conns", &ops}}
		err := capConnections(slog.New(slog.NewTextHandler(&log, nil)), c.limit, c.others, bounds)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v", name, err)
		}
		if got := [3]int{http, grpc, ops}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if err == nil && c.others+http+grpc+ops > c.limit {
			t.Errorf("%s: %d do not fit into %d", name, c.others+http+grpc+ops, c.limit)
		}
		if got := strings.Count(log.String(), "level="+c.logged); c.logged != "" && got != 1 || c.logged == "" && log.Len() > 0 {
			t.Errorf("%s: logged %q, want %q", name, log.String(), c.logged)
		}
	}
}

func TestOpenFilesLimitOfThisProcessIsKnown(t *testing.T) {
	t.Parallel()
	if got := openFilesLimit(); got < 10 {
		t.Errorf("%d open files", got)
	}
}
