package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// selected returns the names of the workloads whose pods the labels select.
func (m manifests) selected(matches func(podLabels map[string]string) bool) []string {
	var names []string
	for _, w := range m.workloads() {
		if matches(w.pod.Labels) {
			names = append(names, w.name)
		}
	}
	return names
}

func TestSelectorsSelectExactlyTheirPods(t *testing.T) {
	t.Parallel()
	m := render(t, overlay, prepare)
	check := func(kind, name string, got []string) {
		t.Helper()
		if !slices.Equal(got, []string{name}) {
			t.Errorf("%s %s selects the pods of %v", kind, name, got)
		}
	}
	for _, d := range m.deployments {
		check("Deployment", d.Name, m.selected(func(l map[string]string) bool { return selects(t, d.Spec.Selector, l) }))
		if len(d.Spec.Template.Spec.TopologySpreadConstraints) != 2 {
			t.Errorf("%s spreads over %v, want zones and nodes", d.Name, d.Spec.Template.Spec.TopologySpreadConstraints)
		}
		for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
			check("topology spread of", d.Name, m.selected(func(l map[string]string) bool { return selects(t, c.LabelSelector, l) }))
		}
	}
	for _, s := range m.services {
		check("Service", s.Name, m.selected(func(l map[string]string) bool { return containsLabels(l, s.Spec.Selector) }))
	}
	for _, b := range m.budgets {
		check("PodDisruptionBudget", b.Name, m.selected(func(l map[string]string) bool { return selects(t, b.Spec.Selector, l) }))
	}
	for _, p := range render(t, everything, prepare).policies {
		if len(m.selected(func(l map[string]string) bool { return selects(t, &p.Spec.PodSelector, l) })) == 0 {
			t.Errorf("NetworkPolicy %s selects no pod", p.Name)
		}
	}
}

func containsLabels(labels, selector map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

func TestServiceMonitorsScrapeTheirService(t *testing.T) {
	t.Parallel()
	m := render(t, overlay)
	for _, monitor := range m.monitors {
		i := slices.IndexFunc(m.services, func(s corev1.Service) bool { return selects(t, &monitor.Spec.Selector, s.Labels) })
		if i < 0 || m.services[i].Name != monitor.Name || len(monitor.Spec.Endpoints) != 1 {
			t.Errorf("ServiceMonitor %s does not select its Service", monitor.Name)
			continue
		}
		port := monitor.Spec.Endpoints[0].Port
		if !slices.ContainsFunc(m.services[i].Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port }) {
			t.Errorf("Service %s has no port %q", monitor.Name, port)
		}
	}
}

func TestUpdatesAndDrainsKeepReplicas(t *testing.T) {
	t.Parallel()
	m := render(t, overlay)
	for _, d := range m.deployments {
		// A number here would undo that of the HorizontalPodAutoscaler at each apply.
		if d.Spec.Replicas != nil {
			t.Errorf("%s has %d replicas, want none", d.Name, *d.Spec.Replicas)
		}
		if update := d.Spec.Strategy.RollingUpdate; update == nil || update.MaxUnavailable == nil || *update.MaxUnavailable != intstr.FromInt32(0) {
			t.Errorf("an update of %s stops a replica before another is ready", d.Name)
		}
	}
	for _, b := range m.budgets {
		if b.Spec.MaxUnavailable == nil || *b.Spec.MaxUnavailable != intstr.FromInt32(1) {
			t.Errorf("the budget of %s is %v, want one at a time", b.Name, b.Spec.MaxUnavailable)
		}
	}
	for _, h := range m.scalers {
		if h.Spec.ScaleTargetRef.Name != h.Name || h.Spec.ScaleTargetRef.Kind != "Deployment" || h.Spec.MinReplicas == nil || *h.Spec.MinReplicas < 2 {
			t.Errorf("the scaler %s has the target %v and at least %v replicas, want its Deployment and 2", h.Name, h.Spec.ScaleTargetRef, h.Spec.MinReplicas)
		}
	}
}

func (m manifests) maxReplicas(t *testing.T, service string) int {
	t.Helper()
	for _, h := range m.scalers {
		if h.Name == service {
			return int(h.Spec.MaxReplicas)
		}
	}
	t.Fatalf("%s has no HorizontalPodAutoscaler", service)
	return 0
}

func TestConsumersHaveAtMostOneReplicaPerPartition(t *testing.T) {
	t.Parallel()
	bin := buildServices(t)
	for _, service := range consumers {
		for _, dir := range []string{service + "/deploy", overlay} {
			m := render(t, dir)
			partitions, err := strconv.Atoi(bin.settings(t, m, service)["KAFKA_PARTITIONS"])
			if err != nil {
				t.Fatal(err)
			}
			if most := m.maxReplicas(t, service); most > partitions {
				t.Errorf("%s has up to %d replicas and %d partitions", service, most, partitions)
			}
		}
	}
}

// Each replica has the pool and two connections of the readiness check; one more replica runs during an update.
func TestConnectionsOfAllReplicasFitIntoPostgreSQL(t *testing.T) {
	t.Parallel()
	const connections, reserved = 100, 3 // the defaults of max_connections and superuser_reserved_connections
	m := render(t, "todo-service/deploy")
	pool, err := strconv.Atoi(buildServices(t).settings(t, m, "todo-service")["POSTGRES_MAX_CONNS"])
	if err != nil {
		t.Fatal(err)
	}
	if used := (m.maxReplicas(t, "todo-service") + 1) * (pool + 2); used > connections-reserved {
		t.Errorf("the replicas have up to %d connections, PostgreSQL has %d", used, connections-reserved)
	}
}

// Every part names the same number of partitions, because the services refuse to run on another.
func TestOverlayCreatesTheTopicsThatTheServicesExpect(t *testing.T) {
	t.Parallel()
	m := render(t, overlay, prepare)
	variables := map[string]map[string]string{}
	for _, w := range m.workloads() {
		variables[w.name] = m.variables(t, w)
	}
	for _, key := range []string{"KAFKA_PARTITIONS", "KAFKA_BROKERS"} {
		for _, service := range services {
			if got, want := variables[service][key], variables["kafka-topics"][key]; got != want || got == "" {
				t.Errorf("%s has %s=%q, kafka-topics has %q", service, key, got, want)
			}
		}
	}
}

// topicSetting matches the arguments of kafka-topics.sh that name and configure a topic.
var topicSetting = regexp.MustCompile(`--(?:topic|config) (\S+)`)

func topicSettings(script string) []string {
	var all []string
	for _, found := range topicSetting.FindAllStringSubmatch(script, -1) {
		all = append(all, found[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestTopicsHaveTheSettingsOfCompose(t *testing.T) {
	t.Parallel()
	compose, err := os.ReadFile(filepath.Join(root, "compose/compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := append(topicSettings(string(compose)), "min.insync.replicas=2") // compose has one broker
	slices.Sort(want)
	for _, w := range render(t, prepare).workloads() {
		if w.name != "kafka-topics" {
			continue
		}
		if diff := cmp.Diff(want, topicSettings(w.pod.Spec.Containers[0].Args[0])); diff != "" || len(want) < 4 {
			t.Errorf("settings in compose.yaml (-) and of the Job (+):\n%s", diff)
		}
		return
	}
	t.Error("there is no Job kafka-topics")
}
