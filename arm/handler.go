package arm

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// Store is what the management API needs from the resource store.
type Store interface {
	// Get returns a resource, which must not be modified.
	Get(resource.ID) (*resource.Resource, bool)
	// List returns the resources of one type at or below a scope, by id.
	List(typ string, scope resource.ID) []*resource.Resource
	// Types returns the types, in lower case, of which there is a resource.
	Types() []string
	// Commit runs fn, maybe more than once, and writes its changes as a unit.
	// When it returns nil they are durable and the data plane acts on them.
	Commit(ctx context.Context, fn func(resource.Tx) error) error
}

// Handler serves the management API. All fields are required unless marked.
type Handler struct {
	Store      Store
	Rules      *eventgrid.Rules
	Tokens     *access.Tokens
	Authorizer *access.Authorizer
	// Principal tells whether an object id exists, and its name.
	Principal func(objectID string) (access.ServicePrincipal, bool)
	// ExternalPrincipals is set when there are issuers beside this server: then
	// roles may be given to object ids that Principal does not find.
	ExternalPrincipals bool
	Tenant             string // GUID
	// Base returns scheme and host that the client used when they are ones this
	// server answers for; DefaultBase serves otherwise.
	Base        func(*http.Request) (string, bool)
	DefaultBase string
	// PublishDomain makes endpoints host-style; optional.
	PublishDomain string
	// Deployments runs template deployments; one with the default options is made
	// when it is nil. Its Run must be called for any of them to go on.
	Deployments *Deployments
	// ForeignBytes is how much memory the resources of other providers may take in
	// one subscription; 0 stands for 32 MiB.
	ForeignBytes int
	// Storage says how many bytes of events wait in an Azure subscription; optional.
	Storage func(subscription string) Usage
	// Activity is told of every operation that has ended; optional.
	Activity *activity.Emitter
	// ClientIP returns the address that a request comes from, through proxies as
	// far as they are trusted; without it, that of the connection counts.
	ClientIP func(*http.Request) string
	Now      func() time.Time
	Logger   *slog.Logger

	kinds         map[string]*resource.Kind     // those that are stored, by lower-case type
	extensions    map[string]*resource.Kind     // other ways to what is stored, likewise
	own           map[string]*resource.Kind     // of ARM itself, likewise
	derived       map[string]*eventgrid.Derived // stored nowhere, likewise
	deletionOrder []string                      // of the types of kinds
	routes        []route                       // what no kind of Event Grid declares: ARM's own
	deep          []route                       // likewise, for the paths that parsePath calls deeper
	remaining     countdown
	strangers     access.Throttle // of the audit lines of refused tokens
	unasked       bool            // see [Handler.dry]: nobody outside is asked for consent
	bodies        *shares         // bytes of large bodies under way
	evaluations   *shares         // of templates under way
}

const (
	// maxBody bounds a management request. The largest real bodies are channels
	// with many event types.
	maxBody = 1 << 20
	// smallBody bounds one of ARM's own, and an action: 50 tags, a role, a name.
	smallBody = 256 << 10
	// maxTemplateBody bounds one with a template in it, as ARM does.
	maxTemplateBody = 4 << 20
)

// maxPath bounds the path of a request, and so the ids that are stored: taking
// apart an id of many extensions costs the square of its length.
const maxPath = 8 << 10

// Init builds the routing table; it must be called once before the first
// request.
func (h *Handler) Init() {
	if h.Deployments == nil {
		h.Deployments = NewDeployments(DeploymentOptions{})
	}
	h.Deployments.h = h
	h.bodies, h.evaluations = newShares(largeBodiesEach, largeBodies), newShares(evaluationsEach, evaluations)
	h.bindRoutes()
}

