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

// jar is the path of a jar with these files, each with its name as content.
func jar(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.jar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for _, name := range names {
		member, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(member, name)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadMemberFindsOneFileByItsSuffix(t *testing.T) {
	t.Parallel()
	path := jar(t, "redis-linux-amd64", "redis-linux-386", "a.class", "b.class")
	var content []byte
	if err := readMember(path, "-linux-386", func(r io.Reader) (err error) {
		content, err = io.ReadAll(r)
		return err
	}); err != nil || string(content) != "redis-linux-386" {
		t.Errorf("read %q, %v", content, err)
	}
	for _, suffix := range []string{"-linux-arm64", ".class"} {
		if err := readMember(path, suffix, func(io.Reader) error { return nil }); err == nil {
			t.Errorf("%q gave no error", suffix)
		}
	}
}

func TestExtractMemberWritesAnExecutable(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "redis-server")
	if err := extractMember(jar(t, "redis-server-6.2.7-linux-386"), "-linux-386", program); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(program); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("the program is %v, %v; want that it can be run", info, err)
	}
}
