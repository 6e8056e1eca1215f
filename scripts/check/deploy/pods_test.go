package deploy

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const serviceUser = 65532 // the user of the services' images

func isTrue(value *bool) bool  { return value != nil && *value }
func isFalse(value *bool) bool { return value != nil && !*value }

func TestContainersRunWithoutPrivileges(t *testing.T) {
	t.Parallel()
	for _, w := range render(t, everything, prepare).workloads() {
		spec := w.pod.Spec
		security := spec.SecurityContext
		if security == nil || !isTrue(security.RunAsNonRoot) || security.RunAsUser == nil || *security.RunAsUser == 0 || security.RunAsGroup == nil || *security.RunAsGroup == 0 {
			t.Errorf("%s may run as root", w.name)
			continue
		}
		if security.SeccompProfile == nil || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s has no seccomp profile", w.name)
		}
		if !isFalse(spec.AutomountServiceAccountToken) || !isFalse(spec.EnableServiceLinks) {
			t.Errorf("%s gets a token of the API or variables of Services", w.name)
		}
		if spec.HostNetwork || spec.HostPID || spec.HostIPC {
			t.Errorf("%s shares a namespace with its node", w.name)
		}
		for _, v := range spec.Volumes {
			if v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil {
				t.Errorf("%s: volume %s is not a temporary one with a limit", w.name, v.Name)
			}
		}
		for _, c := range append(spec.InitContainers, spec.Containers...) {
			checkContainer(t, w.name, c)
			if strings.HasPrefix(c.Image, "todo/") && *security.RunAsUser != serviceUser {
				t.Errorf("%s runs as %d, want %d", w.name, *security.RunAsUser, serviceUser)
			}
		}
	}
}

func checkContainer(t *testing.T, name string, c corev1.Container) {
	t.Helper()
	security := c.SecurityContext
	if security == nil || !isFalse(security.AllowPrivilegeEscalation) || !isTrue(security.ReadOnlyRootFilesystem) || security.Privileged != nil ||
		security.RunAsUser != nil || security.RunAsNonRoot != nil || security.SeccompProfile != nil {
		t.Errorf("%s: a writable root, privileges, or an exception from the pod's security context", name)
		return
	}
	if caps := security.Capabilities; caps == nil || !slices.Equal(caps.Drop, []corev1.Capability{"ALL"}) || len(caps.Add) > 0 {
		t.Errorf("%s keeps capabilities", name)
	}
	for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := c.Resources.Requests[resource], c.Resources.Limits[resource]
		if request.IsZero() || limit.Cmp(request) < 0 {
			t.Errorf("%s: %s request %s, limit %s", name, resource, &request, &limit)
		}
	}
}

func TestServiceAccountsMountNoToken(t *testing.T) {
	t.Parallel()
	m := render(t, overlay)
	for _, service := range services {
		account := m.deployment(t, service).Spec.Template.Spec.ServiceAccountName
		i := slices.IndexFunc(m.accounts, func(a corev1.ServiceAccount) bool { return a.Name == account })
		if i < 0 || !isFalse(m.accounts[i].AutomountServiceAccountToken) {
			t.Errorf("%s: ServiceAccount %q does not exist or mounts a token", service, account)
		}
	}
}

// Each place has the version's tag, so that a rollback is a change of the overlay.
func TestOverlayTagsEveryImage(t *testing.T) {
	t.Parallel()
	tags := map[string]bool{}
	for _, w := range render(t, overlay, prepare).workloads() {
		for _, c := range w.pod.Spec.Containers {
			image, tag, _ := strings.Cut(c.Image, ":")
			if tag == "" || tag == "latest" {
				t.Errorf("%s: image %q has no fixed tag", w.name, c.Image)
			}
			if strings.HasPrefix(image, "todo/") {
				tags[tag] = true
			} else if image != "apache/kafka" {
				t.Errorf("%s runs the image %s", w.name, image)
			}
		}
	}
	if len(tags) != 1 {
		t.Errorf("the services have the tags %v, want one", tags)
	}
}

func TestOverlayIsOneRestrictedNamespace(t *testing.T) {
	t.Parallel()
	m := render(t, overlay)
	if len(m.namespaces) != 1 || m.namespaces[0].Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Fatalf("namespaces %+v, want a restricted one", m.namespaces)
	}
	for _, d := range m.deployments {
		if d.Namespace != m.namespaces[0].Name {
			t.Errorf("%s is in namespace %q", d.Name, d.Namespace)
		}
	}
}
