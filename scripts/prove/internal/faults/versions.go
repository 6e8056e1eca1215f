package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

// versionScenarios deploy the working tree over the released version, one replica at a time, while clients work. Each
// ends in another mix of both versions: the run quiesces, and is judged, in that mix.
var versionScenarios = []Scenario{
	{
		Name: "consumers-first", Description: "the consumers are upgraded; todo-service remains the released version",
		Changes: 2000, CopyFraction: copiedEvents,
		Stages: deploymentStages(upgradeBoth(cluster.Notification), upgradeBoth(cluster.Stats)),
	},
	{
		Name: "producer-first", Description: "todo-service is upgraded; the consumers remain the released version",
		Changes: 2000, CopyFraction: copiedEvents,
		Stages: deploymentStages(upgradeBoth(cluster.Todo)),
	},
	{
		Name: "mixed-replicas", Description: "every service is upgraded, and one replica of each is rolled back",
		Changes: 3000, CopyFraction: copiedEvents, Replay: true,
		Stages: append(deploymentStages(
			upgradeBoth(cluster.Todo), upgradeBoth(cluster.Notification), upgradeBoth(cluster.Stats),
			Track{replaceOne(RollBack, cluster.Todo+"-2"), replaceOne(RollBack, cluster.Notification+"-2"), replaceOne(RollBack, cluster.Stats+"-2")},
		), newStage("poison", 3*time.Second, Track{{Do: Poison}})),
	},
}

const (
	// A copy of an event that one version handled is recognised by the other.
	copiedEvents = 0.2
	// The released version writes for this long before the migration, and again after it.
	releasedTime = 3 * time.Second
	// The versions are mixed for this long after each replacement, which takes about as long.
	mixedTime    = time.Second
	measuredTime = 8 * time.Second
)

// deploymentStages migrates the schema while the released version writes, replaces replicas in sequence, and then
// measures what each replica does.
func deploymentStages(replacements ...Track) []Stage {
	steps := slices.Concat(replacements...)
	return []Stage{
		newStage("released version", releasedTime, Track{{Do: Pause, For: releasedTime}}),
		newStage("migration", releasedTime, Track{{Do: Migrate, Target: cluster.Postgres, Every: releasedTime}}),
		newStage("deployment", time.Duration(len(steps))*2*mixedTime, steps),
		newStage("both versions", measuredTime, Track{{Do: Measure, For: measuredTime}}),
	}
}

// upgradeBoth upgrades both replicas of a service, one after the other.
func upgradeBoth(service string) Track {
	return Track{replaceOne(Upgrade, service+"-1"), replaceOne(Upgrade, service+"-2")}
}

func replaceOne(do Kind, replica string) Step {
	return Step{Do: do, Target: replica, Every: mixedTime}
}

// lastVersions returns the version that each replica has after the replacements, or nil if there are none.
func (s Scenario) lastVersions() map[string]string {
	if !s.NeedsReleased() {
		return nil
	}
	versions := map[string]string{}
	for _, service := range []string{cluster.Todo, cluster.Notification, cluster.Stats} {
		for _, replica := range upgradeBoth(service) {
			versions[replica.Target] = history.Released
		}
	}
	for _, step := range s.steps() {
		switch step.Do {
		case Upgrade:
			versions[step.Target] = history.Working
		case RollBack:
			versions[step.Target] = history.Released
		}
	}
	return versions
}

// measureShares records the version of each replica, and what each consumer handles in the given time.
func (i *Injector) measureShares(ctx context.Context, duration time.Duration) error {
	var shares []history.Share
	for _, replica := range i.Cluster.Replicas("") {
		version, err := i.Cluster.Node(replica.Name).Version()
		if err != nil {
			return err
		}
		records, err := i.handledRecords(ctx, replica)
		if err != nil {
			return err
		}
		shares = append(shares, history.Share{Replica: replica.Name, Version: version, Began: time.Now(), Records: -records})
	}
	retry.Wait(ctx, duration)
	for n, replica := range i.Cluster.Replicas("") {
		records, err := i.handledRecords(ctx, replica)
		if err != nil {
			return err
		}
		shares[n].Records += records
		shares[n].Ended = time.Now()
	}
	i.Recorder.recordShares(shares)
	return nil
}

// handledRecords returns the number of records that a consumer's process has handled, and 0 for todo-service.
func (i *Injector) handledRecords(ctx context.Context, replica cluster.Replica) (int64, error) {
	if strings.HasPrefix(replica.Name, cluster.Todo) {
		return 0, nil
	}
	records, err := i.Probe.HandledRecords(ctx, replica.Ops)
	if err != nil {
		return 0, fmt.Errorf("the handled records of %s: %w", replica.Name, err)
	}
	return records, nil
}
