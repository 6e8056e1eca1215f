package compose

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const file = "../../../compose/compose.yaml"

func project(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{file}, cli.WithInterpolation(true), cli.WithConsistency(true), cli.WithNormalization(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeServicesHaveHealthChecksAndPublishTheirPorts(t *testing.T) {
	t.Parallel()
	services := project(t).Services
	for name, ports := range map[string][]string{
		"postgres":             {"5432"},
		"redis":                {"6379"},
		"kafka":                {"9092"},
		"todo-service":         {"8080", "50051", "9101"},
		"notification-service": {"9102"},
		"stats-service":        {"8081", "9103"},
	} {
		service, ok := services[name]
		if !ok {
			t.Errorf("there is no %s", name)
			continue
		}
		if !hasHealthCheck(t, service) {
			t.Errorf("%s has no health check", name)
		}
		var published []string
		for _, p := range service.Ports {
			published = append(published, p.Published)
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q, beyond this host", name, p.Published, p.HostIP)
			}
		}
		if !slices.Equal(published, ports) {
			t.Errorf("%s publishes %v, want %v", name, published, ports)
		}
	}
}

// hasHealthCheck reports whether the file has a health check of the service, or the Dockerfile that it is built from.
func hasHealthCheck(t *testing.T, service types.ServiceConfig) bool {
	t.Helper()
	if service.Build == nil {
		return service.HealthCheck != nil && len(service.HealthCheck.Test) > 0
	}
	dockerfile, err := os.ReadFile(filepath.Join(service.Build.Context, service.Build.Dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(dockerfile), "\nHEALTHCHECK ")
}

func TestComposeServicesWaitForTopicsAndSchema(t *testing.T) {
	t.Parallel()
	services := project(t).Services
	for name, needs := range map[string][]string{
		"todo-service":         {"migrate", "kafka-topics"},
		"notification-service": {"kafka-topics"},
		"stats-service":        {"kafka-topics"},
	} {
		for _, need := range needs {
			if got := services[name].DependsOn[need].Condition; got != types.ServiceConditionCompletedSuccessfully {
				t.Errorf("%s waits for %s to be %q", name, need, got)
			}
		}
	}
}
