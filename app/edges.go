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

	"golang.org/x/net/netutil"

	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/atomicfile"
	"github.com/intertie/intertie/graph"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/signin"
	"github.com/intertie/intertie/telemetry"
)

// openEdges starts everything that runs: first what delivers, then what takes
// requests.
func (a *App) openEdges(ctx context.Context, p *parts) error {
	pub := &publish.Handler{
		Table: p.table, Log: p.events, Tokens: p.tokens, Authorizer: p.authorizer, PublishDomain: a.opts.PublishDomain,
		TrustedProxies: p.proxies, Now: a.clock.Now, Logger: a.logger, Metrics: p.publishing,
	}
	if a.opts.IngressEvents > 0 || a.opts.IngressBytes > 0 {
		pub.Throttle = &publish.Throttle{Events: float64(a.opts.IngressEvents), Bytes: float64(a.opts.IngressBytes)}
	}
	a.supervise(ctx, "clock", p.watch.run)
	a.supervise(ctx, "storage limits", func(ctx context.Context) error {
		return limitStorage(ctx, a.opts.Storage, p.ledger, p.engine.Free)
	})
	a.supervise(ctx, "certificates", p.certs.run)
	a.supervise(ctx, "expiry", p.expiry.run)
	if p.issuers != nil {
		a.supervise(ctx, "token issuers", p.issuers.Run)
	}
	a.supervise(ctx, "deletion notices", p.notices.run)
	a.supervise(ctx, "delivery", p.dispatcher.Run)
	a.unhurried() // it has a limit of its own, and what it does is what a stop waits for
	if err := a.serveProfiles(); err != nil {
		return err
	}
	f, management := a.newFront(p, pub)
	a.supervise(ctx, "deployments", management.Deployments.Run)
	a.serve(f, p.certs, pub)
	return nil
}

// newFront puts all edges behind one handler.
func (a *App) newFront(p *parts, pub *publish.Handler) (*front, *arm.Handler) {
	management := &arm.Handler{
		Store: p.store, Rules: p.rules, Tokens: p.tokens, Authorizer: p.authorizer, Principal: a.directory.ByObjectID, Tenant: a.settings.Tenant,
		Base: a.hosts.base, DefaultBase: a.URL(), PublishDomain: a.opts.PublishDomain, Now: a.clock.Now, Logger: a.logger,
		ExternalPrincipals: p.issuers != nil,
		Activity:           p.emitter, ClientIP: a.hosts.clientIP, Deployments: arm.NewDeployments(arm.DeploymentOptions{Shared: a.opts.NATS != ""}),
	}
	management.Storage = func(subscription string) arm.Usage {
		account := p.ledger.Account(payerOf(resource.SubscriptionID(subscription)))
		return arm.Usage{Used: account.Kept(), Limit: account.Limit()}
	}
	management.Init()
	return &front{
		publish: pub,
		edges: []edge{
			management,
			&graph.Handler{
				Tokens: p.tokens, Authorizer: p.authorizer, Directory: a.directory, Tenant: a.settings.Tenant,
				BaseURL: a.hosts.baseURL, Audiences: []string{a.URL()}, ClientIP: a.hosts.clientIP, Logger: a.logger,
			},
			&signin.Handler{
				Tokens: p.tokens, Directory: a.directory, Tenant: a.settings.Tenant,
				BaseURL: a.hosts.baseURL, Audiences: []string{a.URL()}, ClientIP: a.hosts.clientIP, Logger: a.logger,
			},
		},
		metrics: telemetry.Handler(p.registry, a.logger), mayReadMetrics: mayReadMetrics(p.tokens, p.authorizer, a.hosts),
		// A proxy may be on this machine, and not say for whom it asks.
		metricsByToken: a.opts.PublicURL != "" || len(p.proxies) > 0,
		secure:         a.hosts.forwardedHTTPS,
		forwarded:      a.hosts.forwarded,
		ready: func() error {
			if !a.ready.Load() {
				return errNotReady
			}
			if err := p.engine.Reachable(); err != nil {
				return fmt.Errorf("the storage cannot be reached: %w", err)
			}
			return p.store.Healthy()
		},
		draining: &a.draining,
	}, management
}

func (a *App) listen() error {
	var err error
	if a.listener, err = net.Listen("tcp", a.opts.Listen); err != nil {
		return fmt.Errorf("--listen %s: %w", a.opts.Listen, listenReason(err))
	}
	bound := connections(descriptors())
	a.listener = netutil.LimitListener(a.listener, bound)
	listener := a.listener
	a.undo("listener", func(context.Context) error { return ignoreClosed(listener.Close()) })
	if a.opts.ListenHTTP == "" {
		return nil
	}
	if a.plainListener, err = net.Listen("tcp", a.opts.ListenHTTP); err != nil {
		return fmt.Errorf("--listen-http %s: %w", a.opts.ListenHTTP, listenReason(err))
	}
	a.plainListener = netutil.LimitListener(a.plainListener, bound)
	plain := a.plainListener
	a.undo("plain listener", func(context.Context) error { return ignoreClosed(plain.Close()) })
	return nil
}

const mostConnections = 16384

// connections is how many a listener takes at once, of so many descriptors as the
// process has: deliveries and the database need theirs, or a flood of clients would
// end the process for want of a file. 0 descriptors are not known.
func connections(descriptors uint64) int {
	if descriptors == 0 {
		return mostConnections
	}
	return int(min(max(descriptors/4, 16), mostConnections))
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
	a.undo("publishing", func(ctx context.Context) error {
		pub.Drain()
		return a.grace(ctx)
	})
}

// grace keeps the listeners open for a moment, in which publishers are told to come
// back and load balancers see that this server is not ready any more.
func (a *App) grace(ctx context.Context) error {
	if !a.ready.Load() {
		return nil // nobody was sent here
	}
	select {
	case <-time.After(a.opts.StopGrace):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-a.done:
		return nil // what has failed may not be kept waiting
	}
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
	path := filepath.Join(a.opts.Data, runName)
	if err := atomicfile.Write(path, runFile{URL: a.URL(), HTTP: a.HTTPURL(), PID: os.Getpid()}.encode(), 0o600); err != nil {
		return err
	}
	a.undo("run.json", func(context.Context) error { return os.Remove(path) })
	a.ready.Store(true)
	return nil
}
