// Package printable makes text that others wrote safe to print: on a terminal, in
// a log, in a JSON document that a person reads.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxCharacters is the size of an Excerpt. The longest title of a task, 500
// characters, fits with the sentence around it.
const MaxCharacters = 1024

// Escape returns text with an escape, such as \x1b, \n or \u202e, in place of each
// character that a reader would not see, or that would act on a terminal: control
// and format characters, line and paragraph separators, bytes that are no UTF-8.
// All other text stays to the letter, backslashes included. That holds for every
// script and for emoji: a joiner (U+200C, U+200D) or a variation selector stays
// where writing needs it, within a word of a joining script or an emoji.
func Escape(text string) string {
	if isPlain(text) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if isVisible(text, i, r, size) {
			out.WriteString(text[i : i+size])
		} else {
			out.WriteString(escapeSequence(text[i], r, size))
		}
		i += size
	}
	return out.String()
}

// EscapeLines is Text that keeps line breaks and tabs. It is for text that has lines of its
// own, such as the settings that are wrong, one a line, or a stack trace.
func EscapeLines(text string) string {
	if isPlain(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		i := strings.IndexAny(text, "\n\t")
		if i < 0 {
			i = len(text)
		}
		out.WriteString(Escape(text[:i]))
		next := min(i+1, len(text))
		out.WriteString(text[i:next])
		text = text[next:]
	}
	return out.String()
}

// Excerpt returns Text of what Shorten leaves of text within Characters: one line
// of a bounded length.
func Excerpt(text string) string { return Escape(Truncate(text, MaxCharacters)) }

// Truncate returns text, or, when its Text has more than most characters, the
// beginning and the end of it and between them how many bytes are left out. That
// is about as long as most. The end is kept because the cause of an error is there.
func Truncate(text string, maxCharacters int) string {
	if len(text) <= maxCharacters && isPlain(text) {
		return text
	}
	total, head := 0, 0
	for i := 0; i < len(text); {
		width, size := escapedWidth(text, i)
		total += width
		i += size
		if total <= maxCharacters*7/8 {
			head = i
		}
		if total > maxCharacters {
			return text[:head] + elide(text[head:], maxCharacters/8)
		}
	}
	return text
}

// elide returns the end of rest, of at most so many characters, after how much
// of rest comes before it.
func elide(rest string, most int) string {
	tail := len(rest)
	for width := 0; tail > 0; {
		_, size := utf8.DecodeLastRuneInString(rest[:tail])
		w, _ := escapedWidth(rest, tail-size)
		if width += w; width > most {
			break
		}
		tail -= size
	}
	return fmt.Sprintf("…[%d bytes left out]…%s", tail, rest[tail:])
}

// escapedWidth returns how many characters of Text the character at i becomes, and its
// size in bytes.
func escapedWidth(text string, i int) (width, size int) {
	r, size := utf8.DecodeRuneInString(text[i:])
	if isVisible(text, i, r, size) {
		return 1, size
	}
	return len(escapeSequence(text[i], r, size)), size
}

// EscapeJSON returns a JSON document with \uXXXX in place of each character that Text
// escapes, which means the same to every reader of JSON. Line breaks and tabs
// between its tokens stay. It may return document itself.
func EscapeJSON(document []byte) []byte {
	if isASCII(document) { // JSON itself takes no control character within a string
		return document
	}
	text := string(document)
	out := make([]byte, 0, len(text)+len(text)/8)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n', r == '\r', r == '\t', isVisible(text, i, r, size):
			out = append(out, text[i:i+size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}

// isPlain says whether text is visible ASCII alone, as nearly all is.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// isASCII says whether document has neither DEL nor a character beyond ASCII.
func isASCII(document []byte) bool {
	for _, c := range document {
		if c > '~' {
			return false
		}
	}
	return true
}

func escapeSequence(first byte, r rune, size int) string {
	if r == utf8.RuneError && size <= 1 {
		return fmt.Sprintf(`\x%02x`, first)
	}
	return strings.Trim(strconv.QuoteRuneToASCII(r), "'")
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	// firstJoiningScript is the lowest character beside which a joiner is of use. The Latin,
	// Greek, Cyrillic and Armenian scripts, before it, do not join their letters; there
	// a joiner only makes two words that look the same.
	firstJoiningScript = '\u0590'
)

// isVisible says whether the character r of text, which is at i and has so many
// bytes, can be seen for what it is.
func isVisible(text string, i int, r rune, size int) bool {
	switch {
	case r < utf8.RuneSelf:
		return ' ' <= r && r <= '~'
	case r == utf8.RuneError && size <= 1:
		return false
	case r == nonJoiner, r == joiner:
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+size:])
		return isJoinable(before) && isJoinable(after)
	case unicode.Is(unicode.Variation_Selector, r):
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		return i > 0 && unicode.IsGraphic(before) && !unicode.IsSpace(before) && !unicode.Is(unicode.Variation_Selector, before)
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r): // letters by name, such as U+3164, that show nothing
		return false
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // format characters by name, such as U+0600, that are seen
		return true
	}
	return unicode.IsGraphic(r)
}

func isJoinable(r rune) bool {
	return r >= firstJoiningScript && r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
