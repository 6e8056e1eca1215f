package postgres_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
)

func TestStatementsAreCountedByTheirResult(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	cfg := postgres.Defaults()
	cfg.DSN = config.Secret(database(t).String())
	db, err := postgres.Open(cfg, reg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	prepared, err := db.PreparexContext(t.Context(), "SELECT $1::int")
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	var number int
	for _, err := range []error{
		db.GetContext(t.Context(), &number, "SELECT 1"),
		prepared.GetContext(t.Context(), &number, 2),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := prepared.ExecContext(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "SELECT 4"); err != nil {
		t.Fatal(err)
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
