package publish

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/intertie/intertie/event"
)

// problem is a refused request: what the publisher is told, and what is
// counted and logged.
type problem struct {
	status int
	// detail is Event Grid's finer code.
	detail  string
	message string
	// class is the ErrorType dimension of the failure metric, from a small
	// closed set.
	class string
	// retryAfter is sent as Retry-After when it is not 0, in whole seconds.
	retryAfter time.Duration
	// cause is for the log only.
	cause error
}

// statusNames are the .NET names that stand for a status in error bodies.
var statusNames = map[int]string{
	http.StatusBadRequest:            "BadRequest",
	http.StatusUnauthorized:          "Unauthorized",
	http.StatusForbidden:             "Forbidden",
	http.StatusNotFound:              "NotFound",
	http.StatusMethodNotAllowed:      "MethodNotAllowed",
	http.StatusRequestTimeout:        "RequestTimeout",
	http.StatusRequestEntityTooLarge: "RequestEntityTooLarge",
	http.StatusUnsupportedMediaType:  "UnsupportedMediaType",
	http.StatusTooManyRequests:       "TooManyRequests",
	http.StatusServiceUnavailable:    "ServiceUnavailable",
}

func badRequest(detail, message string) *problem {
	return &problem{status: http.StatusBadRequest, detail: detail, message: message, class: "BadRequest"}
}

func forbidden(class, message string) *problem {
	return &problem{status: http.StatusForbidden, detail: "Forbidden", message: message, class: class}
}

func notFound(message string) *problem {
	return &problem{status: http.StatusNotFound, detail: "ResourceNotFound", message: message, class: "NotFound"}
}

func tooLarge(message string) *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, detail: "PayloadTooLarge", message: message, class: "PayloadTooLarge"}
}

func unsupportedType(message string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, detail: "InvalidContentType", message: message, class: "BadRequest"}
}

func unavailable(message string, cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, detail: "ServiceUnavailable", message: message,
		class: "Unexpected", retryAfter: time.Second, cause: cause,
	}
}

// unreadable is for what is there and cannot be read, as after a former version of
// the server was installed: what was accepted for it would be lost.
func unreadable(what, name string) *problem {
	p := unavailable("The "+what+" '"+name+"' cannot be read by this version of the server; send the events again later.", nil)
	p.retryAfter = noSpaceRetry
	return p
}

// noSpace is for a disk that is full, or takes no writes for another reason. The
// operator is told once by whoever watches the disk, not with every request, so
// the class is not Unexpected.
func noSpace(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, detail: "ServiceUnavailable",
		message: "The server's disk is full or takes no writes at present, so no events can be stored; send them again later.",
		class:   "NoSpace", retryAfter: noSpaceRetry, cause: cause,
	}
}

// overQuota is for a topic or domain whose Azure subscription keeps as much as it may:
// room comes with its deliveries.
func overQuota(src *Source) *problem {
	return &problem{
		status: http.StatusTooManyRequests, detail: "QuotaExceeded", class: "QuotaExceeded", retryAfter: noSpaceRetry,
		message: fmt.Sprintf("The Azure subscription of the %s '%s' keeps %d MB of events that wait for delivery, as much as it may (%d MB). "+
			"Repair or delete the event subscriptions whose endpoints do not take them, and send the events again later.",
			src.Kind, src.Name, src.Storage.Kept()>>20, src.Storage.Limit()>>20),
	}
}

// overQuotaOf is overQuota for a channel. What the customer keeps is not the
// partner's business.
func overQuotaOf(c *Channel) *problem {
	return &problem{
		status: http.StatusTooManyRequests, detail: "QuotaExceeded", class: "QuotaExceeded", retryAfter: noSpaceRetry,
		message: "The customer of the channel '" + c.Name + "' keeps as many events that wait for delivery as it may; send the events again later.",
	}
}

// noSpaceRetry is when a publisher should come back to a full disk: room comes
// with deliveries or with the operator, and not within a second.
const noSpaceRetry = 10 * time.Second

// noResource is the answer to a URL that nothing answers to. The query is left
// out, because it may hold a key.
func noResource(r *http.Request) *problem {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return notFound("No HTTP resource was found that matches the request URI '" + scheme + "://" + r.Host + r.URL.Path + "'.")
}

// refusedEvents translates an error of package event.
func refusedEvents(r *http.Request, err *event.Error) *problem {
	switch err.Code {
	case event.TopicMismatch:
		return unauthorized(r, err.Message)
	case event.PayloadTooLarge:
		return tooLarge(err.Message)
	case event.InvalidContentType:
		return unsupportedType(err.Message)
	default:
		return badRequest(string(err.Code), err.Message)
	}
}

// write sends p. id is the request's id, which the message ends with, so that a
// publisher can name the request to whoever reads the logs.
func (p *problem) write(w http.ResponseWriter, r *http.Request, id string) {
	drain(w, r)
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	body := p.body(id)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.status)
	_, _ = w.Write(body) // an error means that nobody is there to be told
}

// body is Event Grid's error body: the details repeat the message.
func (p *problem) body(id string) []byte {
	message, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(p.message, "\uFFFD")+" Reference: "+id+".")
	if err != nil { // the text is valid UTF-8, so there is no such case
		message = []byte(`""`)
	}
	b := make([]byte, 0, 2*len(message)+128)
	b = append(b, `{"error":{"code":"`...)
	b = append(b, statusNames[p.status]...)
	b = append(b, `","message":`...)
	b = append(b, message...)
	b = append(b, `,"details":[{"code":"`...)
	b = append(b, p.detail...)
	b = append(b, `","message":`...)
	b = append(b, message...)
	return append(b, `}]}}`...)
}

// What is left of a refused body is read, within these bounds.
const (
	drainBytes = 4 << 20
	drainTime  = 5 * time.Second
)

// drain reads what a client is still sending. Many clients send a whole body
// before they look for an answer, and would see a reset connection instead of
// the refusal. One that waits for permission (Expect) is spared the effort, and
// HTTP/2 has no such problem.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.Header.Get("Expect") != "" || r.Body == nil || r.Body == http.NoBody {
		return
	}
	// Without a deadline (a writer that cannot set one) the server's own
	// bounds how long a body may take. net/http lifts it after the request.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) //nolint:errcheck // see above
	io.CopyN(io.Discard, r.Body, drainBytes)                                 //nolint:errcheck // the answer is sent anyway
}
