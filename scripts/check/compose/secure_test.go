package compose

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// users are the parts that may read each volume with secrets. Two jobs of one account share a volume.
var users = map[string][]string{
	"authority":                    nil,
	"secrets-operator":             nil,
	"secrets-postgres":             {"postgres"},
	"secrets-postgres-roles":       {"postgres-rights", "postgres-roles"},
	"secrets-redis":                {"redis"},
	"secrets-kafka":                {"kafka"},
	"secrets-kafka-admin":          {"kafka-acls", "kafka-topics"},
	"secrets-migrate":              {"migrate"},
	"secrets-todo-service":         {"todo-service"},
	"secrets-notification-service": {"notification-service"},
	"secrets-stats-service":        {"stats-service"},
	"secrets-prometheus":           {"prometheus"},
	"secrets-grafana":              {"grafana"},
}

func TestEachVolumeWithSecretsIsReadByItsOwnPartAlone(t *testing.T) {
	t.Parallel()
	readers := map[string][]string{}
	for name, service := range project(t, "secure.yaml").AllServices() {
		for _, volume := range service.Volumes {
			if volume.Source != "authority" && !strings.HasPrefix(volume.Source, "secrets-") {
				continue
			}
			if _, known := readers[volume.Source]; !known {
				readers[volume.Source] = nil
			}
			if name == "credentials" {
				continue
			}
			readers[volume.Source] = append(readers[volume.Source], name)
			if !volume.ReadOnly {
				t.Errorf("%s can write to %s", name, volume.Source)
			}
		}
	}
	for _, names := range readers {
		slices.Sort(names)
	}
	if diff := cmp.Diff(users, readers); diff != "" {
		t.Errorf("the readers of each volume (-want +got):\n%s", diff)
	}
}

func TestReadersOfSecretsWaitUntilTheyAreIssued(t *testing.T) {
	t.Parallel()
	services := project(t, "secure.yaml").AllServices()
	var waits func(name string) bool
	waits = func(name string) bool {
		for other, dependency := range services[name].DependsOn {
			if other == "credentials" && dependency.Condition == types.ServiceConditionCompletedSuccessfully || waits(other) {
				return true
			}
		}
		return false
	}
	for volume, names := range users {
		for _, name := range names {
			if !waits(name) {
				t.Errorf("%s may start before %s is filled", name, volume)
			}
		}
	}
}

var secretVariable = regexp.MustCompile(`PASSWORD|SECRET|DSN|JAAS`)

// What is in the environment can be read by docker inspect, and by every child of a process.
func TestSecureEnvironmentsNameFilesInsteadOfSecrets(t *testing.T) {
	t.Parallel()
	files := 0
	for name, service := range project(t, "secure.yaml").AllServices() {
		for key, value := range service.Environment {
			switch {
			case !secretVariable.MatchString(key) || value == nil || *value == "":
			case strings.HasSuffix(key, "_FILE") && strings.HasPrefix(*value, "/run/secrets/"):
				files++
			default:
				t.Errorf("%s has the secret %s=%s", name, key, *value)
			}
		}
	}
	if files == 0 {
		t.Error("no variable names a file: the check checked nothing")
	}
}

// Both configurations of Prometheus are the same but for how it reaches the services.
func TestSecurePrometheusScrapesTheSameTargets(t *testing.T) {
	t.Parallel()
	plain, secure := prometheus(t, "prometheus.yml"), prometheus(t, "secure.yml")
	encrypted := 0
	for _, job := range secure["scrape_configs"].([]any) {
		job := job.(map[string]any)
		if job["scheme"] == "https" {
			encrypted++
			files, _ := job["tls_config"].(map[string]any)
			if files["server_name"] != job["job_name"] || files["ca_file"] == nil || files["cert_file"] == nil || files["insecure_skip_verify"] != nil {
				t.Errorf("%s is scraped with %v", job["job_name"], files)
			}
		}
		delete(job, "scheme")
		delete(job, "tls_config")
	}
	if diff := cmp.Diff(plain, secure); diff != "" {
		t.Errorf("prometheus.yml and secure.yml differ (-prometheus.yml +secure.yml):\n%s", diff)
	}
	if encrypted != 3 {
		t.Errorf("%d jobs use TLS, want one for each service", encrypted)
	}
}

func prometheus(t *testing.T, name string) (config map[string]any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "prometheus", name))
	if err == nil {
		err = yaml.Unmarshal(content, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	return config
}
