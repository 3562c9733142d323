package cluster

import (
	"fmt"
	"strconv"
	"strings"
)

// subjectOf turns a key into a subject, and keyOf back: a token for each segment,
// every byte that NATS or its tools could take amiss written as =XX. Keys that
// begin with a slash, as those of resources do, lose it and stand under "r".
func subjectOf(key string) string {
	var b strings.Builder
	b.WriteString(stateSubject)
	rest, rooted := strings.CutPrefix(key, "/")
	b.WriteString(map[bool]string{true: "r.", false: "k."}[rooted])
	if rest == "" {
		b.WriteByte('=') // a token must not be empty
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '/' && i > 0 && rest[i-1] != '/' && i+1 < len(rest):
			b.WriteByte('.')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func keyOf(subject string) (string, error) {
	rest, ok := strings.CutPrefix(subject, stateSubject)
	if !ok || len(rest) < 3 || rest[1] != '.' {
		return "", fmt.Errorf("subject %s is of no key", subject)
	}
	var b strings.Builder
	if rest[0] == 'r' {
		b.WriteByte('/')
	}
	rest = rest[2:]
	if rest == "=" {
		return b.String(), nil
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '.':
			b.WriteByte('/')
		case '=':
			if i+2 >= len(rest) {
				return "", fmt.Errorf("subject %s is cut off", subject)
			}
			v, err := strconv.ParseUint(rest[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("subject %s: %w", subject, err)
			}
			b.WriteByte(byte(v))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}
