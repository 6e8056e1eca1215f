package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/platform/httpserver"
)

// expectedVersions parses If-Match into the versions that the task may have; nil allows
// every version. Weak tags and tags that are not a version match no task.
func expectedVersions(header http.Header) ([]int64, error) {
	values := header.Values("If-Match")
	if len(values) == 0 {
		return nil, nil
	}
	list := strings.Join(values, ",")
	if strings.Trim(list, " \t") == "*" {
		return nil, nil
	}
	tags, ok := parseEntityTags(list)
	if !ok {
		return nil, httpserver.StatusError(http.StatusBadRequest, `If-Match must be * or a list of entity tags in double quotes, such as "3"`)
	}
	versions := []int64{}
	for _, tag := range tags {
		if version, ok := parseVersionETag(tag); ok {
			versions = append(versions, version)
		}
	}
	return versions, nil
}

// matchesIfNoneMatch reports whether If-None-Match has the tag, by weak comparison (RFC
// 9110, 13.1.2). A malformed header does not match: a full response is always correct.
func matchesIfNoneMatch(r *http.Request, tag string) bool {
	values := r.Header["If-None-Match"]
	if len(values) == 0 {
		return false
	}
	list := strings.Join(values, ",")
	if strings.Trim(list, " \t") == "*" {
		return true
	}
	tags, ok := parseEntityTags(list)
	return ok && slices.ContainsFunc(tags, func(t string) bool { return strings.TrimPrefix(t, "W/") == tag })
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

// parseEntityTags splits a list of entity tags (RFC 9110, 8.8.3); weak ones keep their
// prefix. It skips empty entries, and needs at least one tag.
func parseEntityTags(list string) (tags []string, ok bool) {
	for {
		list = strings.TrimLeft(list, ", \t")
		if list == "" {
			return tags, len(tags) > 0
		}
		end := entityTagLength(list)
		if end < 0 {
			return nil, false
		}
		tags = append(tags, list[:end])
		list = strings.TrimLeft(list[end:], " \t")
		if list != "" && list[0] != ',' {
			return nil, false
		}
	}
}

// entityTagLength returns the length of the entity tag at the start of s, or -1.
func entityTagLength(s string) int {
	start := len(s) - len(strings.TrimPrefix(s, "W/"))
	if start == len(s) || s[start] != '"' {
		return -1
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c <= ' ' || c == 0x7f:
			return -1
		}
	}
	return -1
}

// parseVersionETag is the inverse of versionETag.
func parseVersionETag(tag string) (int64, bool) {
	version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
	return version, err == nil && tag == versionETag(version)
}
