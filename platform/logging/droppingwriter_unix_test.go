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
	const lines = 1000 // far more than a pipe buffers, and each longer than maxPiece
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
		t.Fatal("the caller is blocked by the reader")
	}
	collected := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(read)
		collected <- all
	}()
	testenv.Eventually(t, "the dropped lines are reported", func() bool {
		log.Info("the reader is back")
		return out.dropped.Load() == 0
	})
	write.Close()
	written, dropped := 0, 0
	for text := range strings.Lines(string(<-collected)) {
		var line struct {
			Msg   string
			Lines int
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		dropped += line.Lines
		if line.Msg == "a line" {
			written++
		}
	}
	if written == 0 || dropped == 0 || written+dropped < lines {
		t.Errorf("of %d lines %d were written and %d reported as dropped", lines, written, dropped)
	}
}
