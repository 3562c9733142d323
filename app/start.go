package app

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/folder"
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

	folder *folder.Folder
	engine engine.Engine
	// fresh says that the engine's state is empty, established that clients may know
	// what was in the folder before.
	fresh, established bool
	certs              *certificates
	watch              *clockWatch

	store  *store.Store
	events *eventlog.Log
	ledger *eventlog.Ledger
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
//
// When the storage fails meanwhile, Start returns [ErrStorage] and leaves behind what
// may never come back. The process has to end.
func (a *App) Start(ctx context.Context) error {
	started := make(chan error, 1)
	go func() { started <- a.start(ctx) }()
	return a.await(started)
}

// await waits for the end of a start, unless the storage has failed: then it may wait
// for what never comes.
func (a *App) await(started <-chan error) error {
	select {
	case err := <-started:
		return err
	case <-a.Done():
		if err := a.Err(); errors.Is(err, ErrStorage) {
			return err
		}
		return <-started
	}
}

func (a *App) start(ctx context.Context) error {
	p := &parts{registry: telemetry.NewRegistry(a.opts.Version)}
	for _, open := range []func(context.Context, *parts) error{
		a.readFiles, a.openStorage, a.openAddresses, a.openDurable, a.openDelivery, a.followResources, a.openEdges,
	} {
		if err := open(ctx, p); err != nil {
			return err
		}
	}
	// All that the folder must hold from now on is there.
	if err := p.folder.Commit(); err != nil {
		return err
	}
	return a.announce()
}

// readFiles reads what the options name.
func (a *App) readFiles(_ context.Context, p *parts) (err error) {
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
	return nil
}

// openAddresses takes the addresses.
func (a *App) openAddresses(_ context.Context, p *parts) error {
	if err := a.listen(); err != nil {
		return err
	}
	hostname, _ := os.Hostname() // without a name there is one name less to answer for
	a.hosts = newHosts(a.opts, a.listener.Addr(), hostname, p.proxies)
	p.certs = a.newCertificates(hostname)
	p.certs.established = p.established
	return nil
}

// openDurable opens the resources and the event log, and makes what a first
// start makes.
func (a *App) openDurable(ctx context.Context, p *parts) error {
	sealer, err := a.sealer(p.fresh)
	if err != nil {
		return err
	}
	if p.store, err = store.Open(ctx, store.Options{Engine: p.engine, Sealer: sealer, Logger: a.logger}); err != nil {
		return err
	}
	a.undo("store", func(context.Context) error { p.store.Close(); return nil })
	p.ledger = &eventlog.Ledger{}
	p.registry.MustRegister(newStorageMetrics(p.ledger))
	if p.events, err = eventlog.Open(p.engine, eventlog.Options{Logger: a.logger, Registerer: p.registry, Ledger: p.ledger}); err != nil {
		return err
	}
	a.undo("event log", func(context.Context) error { p.events.Close(); return nil })
	if a.settings, p.secret, err = loadSettings(ctx, p.store, a.clock.Now().UTC()); err != nil {
		return err
	}
	p.watch = &clockWatch{clock: &a.clock, store: p.store, logger: a.logger, settled: p.certs.again}
	p.watch.begin(ctx)
	measureClock(p.registry, &a.clock)
	if err := p.certs.load(); err != nil {
		return err
	}
	written, removed, err := applyGallery(ctx, p.store, p.gallery, a.settings.Admin, a.clock.Now().UTC())
	if err != nil {
		return err
	}
	if written+removed > 0 {
		a.logger.Info("gallery of partners follows its file", "file", a.opts.Gallery, "written", written, "removed", removed)
	}
	if err := upgrade(ctx, p.store, a.clock.Now().UTC(), a.logger); err != nil {
		return err
	}
	if a.opts.WebhookTokens.URL == "" {
		if err := claimAudiences(ctx, p.store, a.clock.Now().UTC()); err != nil {
			return err
		}
	}
	a.directory = newDirectory(p.store, a.clock.Now)
	p.authorizer = &access.Authorizer{}
	o := access.TokenOptions{Directory: a.directory}
	if len(a.opts.OIDCIssuers) > 0 {
		if p.issuers, err = a.opts.issuers(oidc.Settings{Now: a.clock.Now, Logger: a.logger}); err != nil {
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
	if p.sender, err = newWebhookTokens(p.tokens, a.URL(), a.settings.Tenant, a.opts.WebhookTokens, a.clock.Now); err != nil {
		return err
	}
	if p.sender.audiences, err = a.opts.audiences(a.hosts); err != nil {
		return err
	}
	p.sender.store = p.store
	p.notices = newNotices(p.webhooks, p.sender, a.logger)
	o := deliver.DefaultOptions()
	o.Log, o.Logger, o.Registerer, o.Now = p.events, a.logger, p.registry, a.clock.Now
	o.Doubted = a.clock.Doubted
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
		Webhooks: webhooks{client: p.webhooks, store: p.store, tokens: p.sender, base: a.URL()}, Audiences: p.sender.audiences, Validations: eventgrid.NewValidations(), Regions: a.opts.Regions,
		Limits:           a.opts.Limits,
		ValidationWindow: a.opts.ValidationWindow, Deliveries: deliveries{p.dispatcher},
	}
	p.emitter = &activity.Emitter{
		Sources: &activity.Sources{}, Log: activityLog{p.events}, Tenant: a.settings.Tenant, Logger: a.logger, Lost: lostActivity(p.registry),
	}
	p.expiry = newExpiry(p.rules, p.store, p.emitter, &a.clock, a.logger)
	p.table, p.publishing = &publish.Table{}, publish.NewMetrics(p.registry)
	blobs := &blobStores{root: filepath.Join(a.opts.Data, "blobs"), bindings: p.bindings}
	blobs.adopt(eventgrid.DeadLetterAccounts(p.store), a.logger)
	projection := &projection{
		store: p.store, authorizer: p.authorizer, directory: a.directory, table: p.table, publishing: p.publishing,
		dispatcher: p.dispatcher, webhooks: p.webhooks, tokens: p.sender, sources: p.emitter.Sources, notices: p.notices,
		expiry: p.expiry, certificates: p.certs, logger: a.logger, issued: p.tokens, ledger: p.ledger,
		blobs:   blobs,
		domains: make(map[resource.UID]*publish.DomainTopics), channels: make(map[resource.UID]*publish.Channels),
		delivering: make(map[string]map[string]resource.ID), built: make(map[resource.UID]built),
	}
	p.store.Observe(projection.observe)
	p.ledger.SetPayer(projection.payer)
	return a.writeAdminEnv(ctx, p.secret, *p.certs.trust.Load())
}

func (a *App) newCertificates(hostname string) *certificates {
	var extra []string
	for name := range a.hosts.names {
		extra = append(extra, name)
	}
	c := &certificates{
		dir: a.opts.Data, ownCert: a.opts.TLSCert, ownKey: a.opts.TLSKey, clock: &a.clock, logger: a.logger,
		names:   pki.Names{Hostname: hostname, Extra: extra, PublishDomain: a.opts.PublishDomain},
		regions: make(map[string]bool), changed: make(chan struct{}, 1),
	}
	for _, r := range a.opts.Regions {
		c.regions[r] = true
	}
	return c
}
