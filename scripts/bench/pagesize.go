package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

// assetsDir holds the files of the page.
const assetsDir = "../todo-service/internal/web/assets"

// measureSize adds up the compressed bytes of an empty list's document and of every asset.
func (p *pageBench) measureSize(ctx context.Context) error {
	todo, err := p.startTodo(ctx, "size", 0)
	if err != nil {
		return err
	}
	document, size, err := fetchCompressed(ctx, todo.http+"/")
	if err != nil {
		return err
	}
	prefix := regexp.MustCompile(`data-assets="([^"]+)"`).FindSubmatch(document)
	if prefix == nil {
		return fmt.Errorf("the document does not say where its assets are: %.300s", document)
	}
	files, err := os.ReadDir(assetsDir)
	if err != nil {
		return err
	}
	for _, file := range files {
		_, more, err := fetchCompressed(ctx, todo.http+string(prefix[1])+"/"+filepath.Base(file.Name()))
		if err != nil {
			return err
		}
		size += more
	}
	p.print(fmt.Sprintf("document and %d assets, compressed", len(files)), float64(size)/1000, maxPageKilobytes, "kB")
	return nil
}

// fetchCompressed returns a body as a browser decodes it, and the bytes that were sent for it.
func fetchCompressed(ctx context.Context, url string) (body []byte, size int, err error) {
	sent, err := fetch(ctx, url, "gzip")
	if err != nil {
		return nil, 0, err
	}
	body, err = fetch(ctx, url, "identity")
	return body, len(sent), err
}

func fetch(ctx context.Context, url, encoding string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", encoding)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
