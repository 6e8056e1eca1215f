package task

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizeNFC returns text in NFC, the form in which titles are kept and compared: what
// looks the same to its reader is then the same text.
func normalizeNFC(text string) string { return norm.NFC.String(text) }

// normalizeTitle returns title as it is kept, in NFC and without white space around it, or
// what is wrong with it.
func normalizeTitle(title string) (kept, problem string) {
	if !utf8.ValidString(title) {
		return "", "must be valid UTF-8"
	}
	kept = strings.TrimSpace(normalizeNFC(title))
	switch length := utf8.RuneCountInString(kept); {
	case length == 0:
		return "", "must not be empty"
	case length > MaxTitle:
		return "", fmt.Sprintf("must have at most %d characters, has %d", MaxTitle, length)
	case strings.ContainsFunc(kept, unicode.IsControl):
		return "", "must not contain control characters"
	case !strings.ContainsFunc(kept, isVisible):
		return "", "must contain something visible"
	}
	return kept, ""
}

// blankRunes are letters and symbols that have a width and no ink.
var blankRunes = []rune{
	'\u2800',     // Braille pattern blank
	'\U00013441', // Egyptian hieroglyph full blank
	'\U00013442', // Egyptian hieroglyph half blank
	'\U0001d159', // musical symbol null notehead
}

// isVisible reports whether a reader sees something of r where it stands alone.
// Characters that are not assigned yet count as visible: they may be next year's emoji.
func isVisible(r rune) bool {
	switch {
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return true // the format characters that are drawn, such as U+0600
	case unicode.In(r, unicode.Cf, unicode.M, unicode.White_Space):
		return false
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point):
		return false
	}
	return !slices.Contains(blankRunes, r)
}
