//go:build unix

package logging

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
)

func TestLogDropsLinesInsteadOfBlockingWhenItsReaderStalls(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	out := &droppingWriter{File: write}
	log := New(out, Config{Format: "json"}, "test")
	const lines = 1000 // far more than a pipe holds, and each longer than a piece
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		part := strings.Repeat("x", 900)
		for n := range lines {
			log.Info("a line", "n", n, "a", part, "b", part, "c", part, "d", part, "e", part)
		}
	}()
	select {
	case <-logged:
	case <-time.After(time.Minute):
		t.Fatal("the caller waits for the reader")
	}
	collected := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(read)
		collected <- all
	}()
	testenv.Eventually(t, "the dropped lines are told of", func() bool {
		log.Info("the reader is back")
		return out.dropped.Load() == 0
	})
	write.Close()
	seen, told := 0, 0
	for text := range strings.Lines(string(<-collected)) {
		var line struct {
			Msg   string
			Lines int
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		told += line.Lines
		if line.Msg == "a line" {
			seen++
		}
	}
	if seen == 0 || told == 0 || seen+told < lines {
		t.Errorf("%d lines came and %d are told of, of %d", seen, told, lines)
	}
}
