package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

//go:embed standins
var folders embed.FS

// source is a file or a folder outside of a stand-in's own folder that its Dockerfile copies.
type source struct {
	name    string // in the build context
	path    string // on this machine, or "" for content
	content string
	version string // of what is at path: it changes when that does
}

// buildContext is what an image is built from: a folder of standins, unless it is "", and
// sources.
type buildContext struct {
	folder  string
	sources []source
}

// recipe returns a hash that changes when the image has to be built again. parent is the recipe of the image that
// this one is built on.
func (b buildContext) recipe(parent string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q\n", parent)
	err := b.eachFile(func(name string, content []byte) error {
		fmt.Fprintf(sum, "%q %q\n", name, content)
		return nil
	})
	for _, s := range b.sources {
		fmt.Fprintf(sum, "%q %q %q\n", s.name, s.version, s.content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], err
}

// write writes the build context as a tar archive.
func (b buildContext) write(w io.Writer) error {
	archive := tar.NewWriter(w)
	err := b.eachFile(func(name string, content []byte) error { return addContent(archive, name, content) })
	if err != nil {
		return err
	}
	for _, s := range b.sources {
		if s.path == "" {
			err = addContent(archive, s.name, []byte(s.content))
		} else {
			err = addTree(archive, s.name, s.path)
		}
		if err != nil {
			return fmt.Errorf("add %s to the build of %s: %w", s.name, b.folder, err)
		}
	}
	return archive.Close()
}

// open returns the build context as a tar archive. The caller closes it.
func (b buildContext) open() io.ReadCloser {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(b.write(writer)) }()
	return reader
}

// eachFile calls do with every file of the folder.
func (b buildContext) eachFile(do func(name string, content []byte) error) error {
	if b.folder == "" {
		return nil
	}
	root := path.Join("standins", b.folder)
	return fs.WalkDir(folders, root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := folders.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		return errors.Join(err, do(name, content))
	})
}

// addContent adds a file of the folder. A script is executable: an embedded file has no permissions of its own.
func addContent(archive *tar.Writer, name string, content []byte) error {
	mode := int64(0o644)
	if bytes.HasPrefix(content, []byte("#!")) {
		mode = 0o755
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// addTree adds what is at root on this machine, as name. Owners are left out.
func addTree(archive *tar.Writer, name, root string) error {
	return filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(file); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		header.Name = path.Join(name, filepath.ToSlash(rel))
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return addFileContent(archive, file)
	})
}

func addFileContent(archive *tar.Writer, file string) error {
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	_, err = io.Copy(archive, content)
	return err
}
