package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"example.com/todo/scripts/internal/port"
)

// composition is the system in containers, as compose/compose.yaml describes it, under a project name and on ports of
// its own. Its images exist.
type composition struct {
	project string
	files   []string // flags of Compose
	env     []string
	ports   map[string]int // by the variables of compose.yaml
	block   *port.Block
	// operator is the folder with the CA, a client certificate and the administrators' passwords, in the variant secure.
	operator string
}

// services are the parts that this repository builds.
var services = []string{"todo-service", "notification-service", "stats-service"}

// core are the parts that go on running, in every variant.
var core = append([]string{"postgres", "redis", "kafka"}, services...)

func startComposition(ctx context.Context) (*composition, error) {
	variables := []string{
		"TODO_HTTP_PORT", "TODO_GRPC_PORT", "TODO_OPS_PORT", "NOTIFICATION_OPS_PORT", "STATS_HTTP_PORT", "STATS_OPS_PORT",
		"POSTGRES_PORT", "REDIS_PORT", "KAFKA_PORT", "KAFKA_2_PORT", "KAFKA_3_PORT",
		"PROMETHEUS_PORT", "ALERTMANAGER_PORT",
	}
	block, err := port.Reserve(ctx, len(variables))
	if err != nil {
		return nil, err
	}
	c := &composition{project: "todo-e2e-" + strconv.Itoa(os.Getpid()), ports: map[string]int{}, block: block}
	c.files = []string{"--file", "../../../compose/compose.yaml"}
	if variant != "" {
		c.files = append(c.files, "--file", "../../../compose/"+variant+".yaml")
	}
	// A request from this host comes from the gateway of a network of the engine.
	c.env = append(settings("10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"), "COMPOSE_PROFILES=", "AUTH_SIGNUP=open",
		fmt.Sprintf("BALANCER_NET=10.232.%d", os.Getpid()%256))
	for i, name := range variables {
		c.ports[name] = block.Ports[i]
		c.env = append(c.env, fmt.Sprintf("%s=%d", name, block.Ports[i]))
	}
	err = c.up(ctx)
	if err == nil && variant == "secure" {
		err = c.copyOperator(ctx)
	}
	if err != nil {
		logs, _ := c.docker(context.WithoutCancel(ctx), "logs", "--no-color", "--tail=20").CombinedOutput()
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, logs), c.end())
	}
	return c, nil
}

// copyOperator copies what README.md tells an operator to copy.
func (c *composition) copyOperator(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "todo-e2e-operator-")
	if err != nil {
		return err
	}
	c.operator = filepath.Join(dir, "operator")
	return c.compose(ctx, "cp", "credentials:/secrets/operator", dir)
}

// up starts the parts that do not run and waits until all are healthy.
func (c *composition) up(ctx context.Context) error {
	if err := c.compose(ctx, "up", "--detach", "--no-build"); err != nil {
		return err
	}
	parts := core
	if variant == "scale" {
		parts = append(slices.Clone(core), "balancer") // healthy when each service has a replica
	}
	return c.awaitHealthy(ctx, parts...)
}

// awaitHealthy starts parts that do not run and waits until they are healthy. The jobs are not among them: Compose takes
// the end of a container for a failure while it waits.
func (c *composition) awaitHealthy(ctx context.Context, parts ...string) error {
	return c.compose(ctx, append([]string{"up", "--detach", "--wait", "--wait-timeout=180", "--no-build", "--no-deps", "--no-recreate"}, parts...)...)
}

// docker returns a command of Docker Compose for this system.
func (c *composition) docker(ctx context.Context, args ...string) *exec.Cmd {
	cmd := dockerCommand(ctx, slices.Concat([]string{"compose", "--project-name", c.project}, c.files, args)...)
	cmd.Env = append(os.Environ(), c.env...)
	return cmd
}

func dockerCommand(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, cmp.Or(os.Getenv("DOCKER"), "docker"), args...)
}

