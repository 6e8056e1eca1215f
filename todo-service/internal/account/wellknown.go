package account

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxUnexplained is the number of characters of a well-known password that belong to none
// of its parts: the ! of "password2024!".
const maxUnexplained = 2

// isWellKnown reports whether the password, without regard to case, is made of parts that
// attackers try first: common passwords, and runs of equal or neighbouring characters. The
// lists of leaked passwords consist of these at 12 characters and more.
func isWellKnown(password string) bool {
	text := strings.ToLower(password)
	return isRepetition(text) || countUnexplained(text) <= maxUnexplained
}

// isRepetition reports whether text is a shorter text, said at least twice.
func isRepetition(text string) bool {
	// Every rotation by a period finds the text in its double before the second copy.
	return strings.Index((text + text)[1:], text) < len(text)-1
}

// countUnexplained returns how many characters remain when text is cut into parts of
// attackers' dictionaries and single characters, in the best way.
func countUnexplained(text string) int {
	runes := []rune(text)
	fewest := make([]int, len(runes)+1) // of the first i characters
	for i := 1; i <= len(runes); i++ {
		fewest[i] = fewest[i-1] + 1
		for start := max(0, i-maxPart); start < i; start++ {
			if fewest[start] < fewest[i] && isCommonPart(string(runes[start:i])) {
				fewest[i] = fewest[start]
			}
		}
	}
	return fewest[len(runes)]
}

const (
	minRun  = 3  // characters of a run; of two, every text would be full
	maxPart = 40 // characters; the longest sequence has fewer
)

func isCommonPart(part string) bool {
	if commonWords[part] || commonWords[digitsForLetters.Replace(part)] || isYear(part) {
		return true
	}
	if utf8.RuneCountInString(part) < minRun {
		return false
	}
	first, _ := utf8.DecodeRuneInString(part)
	if strings.Trim(part, string(first)) == "" {
		return true
	}
	inside := func(sequence string) bool { return strings.Contains(sequence, part) }
	return slices.ContainsFunc(sequences, inside) || slices.ContainsFunc(reversedSequences, inside)
}

func isYear(part string) bool {
	return len(part) == 4 && (part[:2] == "19" || part[:2] == "20") && strings.Trim(part, "0123456789") == ""
}

// digitsForLetters undoes the usual replacements of letters.
var digitsForLetters = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "@", "a", "$", "s", "!", "i")

// sequences are neighbouring characters: of the alphabet, and of keyboards by rows, by
// columns and from row to row.
var sequences = []string{
	"abcdefghijklmnopqrstuvwxyz", "012345678901234567890", "112233445566778899", "102030405060708090",
	"qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.", "qazwsxedcrfvtgbyhnujm", "1qazxsw23edcvfr45tgbnhy6", "qazxswedcvfrtgbnhyujm",
	"1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "1a2s3d4f5g6h7j8k9l", "a1s2d3f4g5h6j7k8l9", "z1x2c3v4b5n6m7",
	"qweasdzxc", "qwerasdfzxcv", "qwertasdfgzxcvb", "qawsedrftgyhujikolp", "!@#$%^&*()", "147258369", "159753", "4815162342",
}

var reversedSequences = reverseAll(sequences)

func reverseAll(texts []string) []string {
	reversed := make([]string, len(texts))
	for i, text := range texts {
		letters := []byte(text) // the sequences are ASCII
		slices.Reverse(letters)
		reversed[i] = string(letters)
	}
	return reversed
}

// commonWords are the words and names that lead the lists of leaked passwords, and the long
// entries that no other rule finds.
var commonWords = setOf(strings.Fields(`
	password passw0rd passwd passwort contraseña motdepasse pass admin administrator root user guest login master
	welcome letmein changeme changeit default secret test temp demo hello access system server computer internet
	iloveyou ilove love you me trustno princess sunshine monkey dragon shadow superman batman starwars pokemon
	football baseball basketball soccer hockey liverpool chelsea arsenal barcelona manchesterunited
	michael jennifer jessica charlie daniel ashley andrew thomas jordan robert matthew christopher
	summer winter spring autumn january february march april june july august september october november december
	monday tuesday wednesday thursday friday saturday sunday company google facebook linkedin windows samsung iphone
	correcthorsebatterystaple correct horse battery staple thequickbrownfox opensesame donttellanyone
	leavemealone ihatethisgame finalfantasy counterstrike needforspeed mortalkombat residentevil transformers
	jamesbond justinbieber michaeljackson hannahmontana avrillavigne onedirection systemofadown greenlantern
	cookiemonster peanutbutter sonyericsson playstation professional international supernatural whosyourdaddy
	ingodwetrust jesuslovesme iseedeadpeople thecakeisalie minecraft ticketmaster stratocaster sanfrancisco lost 007
`))

func setOf(words []string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, word := range words {
		set[word] = true
	}
	return set
}
