package faults

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

func TestFullScenarioHasEveryFailpoint(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../../../platform/failpoint/failpoint.go")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, found := range regexp.MustCompile(`= "([a-z_]+)" +//`).FindAllStringSubmatch(string(source), -1) {
		named = append(named, found[1])
	}
	if len(named) == 0 {
		t.Fatal("no places found")
	}
	for changes, times := range map[int]int{0: 3, 200_000: 20} {
		e := fullScenario(changes).Expected()
		slices.Sort(named)
		if !slices.Equal(e.Failpoints, named) || e.HitsPerFailpoint != times {
			t.Errorf("%d changes: %v, %d times each; want %v, %d times", changes, e.Failpoints, e.HitsPerFailpoint, named, times)
		}
	}
}

func TestFullScenarioHasEveryFaultOfEveryTarget(t *testing.T) {
	t.Parallel()
	services := []string{cluster.Todo, cluster.Notification, cluster.Stats}
	want := map[Kind][]string{
		Kill: append(services, cluster.Servers...), Freeze: append(services, cluster.Servers...),
		Outage: {cluster.Redis, cluster.Kafka}, Flush: {cluster.Redis, cluster.RedisCache},
		Cut: cluster.Servers, Delay: cluster.Servers, Stall: cluster.Servers, DropResponses: cluster.Servers,
		Rebalance: {cluster.Notification, cluster.Stats}, Failover: {cluster.Postgres},
	}
	for _, changes := range []int{0, 200_000} {
		expected := fullScenario(changes).Expected()
		for kind, targets := range want {
			for _, target := range targets {
				found := false
				for _, x := range expected.Faults {
					found = found || x.Kind == string(kind) && (x.Target == target || strings.HasPrefix(x.Target, target+"-") && target != cluster.Redis)
				}
				if !found {
					t.Errorf("%d changes: no %s of %s", changes, kind, target)
				}
			}
		}
	}
}

func TestFullScenarioHasLongOutagesForManyChanges(t *testing.T) {
	t.Parallel()
	lasting := map[string]time.Duration{}
	for _, step := range fullScenario(200_000).steps() {
		if step.Do == Outage || step.Target == ActiveRelay {
			lasting[step.Target] = max(lasting[step.Target], step.For)
		}
	}
	for target, want := range map[string]time.Duration{cluster.Redis: 5 * time.Minute, cluster.Kafka: 10 * time.Minute, ActiveRelay: time.Minute} {
		if lasting[target] < want {
			t.Errorf("%s for %s, want %s", target, lasting[target], want)
		}
	}
}

func TestEveryScenarioIsFoundAndHasValidSteps(t *testing.T) {
	t.Parallel()
	targets := append([]string{"", ActiveRelay, cluster.Todo, cluster.Notification, cluster.Stats}, cluster.Servers...)
	for _, s := range Scenarios(77) {
		found, err := Find(s.Name, 77)
		if err != nil || found.Changes != 77 || s.Description == "" {
			t.Errorf("%s: %v, %d changes, %q", s.Name, err, found.Changes, s.Description)
		}
		if s.DurationFrom(0) > time.Minute && s.Name != "full" {
			t.Errorf("%s takes %s", s.Name, s.DurationFrom(0))
		}
		for _, step := range s.steps() {
			if target := strings.TrimRight(step.Target, "-12"); !slices.Contains(targets, target) {
				t.Errorf("%s: there is no %q", s.Name, step.Target)
			}
			if (step.Do == Freeze || step.Do == Outage || step.Do == Pause || step.Do == Measure) && step.For == 0 {
				t.Errorf("%s: %s of %s for no time", s.Name, step.Do, step.Target)
			}
		}
	}
	if _, err := Find("none", 0); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a scenario that is not there: %v", err)
	}
}

func TestScenariosStopTheSpareMembersTheyStart(t *testing.T) {
	t.Parallel()
	for _, s := range Scenarios(0) {
		times := map[string]int{}
		for _, step := range s.steps() {
			if step.Do == Rebalance {
				times[step.Target] += step.Times
			}
		}
		for target, n := range times {
			if n%2 != 0 {
				t.Errorf("%s: %d rebalances leave the third %s there", s.Name, n, target)
			}
		}
	}
}
