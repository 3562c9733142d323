package publish

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
)

// DefaultMaxBody is the largest body, in bytes after inflation, that Event Grid
// was measured to take.
const DefaultMaxBody = 1_536_000

// minBody is the size a body buffer begins with, when no length is declared.
const minBody = 4 << 10

// workspace is the memory of one request. Events point into body, and entries
// hold events, so it goes back to the pool only when the log has returned.
type workspace struct {
	body    []byte
	entries []eventlog.Entry
	taken   []taken
	// lent is set while the log has the entries, and stays set if it fails.
	lent bool
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

func getWorkspace() *workspace { return workspaces.Get().(*workspace) }

// release makes ws available to other requests. Entries are cleared so that a
// pooled workspace does not keep other memory alive. One that the log failed
// with is left to the garbage collector: should the log still read it after
// all, it reads the right bytes.
func (ws *workspace) release() {
	if ws.lent {
		return
	}
	clear(ws.entries)
	clear(ws.taken)
	ws.entries, ws.taken = ws.entries[:0], ws.taken[:0]
	ws.body = ws.body[:0]
	workspaces.Put(ws)
}

// checkLength refuses what can be refused before a byte of the body is read.
func (h *Handler) checkLength(r *http.Request) *problem {
	if r.ContentLength > h.maxBody() {
		return h.bodyTooLarge()
	}
	return nil
}

func (h *Handler) maxBody() int64 {
	if h.MaxBody > 0 {
		return h.MaxBody
	}
	return DefaultMaxBody
}

func (h *Handler) bodyTooLarge() *problem {
	return tooLarge(fmt.Sprintf("The maximum size (%d) has been exceeded.", h.maxBody()))
}

// contentEncoding says whether the body must be inflated.
func contentEncoding(r *http.Request) (gzipped bool, p *problem) {
	switch e := strings.ToLower(strings.Join(r.Header["Content-Encoding"], ",")); e {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	default:
		return false, unsupportedType("The content encoding '" + e + "' is not supported; send the body as it is, or gzip.")
	}
}

// readBody reads the whole body into ws.
func (h *Handler) readBody(r *http.Request, ws *workspace, schema event.Schema, gzipped bool) *problem {
	limit := h.maxBody()
	// One byte more than may be there tells too much from just enough. It also
	// bounds compressed input that inflates to nothing.
	raw := &io.LimitedReader{R: r.Body, N: limit + 1}
	var src io.Reader = raw
	if gzipped {
		z, err := inflater(raw)
		if err != nil {
			return h.bodyProblem(err, raw, schema, true)
		}
		defer inflaters.Put(z)
		src = io.LimitReader(z, limit+1)
	}
	// The declared length, with room for the read that finds the end.
	if n := max(int(r.ContentLength)+1, minBody); cap(ws.body) < n {
		ws.body = make([]byte, 0, n)
	}
	var err error
	ws.body, err = appendAll(ws.body[:0], src)
	if int64(len(ws.body)) > limit {
		return h.bodyTooLarge()
	}
	if err != nil {
		return h.bodyProblem(err, raw, schema, gzipped)
	}
	return nil
}

// appendAll appends what r has left to b.
func appendAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// bodyProblem says why a body could not be read to its end.
func (h *Handler) bodyProblem(err error, raw *io.LimitedReader, schema event.Schema, gzipped bool) *problem {
	switch {
	case raw.N <= 0: // compressed input that is too long by itself
		return h.bodyTooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{
			status: http.StatusRequestTimeout, detail: "RequestTimeout", class: "TimedOut",
			message: "The body did not arrive in time.", cause: err,
		}
	case gzipped:
		return badRequest("InputJsonInvalid", "The body is not valid gzip, which Content-Encoding says it is; schema "+schema.String()+" is JSON.")
	default:
		p := badRequest("InputJsonInvalid", "Unexpected end of the body: it is shorter than announced.")
		p.cause = err
		return p
	}
}

var inflaters sync.Pool

func inflater(r io.Reader) (*gzip.Reader, error) {
	z, ok := inflaters.Get().(*gzip.Reader)
	if !ok {
		return gzip.NewReader(r)
	}
	if err := z.Reset(r); err != nil {
		inflaters.Put(z)
		return nil, err
	}
	return z, nil
}