// bindRoutes builds the tables by which requests find their way.
func (h *Handler) bindRoutes() {
	h.kinds, h.extensions = make(map[string]*resource.Kind), make(map[string]*resource.Kind)
	kinds := h.Rules.Kinds()
	for _, k := range kinds {
		h.kinds[strings.ToLower(k.Type)] = k
	}
	for _, k := range extensionKinds(h.kinds[strings.ToLower(eventgrid.TypeTopicEventSubscription)]) {
		h.extensions[strings.ToLower(k.Type)] = k
	}
	h.own = map[string]*resource.Kind{strings.ToLower(resource.TypeLock): lockKind()}
	h.derived = make(map[string]*eventgrid.Derived)
	for _, d := range eventgrid.AllDerived() {
		h.derived[strings.ToLower(d.Type)] = d
	}
	h.deletionOrder = resource.DeletionOrder(kinds)
	h.routes, h.deep = h.fixedRoutes(), h.deepRoutes()
}

// Match reports whether a path belongs to the management API.
func (h *Handler) Match(path string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	switch strings.ToLower(first) {
	case "subscriptions", "providers", "tenants", "metadata", "eventsubscriptions":
		return true
	}
	return false
}

// request is one management request on its way through the phases.
type request struct {
	http    *http.Request
	out     http.ResponseWriter
	path    resource.Path
	deeper  []string // what follows path, where ARM keeps no form: see parsePath
	base    string
	version string // api-version
	caller  access.Claims
	now     time.Time

	id          string // x-ms-request-id
	correlation string // the same for all requests of one deployment

	bodies *shares  // of which a large body takes some; nil for the server's own requests
	held   []func() // give back what the request has taken, at its end

	// What was decided, for the audit line and the event.
	action  string
	scope   resource.ID
	grant   access.Grant
	allowed bool
	operation
}

func (rq *request) view(h *Handler) resource.View {
	return resource.View{BaseURL: rq.base, PublishDomain: h.PublishDomain, APIVersion: rq.version}
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.Now()
	rq := &request{http: r, out: w, now: start.UTC(), version: queryParam(r, "api-version"), id: uuid.NewString()}
	rq.correlation = rq.id
	rq.base = h.DefaultBase
	if base, ok := h.Base(r); ok {
		rq.base = base
	}
	setHeaders(w, rq)
	recorder := &statusRecorder{ResponseWriter: w}
	rq.out, rq.bodies = recorder, h.bodies
	defer rq.end()
	err := h.serve(rq)
	if err != nil {
		h.fail(rq, err)
	}
	end := h.Now()
	h.audit(rq, recorder.status, err, end.Sub(start))
	h.tell(rq, err, end)
}

func (h *Handler) serve(rq *request) error {
	if done, err := h.serveOpen(rq); done {
		return err
	}
	var err error
	if rq.caller, err = h.authenticate(rq); err != nil {
		return err
	}
	return h.serveCaller(rq)
}

// serveCaller serves a request whose caller is known.
func (h *Handler) serveCaller(rq *request) error {
	var err error
	switch p := rq.http.URL.Path; {
	case len(p) > maxPath:
		return resource.Invalid("The request path has %d bytes; at most %d are allowed.", len(p), maxPath)
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		return resource.Invalid("The request path is not plain text: it holds control characters, or bytes that are not UTF-8.")
	}
	// URL.Path is decoded, so a scope sent with escaped slashes looks like any.
	if rq.path, rq.deeper, err = parsePath(rq.http.URL.Path); err != nil || rq.path.ID.Disguised() {
		return notAPath(rq)
	}
	if s := rq.path.ID.Subscription; s != "" {
		if _, err := uuid.Parse(s); err != nil {
			return resource.Errorf(resource.InvalidSubscriptionID, "The provided subscription identifier '%s' is malformed or invalid: it must be a GUID.", s)
		}
	}
	if rq.version == "" {
		return resource.Errorf(resource.MissingAPIVersion, "The api-version query parameter (?api-version=) is required for all requests.")
	}
	h.remaining.announce(rq)
	routes := h.routes
	if len(rq.deeper) > 0 {
		routes = h.deep
	}
	for _, rt := range routes {
		if rt.match(rq) {
			return rt.serve(rq)
		}
	}
	if len(rq.deeper) > 0 {
		return notAPath(rq)
	}
	return h.serveKind(rq)
}

