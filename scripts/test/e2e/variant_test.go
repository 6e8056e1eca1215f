package e2e

import (
	"flag"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// variant is the file that compose.yaml is combined with: zookeeper, scale or secure, or none.
var variant = os.Getenv("E2E_VARIANT")

// variantTests are the tests that run against a variant unless the flag -run names others: one of each kind that concerns
// Kafka, the balancer, or the variant's containers. The functions stand for their names, so that none can drop out by a new name.
var variantTests = map[string][]func(*testing.T){
	"zookeeper": {
		TestCompletedTaskIsNotifiedAndCounted,
		TestSecondListIsServedFromTheCacheAlone,
		TestWatcherReceivesEveryChangeInOrder,
		TestDuplicateEventHasOneEffect,
		TestInvalidRecordIsDeadLetteredAndTheNextEventIsHandled,
		TestWritesSucceedDuringAKafkaOutageAndArriveInOrder,
		TestContainersHaveNoUnnamedVolumes,
	},
	"scale": {
		TestCompletedTaskIsNotifiedAndCounted,
		TestWatcherReceivesEveryChangeInOrder,
		TestNothingIsLostWhenABrokerIsKilledUnderLoad,
		TestContainersHaveNoUnnamedVolumes,
	},
	"secure": {
		TestCompletedTaskIsNotifiedAndCounted,
		TestWatcherReceivesEveryChangeInOrder,
		TestListenersShowACertificateOfTheAuthorityAndRefusePlaintext,
		TestMetricsDemandAClientCertificateAndProbesNone,
		TestContainersHaveTheirOwnSecretsAlone,
		TestPostgresRefusesTheServiceWhatItDoesNotNeed,
		TestRedisRefusesServicesWhatTheyDoNotNeed,
		TestKafkaRefusesServicesWhatTheyDoNotNeed,
		TestPrometheusScrapesTheServicesAndKnowsAlertmanager,
		TestRenewedCertificateIsInUseWithoutARestart,
		TestSessionsAreRefusedDuringARedisOutageAndValidAfterIt,
		TestContainersHaveNoPrivileges,
		TestContainersHaveNoUnnamedVolumes,
	},
}

// selectTests sets the flag -run to the tests of the variant, unless it is set.
func selectTests() error {
	run := flag.Lookup("test.run")
	if run.Value.String() != "" {
		return nil
	}
	var names []string
	for _, test := range variantTests[variant] {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		names = append(names, name[strings.LastIndex(name, ".")+1:])
	}
	if names == nil {
		return nil
	}
	return run.Value.Set("^(" + strings.Join(names, "|") + ")$")
}
