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
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got = append(got, strings.Repeat(m.GetLabel()[0].GetValue()+" ", int(m.GetHistogram().GetSampleCount())))
		}
	}
	if all := strings.Join(got, ""); all != "error ok ok ok ok " {
		t.Errorf("the statements are counted as %q", all)
	}
}
