package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/platform/httpserver"
)

// expectedVersions parses If-Match into the versions that the task may have; nil allows
// every version. Weak tags and tags that are not a version match no task.
func expectedVersions(header http.Header) ([]int64, error) {
	list, given := joinHeader(header, "If-Match")
	if !given || list == "*" {
		return nil, nil
	}
	if !entityTagList.MatchString(list) {
		return nil, httpserver.StatusError(http.StatusBadRequest, `If-Match must be * or a list of entity tags in double quotes, such as "3"`)
	}
	versions := []int64{}
	for _, tag := range entityTag.FindAllString(list, -1) {
		if version, err := parseNumber(strings.Trim(tag, `"`)); err == nil {
			versions = append(versions, version)
		}
	}
	return versions, nil
}

// matchesIfNoneMatch reports whether If-None-Match has the tag, by weak comparison (RFC
// 9110, 13.1.2). A malformed header does not match: a full response is always correct.
func matchesIfNoneMatch(header http.Header, tag string) bool {
	list, given := joinHeader(header, "If-None-Match")
	if !given || list == "*" {
		return given
	}
	return entityTagList.MatchString(list) && slices.ContainsFunc(entityTag.FindAllString(list, -1), func(t string) bool {
		return strings.TrimPrefix(t, "W/") == tag
	})
}

// entityTag and entityTagList match what RFC 9110, 8.8.3 and 13.1, defines. Entries of the
// list may be empty, but not all of them.
var (
	entityTag     = regexp.MustCompile(`(?:W/)?"[^"\x00-\x20\x7f]*"`)
	entityTagList = regexp.MustCompile(`^(?:[ \t,]*` + entityTag.String() + `[ \t]*(?:,|$))+[ \t,]*$`)
)

// joinHeader returns the lines of a header as one list, and whether there is any.
func joinHeader(header http.Header, name string) (list string, given bool) {
	lines := header[name]
	return strings.Trim(strings.Join(lines, ","), " \t"), len(lines) > 0
}

// versionETag returns the strong entity tag of a task.
func versionETag(version int64) string {
	return `"` + strconv.FormatInt(version, 10) + `"`
}

// bodyETag returns a strong entity tag: a hash of the body, the same on every replica.
func bodyETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}
