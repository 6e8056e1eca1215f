package binaries

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"
)

type entry struct {
	name, link, content string
	kind                byte
	mode                int64
}

// txz packs entries.
func txz(t *testing.T, entries ...entry) io.Reader {
	t.Helper()
	var packed bytes.Buffer
	compressed, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(compressed)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.content))}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return &packed
}

func TestUnpackKeepsLinksAndPermissions(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "into")
	err := unpack(t.Context(), txz(t,
		entry{name: "./bin/", kind: tar.TypeDir},
		entry{name: "./bin/postgres", kind: tar.TypeReg, mode: 0o755, content: "program"},
		entry{name: "lib/libpq.so.5", kind: tar.TypeReg, mode: 0o600, content: "library"},
		entry{name: "lib/libpq.so", kind: tar.TypeSymlink, link: "libpq.so.5"},
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"bin/postgres", "lib/libpq.so"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = info.Mode().String() + " " + string(content)
	}
	want := map[string]string{"bin/postgres": "-rwxr-xr-x program", "lib/libpq.so": "-rw-r--r-- library"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unpacked (-want +got):\n%s", diff)
	}
}

func TestUnpackRejectsAMemberOutsideOfTheFolder(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]entry{
		"parent folder":      {{name: "../evil", kind: tar.TypeReg, content: "x"}},
		"parent in the path": {{name: "a/../../evil", kind: tar.TypeReg, content: "x"}},
		"absolute":           {{name: "/tmp/evil", kind: tar.TypeReg, content: "x"}},
		"absolute link":      {{name: "a", kind: tar.TypeSymlink, link: "/etc"}},
		"link to the parent": {{name: "a/b", kind: tar.TypeSymlink, link: "../../evil"}},
		"hard link":          {{name: "a", kind: tar.TypeLink, link: "../evil"}},
		"device":             {{name: "a", kind: tar.TypeChar}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			if err := unpack(t.Context(), txz(t, entries...), filepath.Join(top, "into", "here")); err == nil {
				t.Error("no error")
			}
			for _, path := range []string{"evil", "into/evil"} {
				if _, err := os.Lstat(filepath.Join(top, path)); err == nil {
					t.Errorf("%s was written", path)
				}
			}
		})
	}
}

func TestUnpackReportsADamagedArchive(t *testing.T) {
	t.Parallel()
	packed, err := io.ReadAll(txz(t, entry{name: "a", kind: tar.TypeReg, content: "content"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cut": packed[:len(packed)/2], "no archive": []byte("hello")} {
		if err := unpack(t.Context(), bytes.NewReader(content), t.TempDir()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReadMemberFindsOneFileByItsSuffix(t *testing.T) {
	t.Parallel()
	jar := filepath.Join(t.TempDir(), "a.jar")
	file, err := os.Create(jar)
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	for _, name := range []string{"redis-linux-amd64", "redis-linux-386", "a.class", "b.class"} {
		member, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(member, "content of "+name)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	file.Close()

	var content []byte
	if err := readMember(jar, "-linux-386", func(r io.Reader) (err error) {
		content, err = io.ReadAll(r)
		return err
	}); err != nil || string(content) != "content of redis-linux-386" {
		t.Errorf("read %q, %v", content, err)
	}
	for _, suffix := range []string{"-linux-arm64", ".class"} {
		if err := readMember(jar, suffix, func(io.Reader) error { return nil }); err == nil {
			t.Errorf("%q gave no error", suffix)
		}
	}
}
