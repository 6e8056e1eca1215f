package task

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizeNFC returns text in Unicode NFC, in which titles are stored and compared:
// titles that look the same are then equal.
func normalizeNFC(text string) string { return norm.NFC.String(text) }

// normalizeTitle returns the title as it is stored, in NFC and trimmed, or the problem of
// an invalid title.
func normalizeTitle(title string) (normalized, problem string) {
	if !utf8.ValidString(title) {
		return "", "must be valid UTF-8"
	}
	normalized = strings.TrimSpace(normalizeNFC(title))
	switch length := utf8.RuneCountInString(normalized); {
	case length == 0:
		return "", "must not be empty"
	case length > MaxTitle:
		return "", fmt.Sprintf("must have at most %d characters, has %d", MaxTitle, length)
	case strings.ContainsFunc(normalized, unicode.IsControl):
		return "", "must not contain control characters"
	case !strings.ContainsFunc(normalized, isVisible):
		return "", "must contain a visible character"
	}
	return normalized, ""
}

// blankRunes are letters and symbols that are drawn as blank space.
var blankRunes = []rune{
	'\u2800',     // Braille pattern blank
	'\U00013441', // Egyptian hieroglyph full blank
	'\U00013442', // Egyptian hieroglyph half blank
	'\U0001d159', // musical symbol null notehead
}

// isVisible reports whether r alone is visible to a reader. Unassigned code points count
// as visible: a later Unicode version may make them emoji.
func isVisible(r rune) bool {
	switch {
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return true // format characters that are drawn, such as U+0600
	case unicode.In(r, unicode.Cf, unicode.M, unicode.White_Space):
		return false
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point):
		return false
	}
	return !slices.Contains(blankRunes, r)
}
