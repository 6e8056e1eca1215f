package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/internal/binaries"
	"example.com/todo/scripts/internal/console"
)

// fakeEngine has images with their labels, and registries by the start of an image's name.
type fakeEngine struct {
	images     map[string]map[string]string
	registries map[string]string // the images that can be pulled, and what happens instead
	calls      []string          // pulls and builds
}

func (f *fakeEngine) labels(_ context.Context, image string) (map[string]string, error) {
	labels, ok := f.images[image]
	if !ok {
		return nil, errAbsent
	}
	return labels, nil
}

func (f *fakeEngine) pull(_ context.Context, image string) error {
	f.calls = append(f.calls, "pull "+image)
	switch answer, ok := f.registries[image]; {
	case !ok:
		return fmt.Errorf("%w: no such host", errUnreachable)
	case answer != "":
		return fmt.Errorf("pull %s: %s", image, answer)
	}
	f.images[image] = nil
	return nil
}

func (f *fakeEngine) build(_ context.Context, image, _ string, labels map[string]string, archive io.Reader) error {
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return err
	}
	f.calls = append(f.calls, "build "+image)
	f.images[image] = maps.Clone(labels)
	return nil
}

func (f *fakeEngine) run(_ context.Context, args ...string) (string, error) {
	if args[0] == "image" {
		delete(f.images, args[2])
		return "", nil
	}
	return "7.0.15", nil
}

// newFakeProvider returns a provider with a Debian in its cache.
func newFakeProvider(t *testing.T, f *fakeEngine) *provider {
	t.Helper()
	cache := t.TempDir()
	archive := findMirror(t.Context()).archive(cache)
	writeFilesTo(t, filepath.Dir(archive), map[string]string{filepath.Base(archive): ""})
	authorities := filepath.Join(writeFiles(t, map[string]string{"ca.crt": "certificates"}), "ca.crt")
	quiet := console.Plain(io.Discard)
	return &provider{
		engine: f, console: quiet, unreachable: map[string]error{},
		machine: &machine{finder: binaries.Finder{Cache: binaries.Cache{Dir: cache, Console: quiet}}, authorities: authorities},
	}
}

// provideAll provides images and returns the results and what the engine was asked to do.
func provideAll(t *testing.T, f *fakeEngine, images ...string) (results []result, calls []string) {
	t.Helper()
	f.calls = nil
	results, err := newFakeProvider(t, f).provide(t.Context(), images)
	if err != nil {
		t.Fatal(err)
	}
	return results, f.calls
}

func TestProvideKeepsAndPullsUpstreamImages(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{
		images:     map[string]map[string]string{"redis:7": {"maintainer": "upstream"}},
		registries: map[string]string{"postgres:18": ""},
	}
	results, calls := provideAll(t, f, "redis:7", "postgres:18")
	want := []result{{"redis:7", fromUpstream, "was there"}, {"postgres:18", fromUpstream, "pulled"}}
	if diff := cmp.Diff(want, results, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pull postgres:18"}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestProvideBuildsStandInsOnceAndTriesEachRegistryOnce(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{images: map[string]map[string]string{}}
	images := []string{"redis:7", "grafana/grafana:12.0.0", "apache/kafka:4.1.0", "haproxy:3.0", "gcr.io/distroless/static-debian12:nonroot"}
	want := []result{
		{"redis:7", fromStandIn, "Redis 7.0.15 of Debian 12"},
		{"grafana/grafana:12.0.0", notAvailable, "the registry cannot be reached, and there is no stand-in"},
		{"apache/kafka:4.1.0", notAvailable, "the registry cannot be reached, and the stand-in is of apache/kafka:4.4.0 alone"},
		{"haproxy:3.0", fromStandIn, "HAProxy 7.0.15 of Debian 12"},
		{"gcr.io/distroless/static-debian12:nonroot", fromStandIn, "the users, time zones and certificate authorities of Debian 12"},
	}
	results, calls := provideAll(t, f, images...)
	if diff := cmp.Diff(want, results, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	wantCalls := []string{
		"pull redis:7", "build todo/stand-in-base:bookworm", "build " + unlabelledImage, "build redis:7",
		"build " + unlabelledImage, "build haproxy:3.0",
		"pull gcr.io/distroless/static-debian12:nonroot", "build gcr.io/distroless/static-debian12:nonroot",
	}
	if diff := cmp.Diff(wantCalls, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := f.images["redis:7"][standInLabel]; got != want[0].detail {
		t.Errorf("the label of redis:7 is %q", got)
	}

	results, calls = provideAll(t, f, images...)
	if diff := cmp.Diff(want, results, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("results of the second run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pull grafana/grafana:12.0.0"}, calls); diff != "" {
		t.Errorf("calls of the second run (-want +got):\n%s", diff)
	}

	f.images["redis:7"][recipeLabel] = "another"
	_, calls = provideAll(t, f, "redis:7", "haproxy:3.0")
	if diff := cmp.Diff([]string{"build " + unlabelledImage, "build redis:7"}, calls); diff != "" {
		t.Errorf("calls after a recipe was changed (-want +got):\n%s", diff)
	}
}

func TestProvideAsksARegistryAgainAfterItRejectedOneImage(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{images: map[string]map[string]string{}, registries: map[string]string{
		"grafana/grafana:0": "manifest unknown", "redis:7": "toomanyrequests", "haproxy:3.0": "",
	}}
	results, _ := provideAll(t, f, "grafana/grafana:0", "redis:7", "haproxy:3.0")
	want := []result{
		{"grafana/grafana:0", notAvailable, "pull grafana/grafana:0: manifest unknown, and there is no stand-in"},
		{"redis:7", fromStandIn, "Redis 7.0.15 of Debian 12"},
		{"haproxy:3.0", fromUpstream, "pulled"},
	}
	if diff := cmp.Diff(want, results, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestEveryStandInIsBuiltFromTheBaseImageWithoutASyntaxLine(t *testing.T) {
	t.Parallel()
	for _, s := range standIns {
		content, err := folders.ReadFile("standins/" + s.folder + "/Dockerfile")
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if !strings.HasPrefix(text, "FROM "+baseImage.image) || strings.Contains(text, "syntax=") {
			t.Errorf("%s: its Dockerfile starts with %q", s.image, strings.SplitN(text, "\n", 2)[0])
		}
		if s.target != "" && !strings.Contains(text, " AS "+s.target+"\n") {
			t.Errorf("%s: its Dockerfile has no stage %s", s.image, s.target)
		}
	}
}

// The Dockerfiles of the services name the base images; they must be the ones that stand-ins are made of.
func TestServicesAreBuiltOnImagesThatHaveStandIns(t *testing.T) {
	t.Parallel()
	dockerfiles, err := filepath.Glob("../../*/Dockerfile")
	if err != nil || len(dockerfiles) != 3 {
		t.Fatalf("the Dockerfiles are %v, %v; want those of three services", dockerfiles, err)
	}
	for _, path := range dockerfiles {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range []string{"golang:1.26", "gcr.io/distroless/static-debian12:nonroot"} {
			isStandIn := slices.ContainsFunc(standIns, func(s standIn) bool { return s.image == image })
			if !strings.Contains(string(content), image) || !isStandIn {
				t.Errorf("%s does not name %s, or there is no stand-in of it", path, image)
			}
		}
	}
}
