// Package secrettest plants secrets in the settings and requests of a service's process, and searches for them in
// everything that the process writes: its log, traces, metrics, profiles, responses, settings and help.
package secrettest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

// Mark is a part of each planted secret. It is valid base64.
const Mark = "pLaNtEd8"

// Plan says how to plant secrets in a service.
type Plan struct {
	processtest.Service

	// Secrets are the settings that are secrets, such as "redis.password", and their values, each of which has Mark.
	// Further settings are in Env.
	Secrets map[string]string
	Env     []string
	// Exercise sends requests with secrets, and returns the responses. Every secret that the service makes, such as a
	// token, it passes to conceal.
	Exercise func(t *testing.T, env []string, conceal func(secret string)) (responses string)
	// Logged are texts that the log must have after Exercise, or it proves nothing. Traced says that there must be spans.
	Logged []string
	Traced bool
}

// Check runs the service at the level debug, with profiles and traces.
func Check(t *testing.T, plan Plan) {
	t.Helper()
	env, ops := plan.Settings(t)
	traces := startCollector(t)
	env = slices.Concat(env, plan.Env, []string{"LOG_FORMAT=json", "LOG_LEVEL=DEBUG", "OPS_PPROF=true"})
	if plan.Traced {
		env = append(env, "TRACING_ENDPOINT="+traces.addr, "OTEL_BSP_SCHEDULE_DELAY=50")
	}
	written := map[string]string{}
	for form, variables := range forms(t, plan.Secrets) {
		written["config print, secrets from "+form] = run(env, variables, "config", "print")
		written["a wrong setting, secrets from "+form] = run(append(env, "OPS_ADDR=nowhere"), variables)
		written["a missing command, secrets from "+form] = run(env, variables, "missing")
		written["help, secrets from "+form] = run(env, variables, "--help")
	}

	secrets := []string{Mark}
	var log processtest.Log
	for setting, value := range plan.Secrets {
		env = append(env, variableOf(setting)+"="+value)
	}
	command := processtest.Command(env)
	command.Stdout, command.Stderr = &log, &log
	processtest.Start(t, command)
	testenv.Eventually(t, "the process is alive", func() bool { return strings.Contains(get("http://"+ops+"/livez"), "{") })
	written["the responses"] = plan.Exercise(t, env, func(secret string) { secrets = append(secrets, secret) })
	for _, path := range []string{"/metrics", "/readyz", "/livez", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		written[path] = get("http://" + ops + path)
	}
	for _, text := range plan.Logged {
		testenv.Eventually(t, "the log has "+text, func() bool { return strings.Contains(log.String(), text) })
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	if err := command.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	written["the log"], written["the traces"] = log.String(), traces.String()
	if plan.Traced && written["the traces"] == "" {
		t.Error("there are no traces: this proves nothing")
	}
	for where, text := range written {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s: %q is in …%.300s", where, secret, text[max(0, at-150):])
			}
		}
	}
}

// forms returns the variables of the secrets in each form in which a service reads them.
func forms(t *testing.T, secrets map[string]string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	sections := map[string]map[string]string{}
	for setting, value := range secrets {
		variable := variableOf(setting)
		all["the environment"] = append(all["the environment"], variable+"="+value)
		path := filepath.Join(t.TempDir(), variable)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		all["files"] = append(all["files"], variable+"_FILE="+path)
		section, key, _ := strings.Cut(setting, ".")
		if sections[section] == nil {
			sections[section] = map[string]string{}
		}
		sections[section][key] = value
	}
	settings, err := json.Marshal(sections) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	all["the settings file"] = []string{"CONFIG_FILE=" + path}
	return all
}

func variableOf(setting string) string {
	return strings.ToUpper(strings.ReplaceAll(setting, ".", "_"))
}

// run returns what a command writes.
func run(env, more []string, args ...string) string {
	output, _ := processtest.Command(slices.Concat(env, more), args...).CombinedOutput() // some must fail
	return string(output)
}

func get(url string) string {
	response, err := http.Get(url) //nolint:gosec,noctx // the address is the process's, which ends with the test
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// traceCollector is an OTLP collector that keeps all spans as text.
type traceCollector struct {
	collector.UnimplementedTraceServiceServer
	addr string

	mu   sync.Mutex
	text strings.Builder
}

func startCollector(t *testing.T) *traceCollector {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &traceCollector{addr: listener.Addr().String()}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return c
}

// Export implements the collector.
func (c *traceCollector) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.WriteString(prototext.Format(request))
	return &collector.ExportTraceServiceResponse{}, nil
}

// String returns all spans so far.
func (c *traceCollector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
