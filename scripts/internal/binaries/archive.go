package binaries

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// openMember opens the file of a jar whose name ends with suffix. Exactly one file must.
func openMember(jar, suffix string) (io.ReadCloser, error) {
	archive, err := zip.OpenReader(jar)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", jar, err)
	}
	var found []*zip.File
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, suffix) {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return nil, errors.Join(fmt.Errorf("%s holds %d files %s, not one", jar, len(found), suffix), archive.Close())
	}
	member, err := found[0].Open()
	if err != nil {
		return nil, errors.Join(err, archive.Close())
	}
	return &memberFile{member, archive}, nil
}

type memberFile struct {
	io.ReadCloser
	archive io.Closer
}

func (m *memberFile) Close() error { return errors.Join(m.ReadCloser.Close(), m.archive.Close()) }

// unpack extracts a .tar.xz into dir, which it creates. A member or a link target outside of dir is an error.
// After an error, dir contains what was extracted before.
func unpack(ctx context.Context, txz io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	plain, err := xz.NewReader(bufio.NewReader(txz))
	if err != nil {
		return err
	}
	for archive := tar.NewReader(plain); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackMember(root, header, archive); err != nil {
			return fmt.Errorf("unpack %q: %w", header.Name, err)
		}
	}
}

var errOutsideFolder = errors.New("is outside of the folder")

func unpackMember(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if !filepath.IsLocal(name) {
		return errOutsideFolder
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		if path.IsAbs(header.Linkname) || !filepath.IsLocal(path.Join(path.Dir(name), header.Linkname)) {
			return errOutsideFolder
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		return unpackFile(root, name, header.FileInfo().Mode().Perm(), content)
	default:
		return fmt.Errorf("is of an unexpected type %q", header.Typeflag)
	}
}

func unpackFile(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	// Readable for all: another user may run the program.
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o444)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}
