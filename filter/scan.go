package filter

import "bytes"

// The functions here walk JSON that is known to be valid. On anything else
// they end somewhere within the bytes, without a panic and in linear time, but
// where is unspecified.

type kind uint8

const (
	absent kind = iota
	null
	boolean
	numeric
	text
	array
	object
)

// kindOf tells the kind of the value that starts with c. For a byte that
// starts no value it is absent.
func kindOf(c byte) kind {
	switch c {
	case '"':
		return text
	case '{':
		return object
	case '[':
		return array
	case 't', 'f':
		return boolean
	case 'n':
		return null
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return numeric
	}
	return absent
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string whose opening quote is at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		quote := i + n
		slash := quote
		for slash > i && b[slash-1] == '\\' {
			slash--
		}
		i = quote + 1
		if (quote-slash)%2 == 0 { // An odd number of backslashes escapes the quote.
			return i
		}
	}
	return len(b)
}

// skipValue returns the index behind the value that starts at i. It needs no
// stack, however deep the value is nested.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; i < len(b); {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(b)
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// skipName returns the index behind the member name whose opening quote is at
// i, and whether its text stands there literally and in ASCII.
func skipName(b []byte, i int) (end int, literal bool) {
	literal = true
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, literal
		case c == '\\':
			literal = false
			i++
		case c >= 0x80:
			literal = false
		}
	}
	return len(b), literal
}

// trimQuotes returns what stands between the quotes of a JSON string.
func trimQuotes(b []byte) []byte {
	if len(b) < 2 {
		return nil
	}
	return b[1 : len(b)-1]
}
