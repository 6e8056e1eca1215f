package descriptors

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
)

func TestConnectionsFitIntoTheLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit, others int
		http, grpc    int
		ops           int
		want          [3]int
		warned        bool
		refused       string
	}{
		"room for all":           {limit: 30_000, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"no limit":               {limit: unlimited, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"exactly room for all":   {limit: 20_134, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"one too few":            {limit: 20_133, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{9_999, 9_999, 63}, warned: true},
		"the usual soft limit":   {limit: 1024, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{472, 472, 8}, warned: true},
		"hardly any":             {limit: 90, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{6, 6, 6}, warned: true},
		"the least":              {limit: 88, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{6, 6, 6}, warned: true},
		"less than the least":    {limit: 87, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}, refused: "may have 87 files open"},
		"none at all":            {limit: 10, others: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}, refused: "needs at least 88"},
		"settings of few":        {limit: 76, others: 70, http: 2, grpc: 2, ops: 2, want: [3]int{2, 2, 2}},
		"settings of few, fewer": {limit: 75, others: 70, http: 2, grpc: 2, ops: 2, want: [3]int{2, 2, 2}, refused: "http.max_conns"},
		"large settings":         {limit: 1000, others: 70, http: math.MaxInt32, grpc: 10, ops: 10, want: [3]int{917, 6, 6}, warned: true},
	} {
		var log bytes.Buffer
		http, grpc, ops := c.http, c.grpc, c.ops
		bounds := []Bound{{"http.max_conns", &http}, {"grpc.max_conns", &grpc}, {"ops.max_conns", &ops}}
		err := fit(slog.New(slog.NewTextHandler(&log, nil)), c.limit, c.others, bounds)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v", name, err)
		}
		if got := [3]int{http, grpc, ops}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if err == nil && c.others+http+grpc+ops > c.limit {
			t.Errorf("%s: %d do not fit into %d", name, c.others+http+grpc+ops, c.limit)
		}
		if got := strings.Count(log.String(), "level=WARN"); got != 0 != c.warned {
			t.Errorf("%s: %d warnings: %s", name, got, log.String())
		}
	}
}

func TestTheLimitOfThisProcessIsKnown(t *testing.T) {
	t.Parallel()
	if got := limit(); got < 10 {
		t.Errorf("%d open files", got)
	}
}
