package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
)

// codeAnswer says what an endpoint did with the validation code.
type codeAnswer int

const (
	codeAbsent codeAnswer = iota
	codeMatches
	codeWrong
)

// validationAnswer looks for the code in an answer's body. Property name and
// code compare without regard to case; receivers in the field write both ways.
// A body that holds no code, whatever else it is, is not a wrong answer: the
// endpoint may consent through the link.
func validationAnswer(body []byte, code string) codeAnswer {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return codeAbsent
	}
	got := codeAbsent
	for name, raw := range fields {
		if !strings.EqualFold(name, "validationResponse") {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil || s == "" {
			continue
		}
		if code != "" && strings.EqualFold(s, code) {
			return codeMatches
		}
		got = codeWrong
	}
	return got
}
