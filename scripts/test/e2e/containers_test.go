package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	coreMemoryLimit       = 1.2e9            // bytes that the containers of the core may use together
	secureCoreMemoryLimit = 1.3e9            // the same with sign-in, because hashing passwords takes memory
	serviceStop           = 10 * time.Second // the promise for docker compose stop
)

// containers returns the system if it runs in containers, and otherwise skips the test.
func containers(t *testing.T) *composition {
	t.Helper()
	c, ok := system.deployment.(*composition)
	if !ok {
		t.Skip("devstack has no containers; make test-compose runs this")
	}
	return c
}

// container is what Docker says of a container.
type container struct {
	State      struct{ Pid int }
	Config     struct{ Image string }
	HostConfig struct {
		Memory         int64
		CapAdd         []string
		Privileged     bool
		ReadonlyRootfs bool
	}
	NetworkSettings struct {
		Ports    map[string][]struct{ HostIP, HostPort string }
		Networks map[string]struct{ IPAddress, Gateway string }
	}
}

// id returns the id of the running container of a part.
func (c *composition) id(t *testing.T, part string) string {
	t.Helper()
	id, err := c.docker(t.Context(), "ps", "--quiet", part).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}

// inspect returns the running container of a part.
func (c *composition) inspect(t *testing.T, part string) container {
	t.Helper()
	out, err := dockerCommand(t.Context(), "inspect", c.id(t, part)).Output()
	var inspected []container
	if err == nil {
		err = json.Unmarshal(out, &inspected)
	}
	if err != nil || len(inspected) != 1 {
		t.Fatalf("the container of %s: %v", part, err)
	}
	return inspected[0]
}

func TestContainersHaveNoPrivileges(t *testing.T) {
	c := containers(t)
	var memory int64
	for _, part := range core {
		inspected := c.inspect(t, part)
		memory += inspected.HostConfig.Memory
		if inspected.HostConfig.Memory == 0 || inspected.HostConfig.Privileged || len(inspected.HostConfig.CapAdd) > 0 {
			t.Errorf("%s: %+v", part, inspected.HostConfig)
		}
		// Kafka's entry point writes its configuration into the image's folder.
		if !inspected.HostConfig.ReadonlyRootfs && part != "kafka" {
			t.Errorf("%s has a writable root", part)
		}
		for private, published := range inspected.NetworkSettings.Ports {
			for _, p := range published {
				if p.HostIP != "127.0.0.1" {
					t.Errorf("%s publishes %s on %s", part, private, p.HostIP)
				}
			}
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", inspected.State.Pid))
		if err != nil {
			t.Fatalf("the kernel's status of %s: %v", part, err)
		}
		for _, line := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !bytes.Contains(status, []byte(line+"\n")) {
				t.Errorf("%s is not %q", part, line)
			}
		}
		if bytes.Contains(status, []byte("\nUid:\t0\t")) {
			t.Errorf("%s runs as root", part)
		}
	}
	limit := coreMemoryLimit
	if variant == "secure" {
		limit = secureCoreMemoryLimit
	}
	if memory > int64(limit) {
		t.Errorf("the core may use %d bytes, the limit is %g", memory, limit)
	}
}

// listeners are the ports that the parts listen on inside.
var listeners = map[string][]string{
	"postgres": {"5432"}, "redis": {"6379"}, "kafka": {"9092"},
	"todo-service": {"8080", "50051", "9101"}, "notification-service": {"9102"}, "stats-service": {"8081", "9103"},
}

// dialScript prints each HOST:PORT of its arguments that accepts a connection.
const dialScript = `for peer; do timeout 3 bash -c "exec 3<>/dev/tcp/${peer/://}" 2>/dev/null && echo "$peer" & done; wait`

func TestContainersReachOnlyTheirPeers(t *testing.T) {
	c := containers(t)
	// The edges of the system's picture. A network has no direction.
	edges := map[string][]string{
		"postgres":             {"todo-service"},
		"redis":                {"notification-service", "stats-service", "todo-service"},
		"kafka":                {"notification-service", "stats-service", "todo-service"},
		"todo-service":         {"kafka", "postgres", "redis"},
		"notification-service": {"kafka", "redis"},
		"stats-service":        {"kafka", "redis"},
	}
	partOf := map[string]string{} // by host and port
	for _, part := range core {
		for _, network := range c.inspect(t, part).NetworkSettings.Networks {
			for _, port := range listeners[part] {
				partOf[network.IPAddress+":"+port] = part
			}
		}
	}
	for _, part := range core {
		args := []string{"run", "--rm", "--network", "container:" + c.id(t, part), "--entrypoint", "bash", c.inspect(t, "redis").Config.Image, "-c", dialScript, "dial"}
		for peer, other := range partOf {
			if other != part {
				args = append(args, peer)
			}
		}
		out, err := dockerCommand(t.Context(), args...).Output()
		if err != nil {
			t.Fatalf("connecting from %s: %v", part, err)
		}
		var reached []string
		for _, peer := range strings.Fields(string(out)) {
			if !slices.Contains(reached, partOf[peer]) {
				reached = append(reached, partOf[peer])
			}
		}
		slices.Sort(reached)
		if !slices.Equal(reached, edges[part]) {
			t.Errorf("%s reaches %v, want %v", part, reached, edges[part])
		}
	}
}

