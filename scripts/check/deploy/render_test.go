package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	root       = "../../.."
	overlay    = "compose/kubernetes"
	prepare    = "compose/kubernetes/prepare"
	everything = "scripts/check/deploy/testdata/everything" // the overlay with every optional part
)

var (
	consumers = []string{"notification-service", "stats-service"}
	services  = append([]string{"todo-service"}, consumers...)
)

// manifests are the objects of rendered kustomizations.
type manifests struct {
	namespaces  []corev1.Namespace
	accounts    []corev1.ServiceAccount
	configMaps  []corev1.ConfigMap
	services    []corev1.Service
	deployments []appsv1.Deployment
	jobs        []batchv1.Job
	budgets     []policyv1.PodDisruptionBudget
	scalers     []autoscalingv2.HorizontalPodAutoscaler
	policies    []networkingv1.NetworkPolicy
	monitors    []monitoringv1.ServiceMonitor
}

// render renders the kustomizations in the folders, which are relative to the root, and decodes them strictly.
func render(t *testing.T, dirs ...string) manifests {
	t.Helper()
	var m manifests
	for _, dir := range dirs {
		rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, dir))
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, object := range rendered.Resources() {
			text, err := object.AsYAML()
			if err != nil {
				t.Fatalf("%s: %v", dir, err)
			}
			kind := object.GetApiVersion() + " " + object.GetKind()
			switch kind {
			case "v1 Namespace":
				m.namespaces = decode(t, m.namespaces, text)
			case "v1 ServiceAccount":
				m.accounts = decode(t, m.accounts, text)
			case "v1 ConfigMap":
				m.configMaps = decode(t, m.configMaps, text)
			case "v1 Service":
				m.services = decode(t, m.services, text)
			case "apps/v1 Deployment":
				m.deployments = decode(t, m.deployments, text)
			case "batch/v1 Job":
				m.jobs = decode(t, m.jobs, text)
			case "policy/v1 PodDisruptionBudget":
				m.budgets = decode(t, m.budgets, text)
			case "autoscaling/v2 HorizontalPodAutoscaler":
				m.scalers = decode(t, m.scalers, text)
			case "networking.k8s.io/v1 NetworkPolicy":
				m.policies = decode(t, m.policies, text)
			case "monitoring.coreos.com/v1 ServiceMonitor":
				m.monitors = decode(t, m.monitors, text)
			default:
				t.Errorf("%s: %s %s is of a kind that no test checks", dir, kind, object.GetName())
			}
		}
	}
	return m
}

// decode appends the object in text to the objects.
func decode[T any](t *testing.T, objects []T, text []byte) []T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	return append(objects, object)
}

// workload is a Deployment or a Job.
type workload struct {
	name string
	pod  corev1.PodTemplateSpec
}

func (m manifests) workloads() []workload {
	var all []workload
	for _, d := range m.deployments {
		all = append(all, workload{d.Name, d.Spec.Template})
	}
	for _, j := range m.jobs {
		all = append(all, workload{j.Name, j.Spec.Template})
	}
	return all
}

func (m manifests) deployment(t *testing.T, name string) appsv1.Deployment {
	t.Helper()
	i := slices.IndexFunc(m.deployments, func(d appsv1.Deployment) bool { return d.Name == name })
	if i < 0 {
		t.Fatalf("there is no Deployment %s", name)
	}
	return m.deployments[i]
}

// configMap returns the data of the ConfigMap with the rendered name, or nil.
func (m manifests) configMap(name string) map[string]string {
	for _, c := range m.configMaps {
		if c.Name == name {
			return c.Data
		}
	}
	return nil
}

func TestEveryKustomizationRenders(t *testing.T) {
	t.Parallel()
	var found []string
	for _, dir := range append([]string{overlay, filepath.Dir(everything)}, services...) {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Base(path) != "kustomization.yaml" {
				return err
			}
			text, err := os.ReadFile(path)
			// A component renders only as a part of others.
			if strings.Contains(string(text), "kind: Kustomization\n") {
				found = append(found, filepath.Dir(path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range found {
		dir, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		if len(render(t, dir).policies) == 0 {
			t.Errorf("%s renders no NetworkPolicy", dir)
		}
	}
	if want := 7; len(found) != want { // four of services, the overlay, prepare, everything
		t.Errorf("rendered %d kustomizations, want %d: %v", len(found), want, found)
	}
}

func TestBasesHoldEachObjectOfAService(t *testing.T) {
	t.Parallel()
	for _, service := range services {
		m := render(t, service+"/deploy")
		for kind, n := range map[string]int{
			"ServiceAccount": len(m.accounts), "ConfigMap": len(m.configMaps), "Service": len(m.services), "Deployment": len(m.deployments),
			"PodDisruptionBudget": len(m.budgets), "HorizontalPodAutoscaler": len(m.scalers), "NetworkPolicy": len(m.policies),
			"ServiceMonitor": len(m.monitors),
		} {
			if n != 1 {
				t.Errorf("%s/deploy has %d of %s, want 1", service, n, kind)
			}
		}
	}
}
