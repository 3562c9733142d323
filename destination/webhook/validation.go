package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
)

// eventTime is how Event Grid writes instants: UTC, 7 fraction digits.
const eventTime = "2006-01-02T15:04:05.0000000Z"

// validationEvent is the one event of the Event Grid handshake.
type validationEvent struct {
	ID      string `json:"id"`
	Topic   string `json:"topic"`
	Subject string `json:"subject"`
	Type    string `json:"eventType"`
	Time    string `json:"eventTime"`
	Data    struct {
		Code string `json:"validationCode"`
		URL  string `json:"validationUrl,omitempty"`
	} `json:"data"`
	MetadataVersion string `json:"metadataVersion"`
	DataVersion     string `json:"dataVersion"`
}

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
