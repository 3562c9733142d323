package arm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// behalf says in whose name the server itself makes management requests, and
// what brought it to do so.
type behalf struct {
	caller      access.Claims
	base        string
	correlation string
	// origin is the request that asked for it, without its body and credentials.
	origin *http.Request
}

func behalfOf(rq *request) behalf {
	origin := rq.http.Clone(context.WithoutCancel(rq.http.Context()))
	origin.Body = nil
	origin.Header.Del("Authorization")
	return behalf{caller: rq.caller, base: rq.base, correlation: rq.correlation, origin: origin}
}

// reply is what a request of the server's own came to.
type reply struct {
	status int
	body   []byte
}

// do carries out a management request in somebody's name. It takes every phase
// that a request from outside takes after authentication: the caller must be
// allowed, the audit has its line, the event is told. The error is a
// [*resource.Error].
func (h *Handler) do(ctx context.Context, as behalf, method, path, version string, body []byte) (reply, error) {
	r := &http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: url.Values{"api-version": {version}}.Encode()},
		Header: as.origin.Header.Clone(), Body: io.NopCloser(bytes.NewReader(body)), Host: as.origin.Host, RemoteAddr: as.origin.RemoteAddr,
	}
	start := h.Now()
	out := &replyWriter{header: http.Header{}}
	recorder := &statusRecorder{ResponseWriter: out}
	rq := &request{
		http: r.WithContext(ctx), out: recorder, base: as.base, version: version, caller: as.caller, now: start.UTC(),
		id: uuid.NewString(), correlation: as.correlation,
	}
	defer rq.end()
	err := h.serveAdmitted(rq)
	if err != nil {
		h.fail(rq, err)
	}
	end := h.Now()
	h.audit(rq, recorder.status, err, end.Sub(start))
	h.tell(rq, err, end)
	if err != nil {
		return reply{status: recorder.status}, callerError(ctx, err)
	}
	return reply{status: recorder.status, body: out.body.Bytes()}, nil
}

// callerError is what may be shown of an error.
func callerError(ctx context.Context, err error) *resource.Error {
	if e, ok := errors.AsType[*resource.Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return resource.Errorf(resource.Unavailable, "The request was cancelled before it was done.")
	}
	return resource.Errorf(resource.Internal, "The server encountered an error; its log tells more.")
}

// replyWriter keeps an answer.
type replyWriter struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter], as do the others.
func (w *replyWriter) Header() http.Header { return w.header }

func (w *replyWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

func (*replyWriter) WriteHeader(int) {}

// versionOf returns the api-version by which a type is asked for when nobody
// says which: the newest stable one.
func (h *Handler) versionOf(typ string) string {
	kind, ok := h.kinds[strings.ToLower(typ)]
	if !ok {
		kind, ok = h.extensions[strings.ToLower(typ)]
	}
	if !ok || len(kind.Versions) == 0 {
		return "2021-04-01"
	}
	for _, v := range slices.Backward(kind.Versions) {
		if !strings.HasSuffix(v, "preview") {
			return v
		}
	}
	return kind.Versions[len(kind.Versions)-1]
}

// statusName is how operations of deployments call a status.
func statusName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }
