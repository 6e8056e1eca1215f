package faults

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/prove/internal/history"
)

func TestVersionScenariosEndInTheArrangementOfTheirName(t *testing.T) {
	t.Parallel()
	const working, released = history.Working, history.Released
	for name, want := range map[string][]string{ // of todo-, notification- and stats-service, two replicas each
		"consumers-first": {released, released, working, working, working, working},
		"producer-first":  {working, working, released, released, released, released},
		"mixed-replicas":  {working, released, working, released, working, released},
	} {
		s, err := Find(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Expected().Versions
		versions := map[string]string{
			"todo-service-1": want[0], "todo-service-2": want[1], "notification-service-1": want[2],
			"notification-service-2": want[3], "stats-service-1": want[4], "stats-service-2": want[5],
		}
		if s.SignIn {
			t.Errorf("%s: the first released version has no sign-in", name)
		}
		if diff := cmp.Diff(versions, got); diff != "" || !s.NeedsReleased() {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A version that replaces the whole system before the schema is migrated would not start.
func TestVersionScenariosMigrateBeforeTheFirstUpgradeAndMeasureAfterTheLastReplacement(t *testing.T) {
	t.Parallel()
	for _, s := range versionScenarios {
		migrated, measured, replaced := false, false, 0
		for _, step := range s.steps() {
			switch step.Do {
			case Migrate:
				migrated = true
			case Upgrade, RollBack:
				replaced++
				if !migrated || measured {
					t.Errorf("%s: %s of %s, migrated: %t, measured: %t", s.Name, step.Do, step.Target, migrated, measured)
				}
			case Measure:
				measured = true
			}
		}
		if !measured || replaced == 0 {
			t.Errorf("%s: %d replacements, measured: %t", s.Name, replaced, measured)
		}
	}
}

func TestScenariosWithoutReplacementsExpectNoVersions(t *testing.T) {
	t.Parallel()
	for _, s := range append([]Scenario{fullScenario(0)}, smallScenarios...) {
		if s.NeedsReleased() || s.Expected().Versions != nil {
			t.Errorf("%s expects %v", s.Name, s.Expected().Versions)
		}
	}
}
