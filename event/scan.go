package event

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// maxDepth is how deeply arrays and objects may nest, counted from the body's
// outermost one. It equals jsontext's, so that whatever is accepted here can
// be read again by the filters.
const maxDepth = 10000

// syntaxError says why text is not JSON. Offset counts bytes of the text that
// was scanned.
type syntaxError struct {
	offset int
	what   string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.what, e.offset) }

// unexpected describes the byte at i where want should have been.
func unexpected(b []byte, i int, want string) *syntaxError {
	if i >= len(b) {
		return &syntaxError{len(b), "unexpected end of input, expected " + want}
	}
	return &syntaxError{i, fmt.Sprintf("unexpected %q, expected %s", rune(b[i]), want)}
}

// The functions below validate JSON (RFC 8259) and find where things end. They
// take the text and the position to start at, and return the position behind
// what they read. The caller has checked that the text is valid UTF-8, so that
// a string only needs to be searched for its end, for escapes and for control
// characters. They allocate nothing unless the text is wrong.

// skipSpace returns the position of the next byte that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue reads one value that starts at i, without white space before it.
// depth is how many arrays and objects are open around it.
func skipValue(b []byte, i, depth int) (int, *syntaxError) {
	if i >= len(b) {
		return i, unexpected(b, i, "a value")
	}
	switch c := b[i]; {
	case c == '"':
		end, _, err := skipString(b, i)
		return end, err
	case c == '{':
		return skipObject(b, i, depth)
	case c == '[':
		return skipArray(b, i, depth)
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(b, i)
	case c == 't':
		return skipLiteral(b, i, "true")
	case c == 'f':
		return skipLiteral(b, i, "false")
	case c == 'n':
		return skipLiteral(b, i, "null")
	}
	return i, unexpected(b, i, "a value")
}

func skipObject(b []byte, i, depth int) (int, *syntaxError) {
	if depth >= maxDepth {
		return i, &syntaxError{i, "nested too deeply"}
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		var err *syntaxError
		if i, _, err = skipName(b, i); err != nil {
			return i, err
		}
		if i, err = skipValue(b, i, depth+1); err != nil {
			return i, err
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			return i + 1, nil
		default:
			return i, unexpected(b, i, "',' or '}'")
		}
	}
}

func skipArray(b []byte, i, depth int) (int, *syntaxError) {
	if depth >= maxDepth {
		return i, &syntaxError{i, "nested too deeply"}
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err *syntaxError
		if i, err = skipValue(b, i, depth+1); err != nil {
			return i, err
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		default:
			return i, unexpected(b, i, "',' or ']'")
		}
	}
}

// skipName reads a member name with its colon and the white space behind it,
// and returns where the member's value starts and the name as written, with
// its quotes.
func skipName(b []byte, i int) (value int, name text, err *syntaxError) {
	if i >= len(b) || b[i] != '"' {
		return i, text{}, unexpected(b, i, "a property name in quotes")
	}
	end, escaped, err := skipString(b, i)
	if err != nil {
		return end, text{}, err
	}
	name = text{raw: b[i:end], escaped: escaped}
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return i, text{}, unexpected(b, i, "':'")
	}
	return skipSpace(b, i+1), name, nil
}

// skipMember is skipValue for a member whose text may be needed: it also says
// whether a string contains a backslash.
func skipMember(b []byte, i, depth int) (end int, escaped bool, err *syntaxError) {
	if i < len(b) && b[i] == '"' {
		return skipString(b, i)
	}
	end, err = skipValue(b, i, depth)
	return end, false, err
}

// Eight bytes at a time: each constant repeats one byte.
const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	quotes = ones * '"'
	slants = ones * '\\'
	blanks = ones * ' '
)

// special marks, in the high bit of a byte, each byte of w that ends the plain
// run of a string: a quote, a backslash, a control character. Only the lowest
// mark is exact (a borrow may set marks above it), and only that one is used.
func special(w uint64) uint64 {
	q, s := w^quotes, w^slants
	return ((q-ones)&^q | (s-ones)&^s | (w-blanks)&^w) & highs
}

// skipString reads the string whose opening quote is at i. escaped says
// whether it contains a backslash.
func skipString(b []byte, i int) (end int, escaped bool, err *syntaxError) {
	i++
	for {
		for i+8 <= len(b) {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return i, escaped, unexpected(b, i, "'\"' at the end of a string")
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			if i, err = skipEscape(b, i); err != nil {
				return i, escaped, err
			}
		case c < ' ':
			return i, escaped, &syntaxError{i, fmt.Sprintf("unescaped control character %q in a string", rune(c))}
		default: // the last bytes of b
			i++
		}
	}
}

// skipEscape reads the escape sequence whose backslash is at i.
func skipEscape(b []byte, i int) (int, *syntaxError) {
	if i+1 >= len(b) {
		return i + 1, unexpected(b, i+1, "the rest of an escape sequence")
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(b) || !isHex(b[j]) {
				return j, unexpected(b, j, "four hexadecimal digits behind \\u")
			}
		}
		return i + 6, nil
	}
	return i + 1, &syntaxError{i, fmt.Sprintf("unknown escape sequence \\%c", rune(b[i+1]))}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func skipNumber(b []byte, i int) (int, *syntaxError) {
	if b[i] == '-' {
		i++
	}
	var err *syntaxError
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		if i, err = skipDigits(b, i); err != nil {
			return i, err
		}
	}
	if i < len(b) && b[i] == '.' {
		if i, err = skipDigits(b, i+1); err != nil {
			return i, err
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i, err = skipDigits(b, i); err != nil {
			return i, err
		}
	}
	return i, nil
}

// skipDigits reads one digit or more.
func skipDigits(b []byte, i int) (int, *syntaxError) {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return i, unexpected(b, i, "a digit")
	}
	return i, nil
}

func skipLiteral(b []byte, i int, lit string) (int, *syntaxError) {
	if len(b)-i < len(lit) || string(b[i:i+len(lit)]) != lit {
		return i, unexpected(b, i, lit)
	}
	return i + len(lit), nil
}
