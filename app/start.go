package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/graph"
	"github.com/intertie/intertie/pki"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/signin"
	"github.com/intertie/intertie/store"
	"github.com/intertie/intertie/telemetry"
)

// Start opens everything and returns when the server is ready, or with one
// clear reason why it cannot be. Call Stop afterwards in any case.
func (a *App) Start(ctx context.Context) error {
	proxies, err := a.opts.trustedProxies()
	if err != nil {
		return err
	}
	bindings, err := a.opts.bindings()
	if err != nil {
		return err
	}
	if err := ensureFolder(a.opts.Data); err != nil {
		return err
	}

	// The engine locks the folder; before that nothing in it may be touched.
	eng, err := engine.Open(ctx, engine.Options{Dir: a.opts.Data, URL: a.opts.NATS, Replicas: a.opts.Replicas, Logger: a.logger})
	if err != nil {
		return err
	}
	a.undo("engine", func(context.Context) error { return eng.Close() })
	if err := a.listen(); err != nil {
		return err
	}
	hostname, _ := os.Hostname() // without a name there is one name less to answer for
	a.hosts = newHosts(a.opts, a.listener.Addr(), hostname, proxies)
	certs := a.newCertificates(hostname)
	if err := certs.load(); err != nil {
		return err
	}

	// Durable.
	sealer, err := a.sealer(ctx, eng.JetStream())
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, store.Options{
		Conn: eng.Conn(), JS: eng.JetStream(), Replicas: eng.Replicas(), Sealer: sealer, Logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.undo("store", func(context.Context) error { st.Close(); return nil })
	registry := telemetry.NewRegistry(a.opts.Version)
	events, err := eventlog.Open(ctx, eng.JetStream(), eventlog.Options{Replicas: eng.Replicas(), Logger: a.logger, Registerer: registry})
	if err != nil {
		return err
	}
	a.undo("event log", func(context.Context) error { events.Close(); return nil })
	set, secret, err := loadSettings(ctx, st, a.now().UTC())
	if err != nil {
		return err
	}
	a.settings = set

	// Who may do what.
	tokens, err := access.NewTokens([][]byte{set.signingKey}, access.TokenOptions{})
	if err != nil {
		return err
	}
	authorizer := &access.Authorizer{}
	a.directory = newDirectory(st, a.now)

	// Delivery.
	pool, err := trustPool(filepath.Join(a.opts.Data, "ca.pem"), a.opts.WebhookCA)
	if err != nil {
		return err
	}
	client := webhook.NewClient(webhook.Options{AllowPrivate: a.opts.AllowPrivateWebhooks, RootCAs: pool})
	a.undo("webhook client", func(context.Context) error { client.Close(); return nil })
	dispatcher, err := a.newDispatcher(events, registry)
	if err != nil {
		return err
	}

	// Rules and what follows the store.
	rules := &eventgrid.Rules{
		Webhooks: webhooks{client: client, base: a.URL()}, Validations: eventgrid.NewValidations(), Regions: a.opts.Regions,
	}
	exp := newExpiry(rules, st, a.now, a.logger)
	table, publishing := &publish.Table{}, publish.NewMetrics(registry)
	projection := &projection{
		store: st, authorizer: authorizer, directory: a.directory, table: table, publishing: publishing, dispatcher: dispatcher, targets: client.Target,
		blobs: &blobStores{root: filepath.Join(a.opts.Data, "blobs"), bindings: bindings}, expiry: exp, certificates: certs, logger: a.logger,
	}
	st.Observe(projection.observe)
	if err := a.writeAdminEnv(ctx, secret); err != nil {
		return err
	}

	// Edges.
	pub := &publish.Handler{
		Table: table, Log: events, Tokens: tokens, Authorizer: authorizer, PublishDomain: a.opts.PublishDomain,
		TrustedProxies: proxies, Now: a.now, Logger: a.logger, Metrics: publishing,
	}
	management := &arm.Handler{
		Store: st, Rules: rules, Tokens: tokens, Authorizer: authorizer, Principal: a.directory.ByObjectID, Tenant: set.Tenant,
		Base: a.hosts.base, DefaultBase: a.URL(), PublishDomain: a.opts.PublishDomain, Now: a.now, Logger: a.logger,
	}
	management.Init()
	front := &front{
		publish: pub,
		edges: []edge{
			management,
			&graph.Handler{
				Tokens: tokens, Authorizer: authorizer, Directory: a.directory, Tenant: set.Tenant,
				BaseURL: a.hosts.baseURL, Audiences: []string{a.URL()}, Logger: a.logger,
			},
			&signin.Handler{
				Tokens: tokens, Directory: a.directory, Tenant: set.Tenant,
				BaseURL: a.hosts.baseURL, Audiences: []string{a.URL()}, Logger: a.logger,
			},
		},
		metrics: telemetry.Handler(registry, a.logger), mayReadMetrics: mayReadMetrics(tokens, authorizer, a.hosts),
		ready: func() error {
			if !a.ready.Load() {
				return errNotReady
			}
			return st.Healthy()
		},
		draining: &a.draining,
	}

	a.supervise(ctx, "certificates", certs.run)
	a.supervise(ctx, "expiry", exp.run)
	a.supervise(ctx, "delivery", dispatcher.Run)
	if err := a.serveProfiles(); err != nil {
		return err
	}
	a.serve(front, certs, pub)
	return a.announce()
}

func (a *App) newDispatcher(events *eventlog.Log, registry prometheus.Registerer) (*deliver.Dispatcher, error) {
	o := deliver.DefaultOptions()
	o.Log, o.Logger, o.Registerer = events, a.logger, registry
	// Attempts that hang longer are made again after the restart; a stop as a
	// whole has to end within 30 s.
	o.DrainTimeout = 20 * time.Second
	return deliver.New(o)
}

// sealer loads the master key. One in the data folder is made at the first
// start and never again: with another key the secrets would stay closed.
func (a *App) sealer(ctx context.Context, js jetstream.JetStream) (*store.Sealer, error) {
	path, create := a.opts.MasterKeyFile, false
	if path == "" {
		path = filepath.Join(a.opts.Data, "master.key")
		exists, err := store.Exists(ctx, js)
		if err != nil {
			return nil, err
		}
		create = !exists
	}
	key, err := store.LoadMasterKey(path, create)
	if err != nil {
		return nil, err
	}
	return store.NewSealer(key)
}

func (a *App) newCertificates(hostname string) *certificates {
	extra := append([]string(nil), a.opts.AllowedHosts...)
	for name := range a.hosts.names {
		extra = append(extra, name)
	}
	c := &certificates{
		dir: a.opts.Data, ownCert: a.opts.TLSCert, ownKey: a.opts.TLSKey, now: a.now, logger: a.logger,
		names:   pki.Names{Hostname: hostname, Extra: extra, PublishDomain: a.opts.PublishDomain},
		regions: make(map[string]bool), changed: make(chan struct{}, 1),
	}
	for _, r := range a.opts.Regions {
		c.regions[r] = true
	}
	return c
}

func (a *App) listen() error {
	var err error
	if a.listener, err = net.Listen("tcp", a.opts.Listen); err != nil {
		return fmt.Errorf("--listen %s: %w", a.opts.Listen, listenReason(err))
	}
	listener := a.listener
	a.undo("listener", func(context.Context) error { return ignoreClosed(listener.Close()) })
	if a.opts.ListenHTTP == "" {
		return nil
	}
	if a.plainListener, err = net.Listen("tcp", a.opts.ListenHTTP); err != nil {
		return fmt.Errorf("--listen-http %s: %w", a.opts.ListenHTTP, listenReason(err))
	}
	plain := a.plainListener
	a.undo("plain listener", func(context.Context) error { return ignoreClosed(plain.Close()) })
	return nil
}

func listenReason(err error) error {
	if strings.Contains(err.Error(), "address already in use") {
		return errors.New("the port is in use by another program")
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serve starts the HTTP servers. What is pushed last is undone first: new
// publishes are refused before anything else ends.
func (a *App) serve(f *front, certs *certificates, pub *publish.Handler) {
	server := newManagementServer(f, a.logger)
	a.serveOn(server, "https", func() error { return server.Serve(tls.NewListener(a.listener, certs.tlsConfig())) })
	if a.plainListener != nil {
		plain := *f
		plain.plain = true
		plainServer := newServer(&plain, a.logger)
		a.serveOn(plainServer, "http", func() error { return plainServer.Serve(a.plainListener) })
	}
	a.undo("publishing", func(context.Context) error { pub.Drain(); return nil })
}

// requestPatience is how long a stop waits for requests under way. A handshake
// with an endpoint that hangs may hold one for longer than the stop may take,
// and deliveries need the time more.
const requestPatience = 5 * time.Second

func (a *App) serveOn(server *http.Server, name string, run func() error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(); !errors.Is(err, http.ErrServerClosed) {
			a.fail(name, err)
		}
	}()
	a.undo(name, func(ctx context.Context) error {
		patient, cancel := context.WithTimeout(ctx, requestPatience)
		defer cancel()
		err := server.Shutdown(patient)
		if err != nil {
			err = server.Close() // cancels the requests that are left
		}
		<-ended
		return err
	})
}

// announce makes the server findable and ready.
func (a *App) announce() error {
	path := filepath.Join(a.opts.Data, "run.json")
	a.ready.Store(true)
	if err := writeFile(path, runFile{URL: a.URL(), HTTP: a.HTTPURL(), PID: os.Getpid()}.encode()); err != nil {
		return err
	}
	a.undo("run.json", func(context.Context) error { return os.Remove(path) })
	return nil
}
