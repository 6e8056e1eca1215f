// Package contentcoding negotiates the compression of responses (RFC 9110, 12.5.3). The
// HTTP handlers of the API's documents and of the page share it.
package contentcoding

import (
	"cmp"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// AcceptsGzip reports whether Accept-Encoding has gzip with a weight above 0.
func AcceptsGzip(header http.Header) bool {
	for wanted := range strings.SplitSeq(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		coding, parameters, err := mime.ParseMediaType(wanted) // a coding with its weight has the same syntax
		if err != nil || coding != "gzip" {
			continue
		}
		weight, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		return err == nil && weight > 0
	}
	return false
}
