package postgres_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestStatementsAreCountedByTheirResult(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	db := openWithMetrics(t, database(t).String(), reg)
	prepared, err := db.PreparexContext(t.Context(), "SELECT $1::int")
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	var number int
	outcome := func(_ sql.Result, err error) error { return err }
	for _, err := range []error{
		db.GetContext(t.Context(), &number, "SELECT 1"),
		prepared.GetContext(t.Context(), &number, 2),
		outcome(prepared.ExecContext(t.Context(), 3)),
		outcome(db.ExecContext(t.Context(), "SELECT 4")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), "SELECT 1/0"); err == nil {
		t.Fatal("a division by zero succeeded")
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	pool := map[string]float64{}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "go_sql_") {
			pool[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
			continue
		}
		for _, m := range family.GetMetric() {
			got = append(got, strings.Repeat(m.GetLabel()[0].GetValue()+" ", int(m.GetHistogram().GetSampleCount())))
		}
	}
	if all := strings.Join(got, ""); all != "error ok ok ok ok " {
		t.Errorf("the statements are counted as %q", all)
	}
	if open, limit := pool["go_sql_open_connections"], pool["go_sql_max_open_connections"]; open != 1 || limit != float64(db.Stats().MaxOpenConnections) {
		t.Errorf("%v connections are open and at most %v may be", open, limit)
	}
}
