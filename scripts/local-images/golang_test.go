package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// probe is a program with a dependency. It reports what it finds in the image that it runs in.
const probe = `package main

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"
)

func main() {
	_, zoneErr := time.LoadLocation("Pacific/Auckland")
	roots, rootsErr := x509.SystemCertPool()
	home, homeErr := os.UserHomeDir()
	me, userErr := user.Current()
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"errors":      []bool{zoneErr != nil, rootsErr != nil, homeErr != nil, userErr != nil},
		"authorities": !roots.Equal(x509.NewCertPool()),
		"home":        home,
		"user":        me.Username + " " + me.Uid + ":" + me.Gid,
		"uuid":        uuid.NameSpaceDNS.String(),
		"tmp":         os.WriteFile("/tmp/file", nil, 0o600) == nil,
		"etc":         os.WriteFile("/etc/file", nil, 0o600) == nil,
	})
}
`

const probeDockerfile = `FROM golang:1.26 AS build
WORKDIR /src
ENV CGO_ENABLED=0
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build go build -o /out/probe .
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /
ENTRYPOINT ["/probe"]
`

// go.sum of the probe: the checksums are those of scripts/go.sum.
const (
	probeModule = "module example.com/probe\n\ngo 1.26\n\nrequire github.com/google/uuid v1.6.0\n"
	probeSums   = `github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
github.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=
`
)

func TestGolangBuildsWhatDistrolessRuns(t *testing.T) {
	t.Parallel()
	const distroless = "gcr.io/distroless/static-debian12:nonroot"
	d := requireImages(t, "golang:1.26", distroless)
	image := uniqueName()
	files := map[string]string{"Dockerfile": probeDockerfile, "main.go": probe, "go.mod": probeModule, "go.sum": probeSums}
	if err := d.build(t.Context(), image, "", nil, tarOf(t, files)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cleanUp(t, d, "image", "rm", image) })
	var got map[string]any
	if err := json.Unmarshal([]byte(mustRun(t, d, "run", "--rm", "--network", "none", image)), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"errors": []any{false, false, false, false}, "authorities": true, "home": "/home/nonroot",
		"user": "nonroot 65532:65532", "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "tmp": true, "etc": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in the image (-want +got):\n%s", diff)
	}
	for _, shell := range []string{"/bin/sh", "/bin/bash", "/busybox/sh"} {
		name := uniqueName()
		if _, err := d.run(t.Context(), "run", "--name", name, "--entrypoint", shell, image); err == nil {
			t.Errorf("the image has the shell %s", shell)
		}
		cleanUp(t, d, "rm", "--force", name)
	}
}
