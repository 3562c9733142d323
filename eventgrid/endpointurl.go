package eventgrid

import (
	"fmt"
	"strings"
)

// escapeURL escapes what no request line can hold in the path and the query of
// an endpoint's URL, as .NET does when it sends to a URL that somebody typed.
// What is escaped already stays as it is. Control characters are left for the
// check that refuses them.
func escapeURL(raw string) string {
	raw = strings.Trim(raw, " ")
	_, rest, _ := strings.Cut(raw, "://")
	at := strings.IndexAny(rest, "/?")
	if at < 0 {
		return raw
	}
	at += len(raw) - len(rest)
	var out strings.Builder
	out.WriteString(raw[:at])
	query := false
	for i := at; i < len(raw); i++ {
		c := raw[i]
		query = query || c == '?'
		switch {
		case c == ' ', c >= 0x80, strings.IndexByte("\"<>\\^`{|}", c) >= 0, c == '%' && query && !isEscape(raw[i:]):
			fmt.Fprintf(&out, "%%%02X", c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// isEscape reports whether s begins with an escaped byte, such as %2F.
func isEscape(s string) bool {
	const hex = "0123456789abcdefABCDEF"
	return len(s) >= len("%2F") && strings.IndexByte(hex, s[1]) >= 0 && strings.IndexByte(hex, s[2]) >= 0
}
