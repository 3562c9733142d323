package filter

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Folded text is the form in which text compares without regard to case: each
// rune is replaced by one chosen member of its simple folding orbit. Folding
// rune by rune keeps prefixes, suffixes and substrings what they are.

// settled tells the bytes that stand for themselves both in JSON text and in
// folded text: ASCII but no capital and no backslash.
var settled = func() (t [256]bool) {
	for c := range utf8.RuneSelf {
		t[c] = c != '\\' && (c < 'A' || c > 'Z')
	}
	return t
}()

// isSettled reports whether JSON text equals its folded form byte for byte.
func isSettled(b []byte) bool {
	for _, c := range b {
		if !settled[c] {
			return false
		}
	}
	return true
}

// foldRune returns the lower-case ASCII letter of the orbit if it has one,
// else the orbit's smallest rune.
func foldRune(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf:
		return r
	case 0x2E80 <= r && r < 0xA640, 0xAC00 <= r && r < 0xD800:
		return r // East Asian scripts have no case; skip the table search.
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	if 'A' <= least && least <= 'Z' { // The Kelvin sign and the long s.
		least += 'a' - 'A'
	}
	return least
}

// appendFold appends the folded form of text. Bytes that are not UTF-8 become
// U+FFFD, as they do when JSON is decoded.
func appendFold[S string | []byte](dst []byte, s S) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		dst = utf8.AppendRune(dst, foldRune(r))
		i += n
	}
	return dst
}

func fold(s string) string { return string(appendFold(nil, s)) }

// appendText appends the text of a JSON string, given without its quotes,
// folded if wanted. Lone surrogates and bytes that are not UTF-8 become U+FFFD.
func appendText(dst, raw []byte, folded bool) []byte {
	for i := 0; i < len(raw); {
		r, n := rune(raw[i]), 1
		switch {
		case r == '\\':
			r, n = unescape(raw[i:])
		case r >= utf8.RuneSelf:
			r, n = utf8.DecodeRune(raw[i:])
		}
		if folded {
			r = foldRune(r)
		}
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

// unescape reads the JSON escape that b starts with and returns its length.
func unescape(b []byte) (rune, int) {
	if len(b) < 2 {
		return utf8.RuneError, len(b)
	}
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hex4(b)
		if !utf16.IsSurrogate(r) {
			return r, min(6, len(b))
		}
		if pair := utf16.DecodeRune(r, hex4(b[min(6, len(b)):])); pair != utf8.RuneError {
			return pair, 12
		}
		return utf8.RuneError, min(6, len(b))
	}
	return rune(b[1]), 2
}

// hex4 returns the code unit of \uXXXX at the start of b, or U+FFFD.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return utf8.RuneError
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return utf8.RuneError
		}
		r = r<<4 | rune(c)
	}
	return r
}
