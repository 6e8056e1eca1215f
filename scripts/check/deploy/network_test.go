package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The peers of the policies. The first two are labels of namespaces, the others pods.
const (
	clients    = "ns[todo.example.com/clients=true]"
	monitoring = "ns[todo.example.com/monitoring=true]"
	dns        = "ns[kubernetes.io/metadata.name=kube-system] pod[k8s-app=kube-dns]"
	postgresql = "ns[] pod[app.kubernetes.io/name=postgresql]"
	redis      = "ns[] pod[app.kubernetes.io/name=redis]"
	kafka      = "ns[] pod[app.kubernetes.io/name=kafka]"
)

// edges are the connections in the picture of ARCHITECTURE.md, with those of Prometheus and the dashboards, of DNS,
// and of the two Jobs.
var edges = []string{
	clients + " -> todo-service TCP 8080",
	clients + " -> todo-service TCP 50051",
	monitoring + " -> todo-service TCP 9101",
	"todo-service -> " + postgresql + " TCP 5432",
	"todo-service -> " + redis + " TCP 6379",
	"todo-service -> " + kafka + " TCP 9092",

	monitoring + " -> notification-service TCP 9102",
	"notification-service -> " + redis + " TCP 6379",
	"notification-service -> " + kafka + " TCP 9092",

	clients + " -> stats-service TCP 8081",
	monitoring + " -> stats-service TCP 8081", // the dashboards read /stats
	monitoring + " -> stats-service TCP 9103",
	"stats-service -> " + redis + " TCP 6379",
	"stats-service -> " + kafka + " TCP 9092",

	"todo-service-migrate -> " + postgresql + " TCP 5432",
	"kafka-topics -> " + kafka + " TCP 9092",
}

const (
	outside  = "net 192.0.2.0/24"
	internet = "net 0.0.0.0/0 except 10.0.0.0/8 100.64.0.0/10 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16"
	sixnet   = "net ::/0 except fc00::/7 fe80::/10"
)

// optionalEdges are those of the components.
var optionalEdges = []string{
	"notification-service -> " + internet + " TCP 443",
	"notification-service -> " + sixnet + " TCP 443",
	"todo-service -> " + outside + " TCP 5432",
	"todo-service-migrate -> " + outside + " TCP 5432",
	"todo-service -> " + outside + " TCP 6379",
	"notification-service -> " + outside + " TCP 6379",
	"stats-service -> " + outside + " TCP 6379",
	"todo-service -> " + outside + " TCP 9092",
	"notification-service -> " + outside + " TCP 9092",
	"stats-service -> " + outside + " TCP 9092",
	"kafka-topics -> " + outside + " TCP 9092",
}

func TestNetworkPoliciesAllowExactlyTheEdgesOfThePicture(t *testing.T) {
	t.Parallel()
	want := slices.Clone(edges)
	for _, w := range append(slices.Clone(services), "todo-service-migrate", "kafka-topics") {
		want = append(want, w+" -> "+dns+" UDP 53", w+" -> "+dns+" TCP 53")
	}
	checkEdges(t, render(t, overlay, prepare), want)
	checkEdges(t, render(t, everything, prepare), append(want, optionalEdges...))
}

func checkEdges(t *testing.T, m manifests, want []string) {
	t.Helper()
	got := m.edges(t)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), slices.Compact(got)); diff != "" {
		t.Errorf("edges of the picture (-) and of the policies (+):\n%s", diff)
	}
}

// edges returns what the policies allow, and reports pods that may talk to all.
func (m manifests) edges(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, w := range m.workloads() {
		restricted := map[networkingv1.PolicyType]bool{}
		for _, p := range m.policies {
			if !selects(t, &p.Spec.PodSelector, w.pod.Labels) {
				continue
			}
			for _, direction := range p.Spec.PolicyTypes {
				restricted[direction] = true
			}
			for _, rule := range p.Spec.Ingress {
				for _, peer := range connections(rule.From, rule.Ports) {
					from, port, _ := strings.Cut(peer, " : ")
					all = append(all, from+" -> "+w.name+" "+port)
				}
			}
			for _, rule := range p.Spec.Egress {
				for _, peer := range connections(rule.To, rule.Ports) {
					all = append(all, w.name+" -> "+strings.Replace(peer, " : ", " ", 1))
				}
			}
		}
		if !restricted[networkingv1.PolicyTypeIngress] || !restricted[networkingv1.PolicyTypeEgress] {
			t.Errorf("no policy restricts both directions of %s", w.name)
		}
	}
	return all
}

// connections returns "peer : protocol port" for each peer and port. A rule without peers or ports allows all.
func connections(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) []string {
	if len(peers) == 0 {
		peers = []networkingv1.NetworkPolicyPeer{{}}
	}
	if len(ports) == 0 {
		ports = []networkingv1.NetworkPolicyPort{{}}
	}
	var all []string
	for _, peer := range peers {
		for _, port := range ports {
			target := "ANY"
			if port.Protocol != nil && port.Port != nil && port.EndPort == nil {
				target = fmt.Sprint(*port.Protocol, " ", port.Port)
			}
			all = append(all, describePeer(peer)+" : "+target)
		}
	}
	return all
}

func describePeer(peer networkingv1.NetworkPolicyPeer) string {
	if block := peer.IPBlock; block != nil {
		text := "net " + block.CIDR
		if len(block.Except) > 0 {
			text += " except " + strings.Join(block.Except, " ")
		}
		return text
	}
	var parts []string
	if peer.NamespaceSelector != nil {
		parts = append(parts, "ns["+describeSelector(peer.NamespaceSelector)+"]")
	}
	if peer.PodSelector != nil {
		parts = append(parts, "pod["+describeSelector(peer.PodSelector)+"]")
	}
	if len(parts) == 0 {
		return "ANY"
	}
	return strings.Join(parts, " ")
}

func describeSelector(selector *metav1.LabelSelector) string {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return err.Error()
	}
	return s.String()
}

func selects(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Error(err)
		return false
	}
	return s.Matches(labels.Set(of))
}
