package web_test

import (
	"fmt"
	"net/http"
	"testing"

	"example.com/todo/todo-service/internal/task"
)

// The document of a full page; the queries of a database come on top.
func BenchmarkDocument(b *testing.B) {
	f := newFixture()
	for i := range task.MaxLimit {
		f.create(b, fmt.Sprintf("Task number %d, & some more text", i), i%100)
	}
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got := f.request(http.MethodGet, "/", "Accept-Encoding", encoding)
				b.ReportMetric(float64(len(got.Body)), "bytes")
			}
		})
	}
}