func notAPath(rq *request) error {
	return resource.Errorf(resource.InvalidResourceType, "The request path '%s' is not one of the management API.", rq.http.URL.Path)
}

// body reads the request body, at most maxBody bytes.
func (rq *request) body() ([]byte, error) { return rq.bodyOf(maxBody) }

// bodyOf reads a body of at most so many bytes. A large one waits for its share of
// what may be under way at once, and keeps it until the request has ended: what is
// made of a body takes many times its size.
func (rq *request) bodyOf(most int) ([]byte, error) {
	tooLarge := resource.Errorf(resource.RequestTooLarge, "The request body is larger than %d bytes.", most)
	size := int(rq.http.ContentLength)
	if size > most {
		return nil, tooLarge
	}
	if size < 0 { // it will show itself
		size = most
	}
	if size > largeBody && rq.bodies != nil {
		giveBack, err := rq.bodies.take(rq.http.Context(), rq.path.ID.Subscription, size)
		if err != nil {
			return nil, busy(rq, err, "There are too many large requests under way")
		}
		rq.held = append(rq.held, giveBack)
	}
	data, err := io.ReadAll(http.MaxBytesReader(rq.out, rq.http.Body, int64(most)))
	if err == nil {
		return data, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	return nil, resource.Errorf(resource.InvalidRequestContent, "The request body broke off or did not arrive in time.")
}

// end gives back what the request took.
func (rq *request) end() {
	for _, giveBack := range rq.held {
		giveBack()
	}
	rq.held = nil
}

// fail answers with an error; one that is not meant for the caller is logged
// and shown as an internal one.
func (h *Handler) fail(rq *request, err error) {
	e, ok := errors.AsType[*resource.Error](err)
	switch {
	case ok && e.Code == resource.OutcomeUnknown:
		h.Logger.Warn("it is not known whether a management request was carried out", "error", err, "request", rq.id, "method", rq.http.Method, "path", rq.http.URL.Path)
	case ok:
	case rq.http.Context().Err() != nil:
		// Nobody reads it any more. It is written all the same: a handler that
		// writes nothing is a 200.
		e = resource.Errorf(resource.Unavailable, "The request was cancelled before it was done.")
	case errors.Is(err, context.DeadlineExceeded):
		h.Logger.Error("management request timed out", "error", err, "request", rq.id)
		e = resource.Errorf(resource.Unavailable, "The resource store did not answer in time; try again. Request id: %s.", rq.id)
	default:
		h.Logger.Error("management request failed", "error", err, "request", rq.id, "method", rq.http.Method, "path", rq.http.URL.Path)
		e = resource.Errorf(resource.Internal, "The server encountered an error; its log tells more under the request id %s.", rq.id)
	}
	writeError(rq.out, e)
}

// statusRecorder remembers the status for the audit line.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func setHeaders(w http.ResponseWriter, rq *request) {
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Pragma", "no-cache")
	header.Set("Expires", "-1")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	header.Set("X-Ms-Request-Id", rq.id)
	header.Set("X-Ms-Correlation-Request-Id", rq.correlation)
	header.Set("X-Ms-Routing-Request-Id", "INTERTIE:"+rq.now.Format("20060102T150405Z")+":"+rq.id)
	if strings.EqualFold(rq.http.Header.Get("X-Ms-Return-Client-Request-Id"), "true") {
		if id := rq.http.Header.Get("X-Ms-Client-Request-Id"); id != "" {
			header.Set("X-Ms-Client-Request-Id", id)
		}
	}
}

// queryParam returns a query parameter by its name in any case.
func queryParam(r *http.Request, name string) string {
	for k, v := range r.URL.Query() {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}
