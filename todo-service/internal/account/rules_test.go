package account

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	local := strings.Repeat("l", 64) + "@"
	for given, want := range map[string]string{
		"ann@example.com":                  "ann@example.com",
		" \tAnn.B+todo@Example.COM \r\n":   "ann.b+todo@example.com",
		"STRASSE@example.com":              "strasse@example.com",
		"straße@example.com":               "strasse@example.com",
		"ΣΊΣΥΦΟΣ@example.com":              "σίσυφοσ@example.com",
		"cafe\u0301@example.com":           "caf\u00e9@example.com",
		"ann@localhost":                    "ann@localhost",
		local + strings.Repeat("d", 189):   local + strings.Repeat("d", 189), // 254 bytes
		local + strings.Repeat("d", 190):   "",
		"l" + local + "example.com":        "",
		"":                                 "",
		" ":                                "",
		"ann":                              "",
		"@example.com":                     "",
		"ann@":                             "",
		"ann@bob@example.com":              "",
		"Ann <ann@example.com>":            "",
		"ann@example.com, bob@example.com": "",
		`"ann b"@example.com`:              "",
		"ann b@example.com":                "",
		"ann@[192.0.2.7]":                  "",
		"ann@example..com":                 "",
		"ann\x00@example.com":              "",
		"ann\u202e@example.com":            "",
		"ann\xff@example.com":              "",
		"ann@example.com\nbob":             "",
	} {
		got, err := NormalizeEmail(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", given, got, err, want)
		}
	}
}

func FuzzNormalizeEmailIsStable(f *testing.F) {
	for _, seed := range []string{"Ann@Example.com", "straße@x", "ΐ@x", "a@\u1e9e", "\u0345a@b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := NormalizeEmail(text)
		if err != nil {
			return
		}
		twice, err := NormalizeEmail(once)
		if err != nil || twice != once || len(once) > maxEmail || !utf8.ValidString(once) {
			t.Errorf("%q becomes %q, and then %q, %v", text, once, twice, err)
		}
	})
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for password, valid := range map[string]bool{
		"twelve chars":                       true,
		"eleven char":                        false,
		strings.Repeat("ab1?", 2) + "xyzQ":   true,
		"\u00e9l\u00e8ve \u00e0 l'":          false, // 10 characters
		"cafe\u0301 cafe\u0301":              false, // 9 characters in NFC
		"kühle Nächte":                       true,
		"пароль из кота":                     true,
		"🐘 in 🐘 by 🐘 on":                     true,
		strings.Repeat("Zk7 ", 31) + "Zk7!":  true,  // 128 characters
		strings.Repeat("Zk7 ", 31) + "Zk7!!": false, // 129
		"one tab\tand NUL\x00":               false,
		"one tab\tand more":                  true,
		"invalid \xff UTF-8":                 false,
		"":                                   false,
		"correct pony battery on a bicycle":  true,
		"correcthorsebatterystaple":          false,
		"thequickbrownfox":                   false,
		"mypianohasgonequiet":                true,
		"passwordpassword":                   false,
		"PASSWORD2024!":                      false,
		"P@ssw0rd1234":                       false,
		"administrator1":                     false,
		"qwertyuiop12":                       false,
		"1qaz2wsx3edc":                       false,
		"1q2w3e4r5t6y":                       false,
		"qweasdzxc123":                       false,
		"zaq1xsw2cde3":                       false,
		"123456789012":                       false,
		"987654321098":                       false,
		"aaaaaaaaaaaa":                       false,
		"aaaabbbbcccc":                       false,
		"121212121212":                       false,
		"abcabcabcabc":                       false,
		"Liverpool2019":                      false,
		"FinalFantasy7":                      false,
		"july1969monday":                     false,
		"gv7!Rk02_qLmw":                      true,
	} {
		normalized, err := normalizePassword(password)
		if (err == nil) != valid {
			t.Errorf("%q: %v, want valid %t", password, err, valid)
		}
		if err != nil && password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("%q is in its error %v", password, err)
		}
		if valid && normalized != password {
			t.Errorf("%q is stored as %q", password, normalized)
		}
	}
}

// Passwords of 12 characters and more from the lists of leaked ones, each of another kind.
func TestPasswordsOfLeakedListsAreWellKnown(t *testing.T) {
	t.Parallel()
	for _, password := range strings.Fields(`
		000000000000 010203040506 1111111111zz 112233445566 123123qweqwe 123321123321 123456654321 12345678900987654321
		1234567890qwerty 123456789abc 123456qwerty 1234qwerasdf 123qwe123qwe 12345678987654321 1qazxsw23edc 1a2s3d4f5g6h
		abc123456789 asdfgh123456 asdfghjkl123 christopher1 iloveyou1234 jamesbond007 justinbieber liverpool123 linkedin2011
		leavemealone lost4815162342 michaeljackson needforspeed password1234 playstation3 q1w2e3r4t5y6 qazwsxedcrfv qazxswedcvfr
		qwerasdfzxcv qwerty123456789 qwertyqwerty qwertyuiop123 qwertyytrewq transformers whosyourdaddy z1x2c3v4b5n6m7 zxcvbn123456
	`) {
		if !isWellKnown(password) {
			t.Errorf("%q is not recognised", password)
		}
	}
}
