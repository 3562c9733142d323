package odata

import (
	"errors"
	"strings"
)

// tokens splits a filter into words, parentheses, commas and quoted strings;
// those keep their opening quote, and a doubled quote inside stands for one.
func tokens(s string) (out []string, err error) {
	for i := 0; i < len(s); {
		switch s[i] {
		case ' ', '\t':
			i++
		case '(', ')', ',':
			out = append(out, s[i:i+1])
			i++
		case '\'':
			text, after, ok := quotedText(s[i+1:])
			if !ok {
				return nil, errors.New("a quote is not closed")
			}
			out = append(out, "'"+text)
			i = len(s) - len(after)
		default:
			end := i + strings.IndexAny(s[i:], " \t(),'")
			if end < i {
				end = len(s)
			}
			out = append(out, s[i:end])
			i = end
		}
	}
	return out, nil
}

// quotedText reads up to the closing quote and returns what follows it.
func quotedText(s string) (text, after string, ok bool) {
	var b strings.Builder
	for {
		part, rest, found := strings.Cut(s, "'")
		b.WriteString(part)
		if !found {
			return "", "", false
		}
		if !strings.HasPrefix(rest, "'") {
			return b.String(), rest, true
		}
		b.WriteByte('\'')
		s = rest[1:]
	}
}
