package app

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// edge is one of the HTTP handlers that share the HTTPS listener.
type edge interface {
	http.Handler
	Match(path string) bool
}

// front sends each request to the edge it belongs to. Paths of Azure cannot be
// written as patterns of a mux: they ignore case and double their slashes.
type front struct {
	publish interface {
		http.Handler
		Claims(*http.Request) bool
	}
	edges   []edge
	metrics http.Handler
	// mayReadMetrics decides for clients from elsewhere.
	mayReadMetrics func(*http.Request) bool
	ready          func() error
	// metricsByToken says that being on this machine is not enough to read metrics.
	metricsByToken bool
	plain          bool // the listener without TLS: publishing only
	// secure reports whether a request came to the plain listener by a proxy that
	// the client reached with TLS.
	secure func(*http.Request) bool
	// forwarded gives a request the host that its client used; see [hosts.forwarded].
	forwarded func(*http.Request)
	draining  *atomic.Bool
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	trimHeaders(r)
	f.forwarded(r)
	if f.plain && hasToken(r) && !f.secure(r) {
		refuseToken(w)
		return
	}
	if f.publish.Claims(r) {
		f.publish.ServeHTTP(w, r)
		return
	}
	switch r.URL.Path {
	case "/healthz":
		answer(w, http.StatusOK, "ok")
		return
	case "/readyz":
		f.serveReady(w)
		return
	}
	if !f.plain {
		if r.URL.Path == "/metrics" {
			f.serveMetrics(w, r)
			return
		}
		for _, e := range f.edges {
			if e.Match(r.URL.Path) {
				e.ServeHTTP(w, r)
				return
			}
		}
	}
	f.publish.ServeHTTP(w, r) // answers 404 in the form that Azure's clients read
}

func (f *front) serveReady(w http.ResponseWriter) {
	if f.draining.Load() {
		answer(w, http.StatusServiceUnavailable, "draining")
		return
	}
	if err := f.ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

// hasToken reports whether a request brings a bearer token.
func hasToken(r *http.Request) bool {
	for _, v := range r.Header["Authorization"] {
		if scheme, _, _ := strings.Cut(v, " "); strings.EqualFold(scheme, "Bearer") {
			return true
		}
	}
	return false
}

// refuseToken refuses a bearer token that everybody on the way could read: it opens
// more than one endpoint. The client is told, so that it does not send it again.
func refuseToken(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `{"error":{"code":"HttpsRequired","message":"Bearer tokens are taken over HTTPS only: send the request to the HTTPS address of this server, or use a key or a SAS token, and regard this token as known to others."}}`+"\n")
}

// serveMetrics shows the metrics to this machine, unless others may come by way of
// it, and to principals that may read everything: they name the topics and
// subscriptions of all customers.
func (f *front) serveMetrics(w http.ResponseWriter, r *http.Request) {
	here := !f.metricsByToken && fromThisMachine(r)
	if !here && !f.mayReadMetrics(r) {
		to := "this machine and to "
		if f.metricsByToken {
			to = ""
		}
		answer(w, http.StatusForbidden, "metrics are shown to "+to+"bearer tokens with the Reader role at '/'")
		return
	}
	f.metrics.ServeHTTP(w, r)
}

func fromThisMachine(r *http.Request) bool {
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// metricsAction is asked at the root scope, so only who may read everything has it.
const metricsAction = "Intertie.Server/metrics/read"

func mayReadMetrics(tokens *access.Tokens, authorizer *access.Authorizer, hosts *hosts) func(*http.Request) bool {
	return func(r *http.Request) bool {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		claims, err := tokens.Verify(token, access.ManagementAudiences(hosts.fallback))
		return err == nil && authorizer.Allowed(claims.ObjectID, metricsAction, resource.ID{}.String(), claims.Groups...)
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") //nolint:gosec // plain text that nobody sniffs; the client is gone: nobody left to tell
}

// newServer returns a server with limits against clients that never finish.
// Each limit that is set costs a timer per request, so there is one for what is
// read. What is written needs none here: see [newManagementServer].
func newServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:        h,
		ReadTimeout:    time.Minute,
		MaxHeaderBytes: 64 << 10,
		// Mostly clients that broke off: no news to an operator.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// newManagementServer also limits the writing of answers, which may be large
// lists. A call may take two minutes, because an endpoint is asked for its
// consent, and net/http cancels a request whose ReadTimeout passes while it is
// being served.
func newManagementServer(h http.Handler, logger *slog.Logger) *http.Server {
	s := newServer(h, logger)
	s.ReadHeaderTimeout, s.ReadTimeout = 10*time.Second, 5*time.Minute
	s.IdleTimeout, s.WriteTimeout = 2*time.Minute, 5*time.Minute
	return s
}

// runFile tells other processes where a running server is.
type runFile struct {
	URL  string `json:"url"`
	HTTP string `json:"http"`
	PID  int    `json:"pid"`
}

func (r runFile) encode() []byte {
	data, err := json.Marshal(r)
	if err != nil { // three plain fields
		panic(err)
	}
	return append(data, '\n')
}

var errNotReady = errors.New("starting")
