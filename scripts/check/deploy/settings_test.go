package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// binaries is the folder of the built services.
type binaries string

var (
	binDir     binaries // exists while the tests run
	buildError = sync.OnceValue(func() error { return build(binDir) })
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "deploy-check")
	if err != nil {
		panic(err)
	}
	binDir = binaries(dir)
	m.Run()
	_ = os.RemoveAll(dir)
}

func build(dir binaries) error {
	for _, service := range services {
		cmd := exec.Command("go", "build", "-o", string(dir)+"/", "./cmd/"+service)
		cmd.Dir, cmd.Env = filepath.Join(root, service), append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", service, err, out)
		}
	}
	return nil
}

// buildServices builds the services once for all tests.
func buildServices(t *testing.T) binaries {
	t.Helper()
	if err := buildError(); err != nil {
		t.Fatal(err)
	}
	return binDir
}

// secrets are valid values of the variables that the Secrets provide.
var secrets = map[string]string{
	"POSTGRES_DSN":         "postgres://todo:hunter2@postgres/todo?sslmode=disable",
	"REDIS_PASSWORD":       "hunter2",
	"REDIS_CACHE_PASSWORD": "hunter2",
	"WEBHOOK_SECRET":       "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}

// variables returns the environment of the first container, in the precedence of Kubernetes.
func (m manifests) variables(t *testing.T, w workload) map[string]string {
	t.Helper()
	c := w.pod.Spec.Containers[0]
	all := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil || from.Prefix != "" || m.configMap(from.ConfigMapRef.Name) == nil {
			t.Errorf("%s: environment from %+v, want a ConfigMap of the same kustomization", w.name, from)
			continue
		}
		for name, value := range m.configMap(from.ConfigMapRef.Name) {
			all[name] = value
		}
	}
	for _, variable := range c.Env {
		value := variable.Value
		if source := variable.ValueFrom; source != nil {
			if source.SecretKeyRef == nil || source.SecretKeyRef.Key != variable.Name || secrets[variable.Name] == "" {
				t.Errorf("%s: %s is from %+v, want the key of that name of a Secret", w.name, variable.Name, source)
				continue
			}
			value = secrets[variable.Name]
		}
		all[variable.Name] = value
	}
	return all
}

// printed matches a setting in the output of "config print": its value and its variable.
var printed = regexp.MustCompile(`(?m)^ *[a-z_]+: (.*) # ([A-Z0-9_]+)$`)

// settings returns the settings of the service by their variables, as "config print" shows them with the
// environment of its Deployment.
func (b binaries) settings(t *testing.T, m manifests, service string) map[string]string {
	t.Helper()
	return b.print(t, service, m.variables(t, workload{service, m.deployment(t, service).Spec.Template}))
}

func (b binaries) print(t *testing.T, service string, variables map[string]string) map[string]string {
	t.Helper()
	cmd := exec.Command(filepath.Join(string(b), service), "config", "print")
	cmd.Env = environ(variables)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s rejects the settings: %v\n%s", service, err, out)
	}
	all := map[string]string{}
	for _, found := range printed.FindAllStringSubmatch(string(out), -1) {
		all[found[2]] = strings.Trim(found[1], `"'`)
	}
	return all
}

func environ(variables map[string]string) []string {
	list := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range variables {
		list = append(list, name+"="+value)
	}
	return list
}

func TestVariablesAreSettingsOfTheService(t *testing.T) {
	t.Parallel()
	bin := buildServices(t)
	check := func(m manifests, w workload, service string) {
		t.Helper()
		variables := m.variables(t, w)
		known := bin.print(t, service, variables)
		for name := range variables {
			value, ok := known[name]
			if !ok {
				t.Errorf("%s has the variable %s, which %s does not know", w.name, name, service)
			}
			if secrets[name] != "" && value != "[secret]" {
				t.Errorf("%s: %s is from a Secret, and %s shows it: %q", w.name, name, service, value)
			}
		}
		for _, c := range m.configMaps {
			for name := range c.Data {
				if known[name] == "[secret]" {
					t.Errorf("ConfigMap %s has the secret %s", c.Name, name)
				}
			}
		}
	}
	for _, service := range services {
		for _, dir := range []string{service + "/deploy", overlay, everything} {
			m := render(t, dir)
			check(m, workload{service, m.deployment(t, service).Spec.Template}, service)
		}
	}
	migrate := render(t, "todo-service/deploy/migrate")
	check(migrate, migrate.workloads()[0], "todo-service")
}

func TestPortsAreThoseOfTheService(t *testing.T) {
	t.Parallel()
	bin := buildServices(t)
	for _, service := range services {
		m := render(t, service+"/deploy")
		settings := bin.settings(t, m, service)
		want := map[string]string{}
		for _, name := range []string{"http", "grpc", "ops"} {
			if addr, ok := settings[strings.ToUpper(name)+"_ADDR"]; ok {
				want[name] = addr
			}
		}
		container := m.deployment(t, service).Spec.Template.Spec.Containers[0]
		var declared []string
		for _, p := range container.Ports {
			declared = append(declared, p.Name)
			if addr := fmt.Sprint(":", p.ContainerPort); want[p.Name] != addr {
				t.Errorf("%s: port %s is %s, the service listens on %q", service, p.Name, addr, want[p.Name])
			}
		}
		if len(declared) != len(want) {
			t.Errorf("%s declares the ports %v, the service listens on %v", service, declared, want)
		}
		for _, p := range m.services[0].Spec.Ports {
			if want[p.Name] != fmt.Sprint(":", p.Port) || p.TargetPort.StrVal != p.Name {
				t.Errorf("Service %s: port %s is %d to %s, the service listens on %q", service, p.Name, p.Port, p.TargetPort.String(), want[p.Name])
			}
		}
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port.StrVal != "ops" {
				t.Errorf("%s has the probe %v, want one of the port ops", service, probe)
			}
		}
	}
}

