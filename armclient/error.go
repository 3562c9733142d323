package armclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer that refused a request. Code is the code of Azure's error
// envelope, or of the OAuth error when signing in failed; "" when the answer
// had neither.
type Error struct {
	Status  int
	Code    string
	Message string
	Call    string // method and path of the refused request
}

func (e *Error) Error() string {
	what := e.Code
	if what == "" {
		what = fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Message != "" {
		what += ": " + e.Message
	}
	if e.Call == "" {
		return what
	}
	return e.Call + ": " + what
}

// errorFrom reads the two shapes of error bodies: ARM's and Graph's
// {"error":{"code","message"}} and OAuth's {"error","error_description"}.
func errorFrom(status int, body []byte, call string) *Error {
	e := &Error{Status: status, Call: call}
	var envelope struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return e
	}
	var detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(envelope.Error, &detail) == nil {
		e.Code, e.Message = detail.Code, detail.Message
	} else if json.Unmarshal(envelope.Error, &e.Code) == nil {
		e.Message = envelope.Description
	}
	// One line: these messages end up on a terminal behind "intertie: ".
	e.Message = strings.Join(strings.Fields(e.Message), " ")
	return e
}
