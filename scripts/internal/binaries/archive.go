package binaries

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"
)

// readMember calls read with the file of a jar whose name ends with suffix. Exactly one file must.
func readMember(jar, suffix string, read func(io.Reader) error) error {
	archive, err := zip.OpenReader(jar)
	if err != nil {
		return fmt.Errorf("open %s: %w", jar, err)
	}
	defer func() { _ = archive.Close() }()
	found := slices.DeleteFunc(archive.File, func(f *zip.File) bool { return !strings.HasSuffix(f.Name, suffix) })
	if len(found) != 1 {
		return fmt.Errorf("%s holds %d files %s, not one", jar, len(found), suffix)
	}
	member, err := found[0].Open()
	if err != nil {
		return err
	}
	defer func() { _ = member.Close() }()
	return read(member)
}

// extractMember writes a file of a jar to a program's path.
func extractMember(jar, suffix, path string) error {
	return readMember(jar, suffix, func(content io.Reader) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
		if err != nil {
			return err
		}
		return writeAndClose(file, content)
	})
}

func writeAndClose(file *os.File, content io.Reader) error {
	_, err := io.Copy(file, content)
	return errors.Join(err, file.Close())
}

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
		// Readable for all: another user may run the program.
		mode := header.FileInfo().Mode().Perm() | 0o444
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		return writeAndClose(file, content)
	default:
		return fmt.Errorf("is of an unexpected type %q", header.Typeflag)
	}
}