// The services run without their servers: they are alive, not ready, and have metrics.
func TestProbesAndScrapesHaveTheirPath(t *testing.T) {
	t.Parallel()
	bin := buildServices(t)
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			m := render(t, service+"/deploy")
			d := m.deployment(t, service)
			ops := bin.start(t, service, m.variables(t, workload{service, d.Spec.Template}))
			container := d.Spec.Template.Spec.Containers[0]
			for _, request := range []struct {
				path string
				want int
			}{
				{container.StartupProbe.HTTPGet.Path, http.StatusOK},
				{container.LivenessProbe.HTTPGet.Path, http.StatusOK},
				{container.ReadinessProbe.HTTPGet.Path, http.StatusServiceUnavailable},
				{m.monitors[0].Spec.Endpoints[0].Path, http.StatusOK},
			} {
				resp, err := http.Get("http://" + ops + request.path)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != request.want {
					t.Errorf("%s answers %d, want %d", request.path, resp.StatusCode, request.want)
				}
			}
		})
	}
}

// start runs the service on free ports, without servers, and returns the address of its ops port.
func (b binaries) start(t *testing.T, service string, variables map[string]string) string {
	t.Helper()
	const none = "127.0.0.1:1"
	for name, value := range map[string]string{
		"HTTP_ADDR": "127.0.0.1:0", "GRPC_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0", "DRAIN_WAIT": "0s",
		"REDIS_ADDR": none, "KAFKA_BROKERS": none, "POSTGRES_DSN": "postgres://todo@" + none + "/todo?sslmode=disable",
	} {
		variables[name] = value
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(string(b), service))
	cmd.Env = environ(variables)
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	var seen bytes.Buffer
	for lines := bufio.NewScanner(io.TeeReader(logs, &seen)); lines.Scan(); {
		var line struct{ Msg, Ops string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			return line.Ops
		}
	}
	t.Fatalf("%s did not start:\n%s", service, seen.String())
	return ""
}

// A stop takes DRAIN_WAIT, the time of requests in flight, and then the longest time of the other parts.
func TestGracePeriodCoversTheLongestStop(t *testing.T) {
	t.Parallel()
	bin := buildServices(t)
	for service, parts := range map[string]time.Duration{
		"todo-service":         5 * time.Second,  // README, "Stopping": 18 s with a drain wait of 3 s
		"notification-service": 20 * time.Second, // 5 s for a batch, 12 s until a handler that hangs ends the process, 2 s to leave the group, 1 s for probes
		"stats-service":        20 * time.Second,
	} {
		m := render(t, service+"/deploy")
		longest := parts
		settings := bin.settings(t, m, service)
		for _, name := range []string{"DRAIN_WAIT", "HTTP_DRAIN_TIMEOUT"} { // HTTP and gRPC drain side by side
			if text, ok := settings[name]; ok {
				wait, err := time.ParseDuration(text)
				if err != nil {
					t.Fatal(err)
				}
				longest += wait
			}
		}
		var grace time.Duration
		if seconds := m.deployment(t, service).Spec.Template.Spec.TerminationGracePeriodSeconds; seconds != nil {
			grace = time.Duration(*seconds) * time.Second
		}
		if grace <= longest {
			t.Errorf("%s needs up to %s to stop and gets %s", service, longest, grace)
		}
		if _, drains := settings["DRAIN_WAIT"]; drains && settings["DRAIN_WAIT"] == "0s" {
			t.Errorf("%s closes its listeners before its endpoints are removed", service)
		}
	}
}

// Migrations come first, so the Job has the image and the DSN of the Deployment that it prepares.
func TestMigrationRunsTheImageOfTheService(t *testing.T) {
	t.Parallel()
	m := render(t, overlay, prepare)
	i := slices.IndexFunc(m.workloads(), func(w workload) bool { return w.name == "todo-service-migrate" })
	migrate := m.workloads()[i].pod.Spec.Containers[0]
	serve := m.deployment(t, "todo-service").Spec.Template.Spec.Containers[0]
	if migrate.Image != serve.Image || !slices.Equal(migrate.Args, []string{"migrate"}) {
		t.Errorf("the Job runs %s %v, the Deployment %s", migrate.Image, migrate.Args, serve.Image)
	}
	dsn := func(c corev1.Container) string {
		for _, v := range c.Env {
			if v.Name == "POSTGRES_DSN" && v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
				return v.ValueFrom.SecretKeyRef.Name
			}
		}
		return ""
	}
	if dsn(migrate) != dsn(serve) || dsn(serve) == "" {
		t.Errorf("the DSN of the Job is in the Secret %q, that of the Deployment in %q", dsn(migrate), dsn(serve))
	}
}
