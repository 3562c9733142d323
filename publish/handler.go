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
	// nothing was written because it is too much for one call,
	// [eventlog.ErrNoSpace] that the disk has no room at present.
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
	// Throttle limits topics and domains; nil does not.
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
			hd["Aeg-Input-Event-Schema"] = []string{src.Schema.String()}
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
	src.Counts.accepted(events, h.now().Sub(start))
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
	if src.Unreadable {
		return 0, unreadable(src.Kind.String(), src.Name)
	}
	if p := h.checkNetwork(r, src); p != nil {
		return 0, p
	}
	if p := h.authenticate(r, query, src); p != nil {
		return 0, p
	}
	if src.Storage.Full() {
		return 0, overQuota(src)
	}
	events, now, p := h.read(r, ws, src)
	if p != nil {
		return 0, p
	}
	rt := router{h: h, src: src, now: now, entries: ws.entries[:0], taken: ws.taken[:0]}
	p = rt.route(r, events)
	ws.entries, ws.taken = rt.entries, rt.taken
	if p == nil {
		p = h.append(r, ws, src, now)
	}
	if p == nil {
		rt.report(r, id)
	}
	return len(events), p
}

// read returns the events of the body and when it had arrived, which is when
// they were published.
func (h *Handler) read(r *http.Request, ws *workspace, src *Source) (events []event.Event, now time.Time, p *problem) {
	if p := h.checkLength(r); p != nil {
		return nil, now, p
	}
	gzipped, p := contentEncoding(r)
	if p != nil {
		return nil, now, p
	}
	req := event.Request{
		Schema: src.Schema, Topic: src.ID, Domain: src.Kind == Domain, Mapping: src.Mapping,
		ContentType: r.Header.Get("Content-Type"), Header: r.Header, Limits: h.Limits, Strict: h.Strict,
	}
	if err := event.Check(req); err != nil {
		return nil, now, parseProblem(r, err)
	}
	if p := h.readBody(r, ws, src.Schema, gzipped); p != nil {
		return nil, now, p
	}
	now = h.now()
	req.Body, req.Received = ws.body, now
	events, err := event.Parse(req)
	if err != nil {
		return nil, now, parseProblem(r, err)
	}
	return events, now, nil
}

func parseProblem(r *http.Request, err error) *problem {
	if e, ok := errors.AsType[*event.Error](err); ok {
		return refusedEvents(r, e)
	}
	return badRequest(string(event.InputJSONInvalid), err.Error())
}

// append makes the entries of ws durable.
func (h *Handler) append(r *http.Request, ws *workspace, src *Source, now time.Time) *problem {
	if len(ws.entries) == 0 {
		return nil
	}
	if src.Storage.Full() { // since the body began to arrive
		return overQuota(src)
	}
	if h.Throttle != nil {
		if wait, ok := h.Throttle.take(ws.entries, now); !ok {
			return &problem{
				status: http.StatusTooManyRequests, detail: "TooManyRequests", class: "Busy", retryAfter: wait,
				message: "The " + src.Kind.taker() + " takes no more events at the moment; slow down and send them again.",
			}
		}
	}
	ws.lent = true
	switch err := h.store(r.Context(), ws.entries); {
	case err == nil:
		ws.lent = false
		return nil
	case errors.Is(err, eventlog.ErrTooLarge):
		p := tooLarge("An event is too large to be stored.")
		p.cause = err
		return p
	case errors.Is(err, eventlog.ErrNoSpace):
		return noSpace(err)
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

// store makes entries durable, in several calls if they do not fit one. The log
// has no limit that an event by itself could pass, but five thousand of them
// with the id of their topic in each may be more than the log takes at once,
// though their body was not. Only a failure in between leaves a part stored,
// and then the request is answered 503 and sent again: delivery is at least
// once.
func (h *Handler) store(ctx context.Context, entries []eventlog.Entry) error {
	err := h.Log.Append(ctx, entries)
	if len(entries) < 2 || !errors.Is(err, eventlog.ErrTooLarge) {
		return err
	}
	half := len(entries) / 2
	if err := h.store(ctx, entries[:half]); err != nil {
		return err
	}
	return h.store(ctx, entries[half:])
}

// refuse answers with p, counts it and logs it. What went wrong on our side is
// an error; what the publisher is told anyway is there for who looks for it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, src *Source, p *problem, events int, id string) {
	if r.Method == http.MethodPost {
		counts := h.Metrics.unknown()
		if src != nil {
			counts = src.Counts
		}
		counts.refused(p, events)
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
