package app

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/pki"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/signin/oidc"
	"github.com/intertie/intertie/store"
	"github.com/intertie/intertie/telemetry"
)

// parts is what a start has opened so far. Each step finds in it what those
// before it have left there.
type parts struct {
	proxies  []netip.Prefix
	bindings []binding
	gallery  []galleryEntry
	registry *prometheus.Registry

	engine *engine.Engine
	certs  *certificates

	store  *store.Store
	events *eventlog.Log
	secret string // of the admin, if it was made now

	tokens     *access.Tokens
	issuers    *oidc.Issuers // nil without any beside this server
	authorizer *access.Authorizer

	webhooks   *webhook.Client
	sender     *webhookTokens
	notices    *notices
	dispatcher *deliver.Dispatcher

	rules      *eventgrid.Rules
	emitter    *activity.Emitter
	expiry     *expiry
	table      *publish.Table
	publishing *publish.Metrics
}

// Start opens everything and returns when the server is ready, or with one
// clear reason why it cannot be. Call Stop afterwards in any case.
func (a *App) Start(ctx context.Context) error {
	p := &parts{registry: telemetry.NewRegistry(a.opts.Version)}
	for _, open := range []func(context.Context, *parts) error{
		a.openFolder, a.openDurable, a.openDelivery, a.followResources, a.openEdges,
	} {
		if err := open(ctx, p); err != nil {
			return err
		}
	}
	return a.announce()
}

// openFolder takes the data folder and the addresses.
func (a *App) openFolder(ctx context.Context, p *parts) (err error) {
	if p.proxies, err = a.opts.trustedProxies(); err != nil {
		return err
	}
	if p.bindings, err = a.opts.bindings(); err != nil {
		return err
	}
	if a.opts.Gallery != "" {
		if p.gallery, err = readGallery(a.opts.Gallery); err != nil {
			return err
		}
	}
	if err := ensureFolder(a.opts.Data); err != nil {
		return err
	}
	// The engine locks the folder; before that nothing in it may be touched.
	p.engine, err = engine.Open(ctx, engine.Options{Dir: a.opts.Data, URL: a.opts.NATS, Replicas: a.opts.Replicas, Logger: a.logger, Registerer: p.registry})
	if err != nil {
		return err
	}
	a.undo("engine", func(context.Context) error { return p.engine.Close() })
	if err := a.listen(); err != nil {
		return err
	}
	hostname, _ := os.Hostname() // without a name there is one name less to answer for
	a.hosts = newHosts(a.opts, a.listener.Addr(), hostname, p.proxies)
	p.certs = a.newCertificates(hostname)
	return p.certs.load()
}

// openDurable opens the resources and the event log, and makes what a first
// start makes.
func (a *App) openDurable(ctx context.Context, p *parts) error {
	sealer, err := a.sealer(ctx, p.engine.JetStream())
	if err != nil {
		return err
	}
	p.store, err = store.Open(ctx, store.Options{
		Conn: p.engine.Conn(), JS: p.engine.JetStream(), Replicas: p.engine.Replicas(), Sealer: sealer, Logger: a.logger,
		Space: p.engine.Space(),
	})
	if err != nil {
		return err
	}
	a.undo("store", func(context.Context) error { p.store.Close(); return nil })
	p.events, err = eventlog.Open(ctx, p.engine.JetStream(), eventlog.Options{
		Replicas: p.engine.Replicas(), Logger: a.logger, Registerer: p.registry, Tiers: a.opts.tiers(),
		Space: p.engine.Space(),
	})
	if err != nil {
		return err
	}
	a.undo("event log", func(context.Context) error { p.events.Close(); return nil })
	if a.settings, p.secret, err = loadSettings(ctx, p.store, a.now().UTC()); err != nil {
		return err
	}
	written, removed, err := applyGallery(ctx, p.store, p.gallery, a.settings.Admin, a.now().UTC())
	if err != nil {
		return err
	}
	if written+removed > 0 {
		a.logger.Info("gallery of partners follows its file", "file", a.opts.Gallery, "written", written, "removed", removed)
	}
	a.directory = newDirectory(p.store, a.now)
	p.authorizer = &access.Authorizer{}
	o := access.TokenOptions{Directory: a.directory}
	if len(a.opts.OIDCIssuers) > 0 {
		if p.issuers, err = a.opts.issuers(oidc.Settings{Now: a.now, Logger: a.logger}); err != nil {
			return err
		}
		o.External = p.issuers
	}
	p.tokens, err = access.NewTokens([][]byte{a.settings.signingKey}, o)
	return err
}

// openDelivery makes the way from the log to endpoints; nothing moves on it yet.
func (a *App) openDelivery(_ context.Context, p *parts) error {
	pool, err := trustPool(filepath.Join(a.opts.Data, "ca.pem"), a.opts.WebhookCA)
	if err != nil {
		return err
	}
	p.webhooks = webhook.NewClient(webhook.Options{AllowPrivate: a.opts.AllowPrivateWebhooks, RootCAs: pool})
	a.undo("webhook client", func(context.Context) error { p.webhooks.Close(); return nil })
	if p.sender, err = newWebhookTokens(p.tokens, a.URL(), a.settings.Tenant, a.opts.WebhookTokens, a.now); err != nil {
		return err
	}
	p.notices = newNotices(p.webhooks, p.sender, a.logger)
	o := deliver.DefaultOptions()
	o.Log, o.Logger, o.Registerer = p.events, a.logger, p.registry
	a.opts.tune(&o)
	// Attempts that hang longer are made again after the restart; a stop as a
	// whole has to end within 30 s.
	o.DrainTimeout = 20 * time.Second
	p.dispatcher, err = deliver.New(o)
	return err
}

// followResources makes roles, principals, publishing and delivery follow the
// store, all of it before the first event moves.
func (a *App) followResources(ctx context.Context, p *parts) error {
	p.rules = &eventgrid.Rules{
		Webhooks: webhooks{client: p.webhooks, tokens: p.sender, base: a.URL()}, Validations: eventgrid.NewValidations(), Regions: a.opts.Regions,
		Limits:           a.opts.Limits,
		ValidationWindow: a.opts.ValidationWindow, Deliveries: deliveries{p.dispatcher},
	}
	p.emitter = &activity.Emitter{
		Sources: &activity.Sources{}, Log: activityLog{p.events}, Tenant: a.settings.Tenant, Logger: a.logger, Lost: lostActivity(p.registry),
	}
	p.expiry = newExpiry(p.rules, p.store, p.emitter, a.now, a.logger)
	p.table, p.publishing = &publish.Table{}, publish.NewMetrics(p.registry)
	projection := &projection{
		store: p.store, authorizer: p.authorizer, directory: a.directory, table: p.table, publishing: p.publishing,
		dispatcher: p.dispatcher, webhooks: p.webhooks, tokens: p.sender, sources: p.emitter.Sources, notices: p.notices,
		expiry: p.expiry, certificates: p.certs, logger: a.logger, issued: p.tokens,
		blobs:   &blobStores{root: filepath.Join(a.opts.Data, "blobs"), bindings: p.bindings},
		domains: make(map[resource.UID]*publish.DomainTopics), built: make(map[resource.UID]built),
	}
	p.store.Observe(projection.observe)
	return a.writeAdminEnv(ctx, p.secret)
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
