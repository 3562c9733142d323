package event

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text is a JSON string as written, quotes included, that skipString accepted.
// The zero text is no string at all.
type text struct {
	raw     []byte
	escaped bool
}

// plain returns what stands between the quotes, escapes unresolved.
func (t text) plain() []byte { return t.raw[1 : len(t.raw)-1] }

// decoded returns the string's characters: a slice of the text itself where
// nothing is escaped, else a fresh one. ok is false when an escape names half
// of a surrogate pair, which no UTF-8 can express.
func (t text) decoded() (b []byte, ok bool) {
	if !t.escaped {
		return t.plain(), true
	}
	return unescape(make([]byte, 0, len(t.raw)), t.plain())
}

// unescape appends the characters of a validated JSON string to dst.
func unescape(dst, s []byte) (_ []byte, ok bool) {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		switch c := s[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				if i+6 > len(s) || s[i] != '\\' || s[i+1] != 'u' {
					return dst, false
				}
				if r = utf16.DecodeRune(r, hex4(s[i+2:])); r == utf8.RuneError {
					return dst, false
				}
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default: // a quote, a backslash or a slash stands for itself
			dst = append(dst, c)
		}
		i += 2
	}
	return dst, true
}

// hex4 reads four hexadecimal digits.
func hex4(s []byte) (r rune) {
	for _, c := range s[:4] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}
