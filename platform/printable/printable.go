// Package printable implements output sanitizing against terminal escape injection and
// log injection: it makes untrusted text safe for terminals, logs and JSON documents.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxCharacters is the maximal length of an Excerpt, without its note on what is omitted.
// The longest client input in a message, 500 characters, fits with the sentence around it.
const MaxCharacters = 1024

// Escape returns text with an escape sequence, such as \x1b, \n or \u202e, for each
// character that is invisible or controls a terminal: control and format characters,
// line and paragraph separators, and bytes that are not UTF-8. All other characters are
// unchanged, backslashes included. Joiners (U+200C, U+200D) and variation selectors are
// unchanged where a joining script or an emoji needs them.
func Escape(text string) string { return escape(text, "", quoteCharacter) }

// EscapeLines is Escape, except that line breaks and tabs are unchanged. It is for text of
// several lines, such as a list of invalid settings or a stack trace.
func EscapeLines(text string) string { return escape(text, "\n\t", quoteCharacter) }

// EscapeJSON returns a JSON document that is equal to document and has \uXXXX for each
// character that Escape replaces. Line breaks and tabs between tokens are unchanged. The
// result may be document itself.
func EscapeJSON(document []byte) []byte {
	// JSON has no control characters within strings, so ASCII without DEL is printable.
	if isPlain(document, 0) {
		return document
	}
	return []byte(escape(string(document), "\n\r\t", quoteJSONCharacter))
}

func escape(text, unchanged string, quote func(character string) string) string {
	if isPlain(text, ' ') {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		visible, size := isVisible(text, i)
		character := text[i : i+size]
		if !visible && !strings.Contains(unchanged, character) {
			character = quote(character)
		}
		out.WriteString(character)
		i += size
	}
	return out.String()
}

func quoteCharacter(character string) string {
	return strings.Trim(strconv.QuoteToASCII(character), `"`)
}

func quoteJSONCharacter(character string) (quoted string) {
	for _, unit := range utf16.Encode([]rune(character)) {
		quoted += fmt.Sprintf(`\u%04x`, unit)
	}
	return quoted
}

// Excerpt truncates text to MaxCharacters and escapes it: the result is one line of
// bounded length.
func Excerpt(text string) string { return Escape(Truncate(text, MaxCharacters)) }

// Truncate returns text, or, when its escaped form has more than maxCharacters, its
// beginning and end with the number of omitted bytes between them. The escaped form of
// the result has about maxCharacters.
func Truncate(text string, maxCharacters int) string {
	if len(text) <= maxCharacters && isPlain(text, ' ') || prefixLength(text, maxCharacters) == len(text) {
		return text
	}
	head, tail := prefixLength(text, maxCharacters*7/8), len(text)
	// The cause of an error is at its end.
	for left := maxCharacters / 8; ; {
		_, size := utf8.DecodeLastRuneInString(text[:tail])
		width, _ := escapedWidth(text, tail-size)
		if left -= width; left < 0 {
			break
		}
		tail -= size
	}
	return fmt.Sprintf("%s…[%d bytes left out]…%s", text[:head], tail-head, text[tail:])
}

// prefixLength returns the size in bytes of the longest beginning of text whose escaped
// form has at most maxCharacters.
func prefixLength(text string, maxCharacters int) (length int) {
	for length < len(text) {
		width, size := escapedWidth(text, length)
		if maxCharacters -= width; maxCharacters < 0 {
			break
		}
		length += size
	}
	return length
}

// escapedWidth returns the number of characters that Escape writes for the character at
// i, and its size in bytes.
func escapedWidth(text string, i int) (width, size int) {
	visible, size := isVisible(text, i)
	if visible {
		return 1, size
	}
	return len(quoteCharacter(text[i : i+size])), size
}

// isPlain reports whether all bytes of text are from first to the last printable one of
// ASCII. It is the fast path.
func isPlain[T string | []byte](text T, first byte) bool {
	for i := range len(text) {
		if text[i] < first || text[i] > '~' {
			return false
		}
	}
	return true
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	// firstJoiningScript is the first code point of the scripts that join letters. In the
	// Latin, Greek, Cyrillic and Armenian scripts before it a joiner is invisible: it only
	// makes different words look equal.
	firstJoiningScript = '\u0590'
)

// isVisible reports whether a reader can see the character at i, and its size in bytes.
func isVisible(text string, i int) (visible bool, size int) {
	r, size := utf8.DecodeRuneInString(text[i:])
	switch {
	case r < utf8.RuneSelf:
		return ' ' <= r && r <= '~', size
	case r == utf8.RuneError && size == 1: // not UTF-8
		return false, size
	case r == nonJoiner, r == joiner:
		before, width := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+size:])
		if min(before, after) < firstJoiningScript || !hasGlyph(before) || !hasGlyph(after) || unicode.Is(unicode.Variation_Selector, after) {
			return false, size
		}
		// The joiner of an emoji may follow a selector, which is visible itself then.
		visible, _ = isVisible(text, i-width)
		return visible, size
	case unicode.Is(unicode.Variation_Selector, r):
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		return hasGlyph(before) && !unicode.Is(unicode.Variation_Selector, before), size
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // format characters that are rendered, such as U+0600
		return true, size
	}
	return unicode.IsGraphic(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), size
}

// hasGlyph reports whether r is rendered as more than nothing. Some letters, such as
// U+3164, are not.
func hasGlyph(r rune) bool {
	return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
