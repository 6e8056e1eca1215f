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
		limit, otherFiles int
		http, grpc        int
		ops               int
		want              [3]int
		lowered           bool
		rejected          string
	}{
		"room for all":           {limit: 30_000, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"no limit":               {limit: noLimit, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"exactly room for all":   {limit: 20_134, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}},
		"one too few":            {limit: 20_133, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{9_999, 10_000, 64}, lowered: true},
		"a tenth too few":        {limit: 18_127, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{8_996, 8_997, 64}, lowered: true},
		"a low limit":            {limit: 1024, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{445, 445, 64}, lowered: true},
		"hardly any":             {limit: 81, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{4, 4, 3}, lowered: true},
		"the minimum":            {limit: 79, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{3, 3, 3}, lowered: true},
		"less than the minimum":  {limit: 78, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}, rejected: "may have 78 files open"},
		"none at all":            {limit: 10, otherFiles: 70, http: 10_000, grpc: 10_000, ops: 64, want: [3]int{10_000, 10_000, 64}, rejected: "needs at least 79"},
		"settings of few":        {limit: 76, otherFiles: 70, http: 2, grpc: 2, ops: 2, want: [3]int{2, 2, 2}},
		"settings of few, fewer": {limit: 75, otherFiles: 70, http: 2, grpc: 2, ops: 2, want: [3]int{2, 2, 2}, rejected: "http.max_conns"},
		"large settings":         {limit: 1000, otherFiles: 70, http: math.MaxInt32, grpc: 10, ops: 10, want: [3]int{910, 10, 10}, lowered: true},
	} {
		var log bytes.Buffer
		http, grpc, ops := c.http, c.grpc, c.ops
		limits := []ConnLimit{{"http.max_conns", &http}, {"grpc.max_conns", &grpc}, {"ops.max_conns", &ops}}
		err := capConnections(slog.New(slog.NewTextHandler(&log, nil)), c.limit, c.otherFiles, limits)
		if c.rejected == "" && err != nil || c.rejected != "" && (err == nil || !strings.Contains(err.Error(), c.rejected)) {
			t.Errorf("%s: %v", name, err)
		}
		if got := [3]int{http, grpc, ops}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if err == nil && c.otherFiles+http+grpc+ops > c.limit {
			t.Errorf("%s: %d do not fit into %d", name, c.otherFiles+http+grpc+ops, c.limit)
		}
		if got := strings.Count(log.String(), "level=WARN"); (got == 1) != c.lowered {
			t.Errorf("%s: logged %q", name, log.String())
		}
	}
}

func TestOpenFilesLimitOfThisProcessIsKnown(t *testing.T) {
	t.Parallel()
	if got := openFilesLimit(); got < 10 {
		t.Errorf("%d open files", got)
	}
}