// compose runs a command of Docker Compose. Its output is in the error.
func (c *composition) compose(ctx context.Context, args ...string) error {
	if out, err := c.docker(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("docker compose %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (c *composition) address(variable string) string {
	switch variable {
	case "KAFKA_BROKERS":
		return fmt.Sprintf("localhost:%d", c.ports["KAFKA_PORT"]) // as the broker advertises it
	case "POSTGRES_DSN":
		return "postgres://todo:todo@" + port.Addr(c.ports["POSTGRES_PORT"]) + "/todo?sslmode=disable"
	default:
		return port.Addr(c.ports[strings.TrimSuffix(variable, "_ADDR")+"_PORT"])
	}
}

// credential returns a credential of the operator: "" unless the variant is secure.
func (c *composition) credential(variable string) string {
	if c.operator == "" {
		return ""
	}
	file := func(name string) string { return filepath.Join(c.operator, name) }
	password := func(name string) string {
		content, _ := os.ReadFile(file(name + ".password")) // without it the server rejects the client
		return strings.TrimSpace(string(content))
	}
	switch variable {
	case "TLS_CA":
		return file("ca.crt")
	case "TLS_CLIENT_CERT":
		return file("tls.crt")
	case "TLS_CLIENT_KEY":
		return file("tls.key")
	case "REDIS_ADMIN_PASSWORD":
		return password("redis-admin")
	case "KAFKA_ADMIN_PASSWORD":
		return password("kafka-admin")
	case "REDIS_ADMIN_USERNAME", "KAFKA_ADMIN_USERNAME":
		return "admin"
	case "POSTGRES_OWNER_DSN":
		return "postgres://postgres:" + password("postgres") + "@" + port.Addr(c.ports["POSTGRES_PORT"]) + "/todo?sslmode=verify-full&sslrootcert=" + file("ca.crt")
	default:
		return ""
	}
}

func (c *composition) stop(t *testing.T, part string) {
	t.Helper()
	c.act(t, "stop", part)
}

// reconfigure runs a service with more environment variables until the test ends.
func (c *composition) reconfigure(t *testing.T, service string, environ map[string]string) {
	t.Helper()
	override, err := yaml.Marshal(map[string]any{"services": map[string]any{service: map[string]any{"environment": environ}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "override.yaml")
	if err := os.WriteFile(file, override, 0o600); err != nil {
		t.Fatal(err)
	}
	up := []string{"up", "--detach", "--wait", "--wait-timeout=180", "--no-build", "--no-deps", service}
	if err := c.compose(t.Context(), append([]string{"--file", file}, up...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.compose(context.Background(), up...); err != nil {
			t.Error(err)
		}
	})
}

// act stops or kills a part. If the test fails, its cleanup starts the part again.
func (c *composition) act(t *testing.T, verb, part string) {
	t.Helper()
	if err := c.compose(t.Context(), verb, part); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = c.compose(context.Background(), "start", part)
		}
	})
}

func (c *composition) start(t *testing.T, part string) {
	t.Helper()
	if err := c.awaitHealthy(t.Context(), part); err != nil {
		t.Fatal(err)
	}
}

func (c *composition) log(t *testing.T, part string) string {
	t.Helper()
	log, err := c.docker(t.Context(), "logs", "--no-log-prefix", "--no-color", part).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

func (c *composition) command(ctx context.Context, service string, args ...string) *exec.Cmd {
	return c.docker(ctx, append([]string{"exec", "--no-TTY", service, "/" + service}, args...)...)
}

// limitedClient's requests come through a trusted proxy: the engine's gateway. The client itself has sent the first of
// the addresses in the header, and the proxy has appended the client's.
func (c *composition) limitedClient() (from, counted string, headers func(i int) []string) {
	const limited = "198.51.100.9"
	return "", limited, func(i int) []string {
		return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d, %s", i, limited)}
	}
}

// refusalLimit exceeds the connect timeout of 2 s: at the address of a stopped container nothing answers.
func (c *composition) refusalLimit() time.Duration { return 3 * time.Second }

func (c *composition) end() error {
	defer c.block.Close()
	ctx := context.Background()
	var problems []error
	if c.operator != "" {
		problems = append(problems, os.RemoveAll(filepath.Dir(c.operator)))
	}
	for _, service := range services {
		problems = append(problems, c.findCrash(ctx, service))
	}
	return errors.Join(append(problems, c.compose(ctx, "--profile", "*", "down", "--volumes", "--remove-orphans"))...)
}

// findCrash returns an error if a container of the service has logged a data race or a panic, or was restarted.
func (c *composition) findCrash(ctx context.Context, service string) error {
	log, err := c.docker(ctx, "logs", "--no-log-prefix", "--no-color", service).Output()
	if err != nil {
		return err
	}
	if err := findCrash(service, log); err != nil {
		return err
	}
	ids, err := c.docker(ctx, "ps", "--all", "--quiet", service).Output()
	if err != nil {
		return err
	}
	args := append([]string{"inspect", "--format", "{{.RestartCount}} {{.State.OOMKilled}}"}, strings.Fields(string(ids))...)
	ends, err := dockerCommand(ctx, args...).Output()
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(ends)) {
		if strings.TrimSpace(line) != "0 false" {
			return fmt.Errorf("%s was restarted; restarts, out of memory: %s\n%.3000s", service, line, log[max(0, len(log)-3000):])
		}
	}
	return nil
}
