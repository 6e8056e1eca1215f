package images

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxCompressed is the limit of an image, in bytes, compressed as a registry keeps it.
const maxCompressed = 25e6

// services are the images that this repository builds, as todo/<service>:local.
var services = []string{"todo-service", "notification-service", "stats-service"}

// eachService runs a test of each service's image.
func eachService(t *testing.T, run func(t *testing.T, service, image string)) {
	t.Helper()
	if os.Getenv("E2E_SYSTEM") != "compose" {
		t.Skip("the images are tested by make test-compose, which builds them")
	}
	for _, service := range services {
		t.Run(service, func(t *testing.T) { run(t, service, "todo/"+service+":local") })
	}
}

// docker runs a command of Docker and returns its standard output.
func docker(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cmp.Or(os.Getenv("DOCKER"), "docker"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// files returns the SHA-256 of each file of an image.
func files(t *testing.T, image string) map[string]string {
	t.Helper()
	id := strings.TrimSpace(string(docker(t, "create", image)))
	defer docker(t, "rm", id)
	sums := map[string]string{}
	archive := tar.NewReader(bytes.NewReader(docker(t, "export", id)))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return sums
		}
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, archive); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeDir {
			sums["/"+header.Name] = fmt.Sprintf("%x %s", sum.Sum(nil), header.Linkname)
		}
	}
}

func TestImageHasNoShellAndNoPackageManager(t *testing.T) {
	eachService(t, func(t *testing.T, service, image string) {
		contents := files(t, image)
		if contents["/"+service] == "" || contents["/etc/ssl/certs/ca-certificates.crt"] == "" {
			t.Errorf("the program or the certificates are missing among %d files", len(contents))
		}
		for name := range contents {
			switch path.Base(name) {
			case "sh", "bash", "dash", "ash", "busybox", "apt", "apt-get", "dpkg", "apk":
				t.Errorf("the image has %s", name)
			}
		}
	})
}

func TestImageRunsAsAnUnprivilegedUserAndIsLabelled(t *testing.T) {
	eachService(t, func(t *testing.T, service, image string) {
		var inspected []struct {
			Config struct {
				User        string
				Entrypoint  []string
				Labels      map[string]string
				Healthcheck struct{ Test []string }
			}
		}
		if err := json.Unmarshal(docker(t, "image", "inspect", image), &inspected); err != nil {
			t.Fatal(err)
		}
		config := inspected[0].Config
		if config.User != "65532:65532" {
			t.Errorf("the user is %q", config.User)
		}
		if got := strings.Join(config.Entrypoint, " "); got != "/"+service {
			t.Errorf("the entry point is %q", got)
		}
		if got := strings.Join(config.Healthcheck.Test, " "); got != "CMD /"+service+" healthcheck" {
			t.Errorf("the health check is %q", got)
		}
		for _, label := range []string{"title", "description", "licenses", "version", "revision", "created"} {
			if config.Labels["org.opencontainers.image."+label] == "" {
				t.Errorf("the label %s is empty", label)
			}
		}
		// The program says what the labels say.
		want := fmt.Sprintf("%s version %s (commit %s, %s, go", service,
			config.Labels["org.opencontainers.image.version"], config.Labels["org.opencontainers.image.revision"], config.Labels["org.opencontainers.image.created"])
		if said := string(docker(t, "run", "--rm", "--network", "none", image, "--version")); !strings.HasPrefix(said, want) {
			t.Errorf("--version prints %q, want %q…", said, want)
		}
		if created := config.Labels["org.opencontainers.image.created"]; !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`).MatchString(created) {
			t.Errorf("the date is %q", created)
		}
	})
}

func TestImageIsSmall(t *testing.T) {
	eachService(t, func(t *testing.T, _, image string) {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		if _, err := w.Write(docker(t, "save", image)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f MB compressed", float64(compressed.Len())/1e6)
		if compressed.Len() > maxCompressed {
			t.Errorf("the image has %d bytes, compressed, the limit is %g", compressed.Len(), maxCompressed)
		}
	})
}

func TestBuildWithoutCacheGivesTheSameFiles(t *testing.T) {
	eachService(t, func(t *testing.T, service, image string) {
		again := "todo/" + service + ":again"
		flags := "--no-cache"
		if service == "stats-service" {
			flags += " --build-arg GOFLAGS=-a" // the compiler's cache is another one; to compile one service anew is enough
		}
		build := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "../../../"+service, "image", "TAG=again", "DOCKER_BUILD="+flags)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		defer docker(t, "rmi", again)
		first, second := files(t, image), files(t, again)
		if !maps.Equal(first, second) {
			t.Errorf("the files differ:\n%v\n%v", first, second)
		}
	})
}