func TestOnlyNotificationServiceHasAWayOut(t *testing.T) {
	c := containers(t)
	for _, part := range core {
		inspected := c.inspect(t, part)
		routes, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/route", inspected.State.Pid))
		if err != nil {
			t.Fatalf("the kernel's routes of %s: %v", part, err)
		}
		gateway := defaultGateway(t, string(routes))
		var through string
		for name, network := range inspected.NetworkSettings.Networks {
			if network.Gateway == gateway {
				through = name
			}
		}
		if through == "" || strings.Contains(through, "_egress-") != (part == "notification-service") {
			t.Errorf("the default route of %s, over %s, is in the network %q", part, gateway, through)
		}
	}
}

// defaultGateway returns the gateway of the default route in a table of /proc/net/route.
func defaultGateway(t *testing.T, routes string) string {
	t.Helper()
	for line := range strings.Lines(routes) {
		var iface string
		var destination, gateway uint32
		if n, _ := fmt.Sscanf(line, "%s %X %X", &iface, &destination, &gateway); n == 3 && destination == 0 {
			return netip.AddrFrom4([4]byte(binary.LittleEndian.AppendUint32(nil, gateway))).String()
		}
	}
	t.Fatalf("no default route in:\n%s", routes)
	return ""
}

// Docker makes an unnamed volume where an image declares one and the compose file has none. It outlives its container.
func TestContainersHaveNoUnnamedVolumes(t *testing.T) {
	c := containers(t)
	ids, err := c.docker(t.Context(), "ps", "--all", "--quiet").Output()
	if err != nil {
		t.Fatal(err)
	}
	const mounts = `{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{.Destination}}{{"\n"}}{{end}}{{end}}`
	out, err := dockerCommand(t.Context(), append([]string{"inspect", "--format", mounts}, strings.Fields(string(ids))...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for mount := range strings.Lines(string(out)) {
		switch mount = strings.TrimSpace(mount); {
		case strings.HasPrefix(mount, c.project+"_"):
			named++
		case mount != "":
			t.Errorf("an unnamed volume: %s", mount)
		}
	}
	if named == 0 {
		t.Error("no container has a named volume")
	}
}

func TestTasksAndCountsSurviveDownAndUp(t *testing.T) {
	c := containers(t)
	task := create(t, "Kept over a down")
	complete(t, task.ID)
	notified(t, task.Title, task.Title) // so that it is on Kafka, and before counts it
	before := settled(t, kafkaClient(t))
	for _, service := range services {
		if err := c.findCrash(t.Context(), service); err != nil {
			t.Error(err)
		}
	}
	if err := c.compose(t.Context(), "down"); err != nil {
		t.Fatal(err)
	}
	if err := c.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept := decode[taskJSON](t, call(t, http.MethodGet, fmt.Sprintf("/tasks/%d", task.ID), ""), http.StatusOK); kept.Title != task.Title {
		t.Errorf("the task is now %+v", kept)
	}
	if after := settled(t, kafkaClient(t)); after.CompletedTotal != before.CompletedTotal {
		t.Errorf("counted %d before and %d after", before.CompletedTotal, after.CompletedTotal)
	}
	// The log of the new container has no notification: the completion was notified once, before.
	consumed(t, kafkaClient(t), "notification-service")
	notified(t, task.Title)
}

func TestCompletionsArriveAfterKafkaWasKilled(t *testing.T) {
	c := containers(t)
	before := settled(t, kafkaClient(t))
	tasks := []taskJSON{create(t, "Kafka killed 1"), create(t, "Kafka killed 2")}
	c.act(t, "kill", "kafka")
	for _, task := range tasks {
		complete(t, task.ID)
	}
	c.start(t, "kafka")
	notified(t, "Kafka killed 1", "Kafka killed 1")
	notified(t, "Kafka killed 2", "Kafka killed 2")
	if after := settled(t, kafkaClient(t)); after.CompletedTotal != before.CompletedTotal+2 {
		t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
	}
}

func TestServicesStopInTimeAndLoseNothing(t *testing.T) {
	c := containers(t)
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			before := settled(t, kafkaClient(t))
			title := "Before the stop of " + service
			complete(t, create(t, title).ID)
			began := time.Now()
			c.stop(t, service)
			if took := time.Since(began); took > serviceStop {
				t.Errorf("stopped after %v, want %v", took, serviceStop)
			}
			c.start(t, service)
			notified(t, title, title)
			if after := settled(t, kafkaClient(t)); after.CompletedTotal != before.CompletedTotal+1 {
				t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
			}
		})
	}
}
