package compose

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const folder = "../../../compose"

// project returns the system of compose.yaml and the files that override it.
func project(t *testing.T, overrides ...string) *types.Project {
	t.Helper()
	var files []string
	for _, name := range append([]string{"compose.yaml"}, overrides...) {
		files = append(files, filepath.Join(folder, name))
	}
	options, err := cli.NewProjectOptions(files, cli.WithInterpolation(true), cli.WithConsistency(true), cli.WithNormalization(true))
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
	for _, overrides := range [][]string{nil, {"secure.yaml"}} {
		checkHealthChecksAndPorts(t, project(t, overrides...).Services)
	}
}

func checkHealthChecksAndPorts(t *testing.T, services types.Services) {
	t.Helper()
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
		if !hasHealthCheck(service, dockerfileOf(t, service)) {
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

// dockerfileOf returns the Dockerfile that the service is built from, or "".
func dockerfileOf(t *testing.T, service types.ServiceConfig) string {
	t.Helper()
	if service.Build == nil {
		return ""
	}
	dockerfile, err := os.ReadFile(filepath.Join(service.Build.Context, service.Build.Dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	return string(dockerfile)
}

var healthCheckInstruction = regexp.MustCompile(`(?m)^HEALTHCHECK (.*)$`)

// hasHealthCheck reports whether the service has a health check of its own, or that of its Dockerfile, that runs a command.
func hasHealthCheck(service types.ServiceConfig, dockerfile string) bool {
	if check := service.HealthCheck; check != nil && (check.Disable || len(check.Test) > 0) {
		return !check.Disable && len(check.Test) > 1 && strings.HasPrefix(check.Test[0], "CMD")
	}
	// The last instruction of the last stage holds.
	last := dockerfile[strings.LastIndex(dockerfile, "\nFROM ")+1:]
	instructions := healthCheckInstruction.FindAllStringSubmatch(last, -1)
	return len(instructions) > 0 && strings.Contains(instructions[len(instructions)-1][1], "CMD ")
}

func TestHealthCheckIsACommandThatIsNotDisabled(t *testing.T) {
	t.Parallel()
	const good = "FROM scratch\nHEALTHCHECK --interval=5s --timeout=3s CMD [\"/service\", \"healthcheck\"]\n"
	check := func(test ...string) *types.HealthCheckConfig { return &types.HealthCheckConfig{Test: test} }
	for name, c := range map[string]struct {
		check      *types.HealthCheckConfig
		dockerfile string // "" of an image
		want       bool
	}{
		"an image with a command":             {check("CMD", "redis-cli", "ping"), "", true},
		"an image with a shell command":       {check("CMD-SHELL", "redis-cli ping"), "", true},
		"an image without a check":            {nil, "", false},
		"an image with NONE":                  {check("NONE"), "", false},
		"a disabled check":                    {&types.HealthCheckConfig{Test: []string{"CMD", "true"}, Disable: true}, "", false},
		"a Dockerfile with a command":         {nil, good, true},
		"a Dockerfile without a check":        {nil, "FROM scratch\n", false},
		"a Dockerfile with NONE":              {nil, "FROM scratch\nHEALTHCHECK NONE\n", false},
		"a Dockerfile with NONE at the end":   {nil, good + "HEALTHCHECK NONE\n", false},
		"a Dockerfile with one of a stage":    {nil, good + "FROM scratch\n", false},
		"a Dockerfile's check, disabled":      {&types.HealthCheckConfig{Disable: true}, good, false},
		"a Dockerfile's check at other times": {&types.HealthCheckConfig{Interval: new(types.Duration(1))}, good, true},
	} {
		if got := hasHealthCheck(types.ServiceConfig{HealthCheck: c.check}, c.dockerfile); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestComposeServicesWaitForTopicsAndSchema(t *testing.T) {
	t.Parallel()
	checkNeeds(t, project(t).Services, map[string][]string{
		"todo-service":         {"migrate", "kafka-topics"},
		"notification-service": {"kafka-topics"},
		"stats-service":        {"kafka-topics"},
	})
	checkNeeds(t, project(t, "secure.yaml").Services, map[string][]string{
		"migrate":              {"postgres-roles"},
		"postgres-rights":      {"migrate"},
		"kafka-acls":           {"kafka-topics"},
		"todo-service":         {"postgres-rights", "kafka-acls"},
		"notification-service": {"kafka-acls"},
		"stats-service":        {"kafka-acls"},
	})
}

func checkNeeds(t *testing.T, services types.Services, needs map[string][]string) {
	t.Helper()
	for name, needs := range needs {
		for _, need := range needs {
			if got := services[name].DependsOn[need].Condition; got != types.ServiceConditionCompletedSuccessfully {
				t.Errorf("%s waits for %s to be %q", name, need, got)
			}
		}
	}
}
