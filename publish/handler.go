package publish

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
)

// Log makes events durable; *eventlog.Log does.
type Log interface {
	// Append returns nil when all entries are durable, and an error when it is
	// not known that they are. Entries and the bytes they point to belong to
	// the caller again once it has returned. [eventlog.ErrTooLarge] says that
	// the call can never succeed.
	Append(ctx context.Context, entries []eventlog.Entry) error
}

// Handler is the publish API. Fields must not be changed once it serves; it is
// safe for concurrent use. Table and Log are required, the zero values of the
// others are good.
type Handler struct {
	Table *Table
	Log   Log
	// Tokens and Authorizer decide about bearer tokens; without them there is
	// no way in but keys and SAS.
	Tokens     Tokens
	Authorizer Authorizer
	// PublishDomain D makes NAME.REGION-1.D/api/events an endpoint too.
	PublishDomain string
	// TrustedProxies may say in X-Forwarded-For whose request it is.
	TrustedProxies []netip.Prefix

	MaxBody int64        // bytes after inflation; 0 means DefaultMaxBody
	Limits  event.Limits // zero means event.DefaultLimits
	// Strict is passed on to [event.Parse].
	Strict bool
	// RejectInactive answers 403 for a channel whose partner topic is not
	// activated, where Event Grid answers 200 and keeps nothing.
	RejectInactive bool
	// StrictEventTypes answers 400 for an event type that its channel does not
	// declare, if the channel declares any.
	StrictEventTypes bool
	// Throttle limits partner topics; nil does not.
	Throttle *Throttle

	Now     func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics // nil counts nothing

	draining atomic.Bool
}

// Drain makes every later publish a 503, which clients repeat elsewhere or
// after the restart. Requests under way are finished; to wait for them is the
// HTTP server's part.
func (h *Handler) Drain() { h.draining.Store(true) }

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.New(slog.DiscardHandler)
}

// Shared by all responses and so never changed.
var (
	supportedVersions = []string{apiVersion}
	noLength          = []string{"0"}
	transportSecurity = []string{"max-age=31536000; includeSubDomains"}
	inputSchema       = []string{"CloudEventV10"}
)

// ServeHTTP implements [http.Handler]. It answers every request, also those
// that [Handler.Claims] does not claim.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.UUID(newEventID(h.now())).String()
	hd := w.Header()
	hd["Api-Supported-Versions"] = supportedVersions
	hd["X-Ms-Request-Id"] = []string{id}
	if v := r.Header["X-Ms-Client-Request-Id"]; len(v) > 0 {
		hd["X-Ms-Client-Request-Id"] = v[:1]
	}
	if r.TLS != nil {
		hd["Strict-Transport-Security"] = transportSecurity
	}

	src, p := h.find(r)
	if p == nil {
		switch r.Method {
		case http.MethodPost:
			h.post(w, r, src, id)
			return
		case http.MethodOptions:
			hd.Set("Allow", "POST, OPTIONS")
			hd["Aeg-Input-Event-Schema"] = inputSchema
			hd["Content-Length"] = noLength
			w.WriteHeader(http.StatusOK)
			return
		case http.MethodHead:
			p = noResource(r)
		default:
			hd.Set("Allow", "OPTIONS, POST")
			p = &problem{
				status: http.StatusMethodNotAllowed, detail: "MethodNotAllowed", class: "BadRequest",
				message: "The method '" + r.Method + "' is not allowed here; publish with POST.",
			}
		}
	}
	h.refuse(w, r, src, p, 0, id)
}

// find returns the source that the URL names.
func (h *Handler) find(r *http.Request) (*Source, *problem) {
	key, ok := h.endpointKey(r)
	if !ok {
		return nil, noResource(r)
	}
	src := h.Table.lookup(key)
	if src == nil {
		return nil, noResource(r)
	}
	return src, nil
}

// post publishes.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, src *Source, id string) {
	start := h.now()
	ws := getWorkspace()
	events, p := h.publish(r, src, ws, id)
	if p != nil {
		h.refuse(w, r, src, p, events, id)
		ws.release()
		return
	}
	ws.release()
	h.Metrics.accepted(events, h.now().Sub(start))
	w.Header()["Content-Length"] = noLength
	w.WriteHeader(http.StatusOK)
}

