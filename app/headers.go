package app

import (
	"net/http"
	"net/textproto"
)

// trimHeaders removes the blanks around header values, which belong to the line
// and not to the value. For HTTP/1 net/http does so itself; over HTTP/2 it hands
// them on, and a key that was copied with a blank would be another key.
func trimHeaders(r *http.Request) {
	if r.ProtoMajor < 2 {
		return
	}
	for _, values := range r.Header {
		for i, v := range values {
			values[i] = textproto.TrimString(v)
		}
	}
}