// publish takes a request through all its checks and returns when its events
// are durable. It returns how many events there are, also with a problem if
// they were read.
func (h *Handler) publish(r *http.Request, src *Source, ws *workspace, id string) (int, *problem) {
	query := parseQuery(r.URL)
	if p := checkVersion(query); p != nil {
		return 0, p
	}
	if h.draining.Load() {
		return 0, unavailable("The server is shutting down.", nil)
	}
	if p := h.checkNetwork(r, src); p != nil {
		return 0, p
	}
	if p := h.authenticate(r, query, src); p != nil {
		return 0, p
	}
	events, p := h.read(r, ws)
	if p != nil {
		return 0, p
	}
	rt := router{h: h, src: src, now: h.now(), entries: ws.entries[:0]}
	p = rt.route(r, events)
	ws.entries = rt.entries
	if p == nil {
		p = h.append(r, ws, rt.now)
	}
	if p == nil {
		rt.report(r, id)
	}
	return len(events), p
}

// read returns the events of the body.
func (h *Handler) read(r *http.Request, ws *workspace) ([]event.Event, *problem) {
	if p := h.checkLength(r); p != nil {
		return nil, p
	}
	gzipped, p := contentEncoding(r)
	if p != nil {
		return nil, p
	}
	req := event.Request{ContentType: r.Header.Get("Content-Type"), Header: r.Header, Limits: h.Limits, Strict: h.Strict}
	if err := event.Check(req); err != nil {
		return nil, parseProblem(err)
	}
	if p := h.readBody(r, ws, gzipped); p != nil {
		return nil, p
	}
	req.Body = ws.body
	events, err := event.Parse(req)
	if err != nil {
		return nil, parseProblem(err)
	}
	return events, nil
}

func parseProblem(err error) *problem {
	if e, ok := errors.AsType[*event.Error](err); ok {
		return refusedEvents(e)
	}
	return badRequest(string(event.InputJSONInvalid), err.Error())
}

// append makes the entries of ws durable.
func (h *Handler) append(r *http.Request, ws *workspace, now time.Time) *problem {
	if len(ws.entries) == 0 {
		return nil
	}
	if h.Throttle != nil {
		if wait, ok := h.Throttle.take(ws.entries, now); !ok {
			return &problem{
				status: http.StatusTooManyRequests, detail: "TooManyRequests", class: "Busy", retryAfter: wait,
				message: "The partner topic takes no more events at the moment; slow down and send them again.",
			}
		}
	}
	ws.lent = true
	switch err := h.Log.Append(r.Context(), ws.entries); {
	case err == nil:
		ws.lent = false
		return nil
	case errors.Is(err, eventlog.ErrTooLarge):
		p := tooLarge("The events are too many or too large to be stored together; send them in several requests.")
		p.cause = err
		return p
	case r.Context().Err() != nil:
		// The answer goes nowhere if the client has gone. It is sent all the
		// same: a handler that answers nothing is a 200.
		p := unavailable("The request was cancelled before its events were stored.", err)
		p.class = "Canceled"
		return p
	default:
		return unavailable("The events could not be stored; send them again.", err)
	}
}

// refuse answers with p, counts it and logs it. What went wrong on our side is
// an error; what the publisher is told anyway is there for who looks for it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, src *Source, p *problem, events int, id string) {
	if r.Method == http.MethodPost {
		h.Metrics.refused(p, events)
	}
	level := slog.LevelDebug
	if p.class == "Unexpected" && p.cause != nil {
		level = slog.LevelError
	}
	if lg := h.logger(); lg.Enabled(r.Context(), level) {
		name := ""
		if src != nil {
			name = src.ID
		}
		lg.LogAttrs(r.Context(), level, "publish refused", slog.String("resource", name), slog.Int("status", p.status),
			slog.String("error_type", p.class), slog.String("detail", p.detail), slog.String("message", p.message),
			slog.Int("events", events), slog.String("request_id", id), slog.Any("cause", p.cause))
	}
	p.write(w, r, id)
}
