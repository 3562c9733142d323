package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	requestTimeout = 10 * time.Second // one JetStream API request
	drainTimeout   = 10 * time.Second
	syncTimeout    = 500 * time.Millisecond // for all servers to say whether they sync
)

// connect reaches the servers, and checks that they can serve.
func (e *Engine) connect(ctx context.Context) (err error) {
	at := redact(e.opts.URL)
	if e.conn, err = nats.Connect(e.opts.URL, e.connectOptions()...); err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the rest of it is the URL, with its password
		}
		return fmt.Errorf("cannot reach NATS at %s: %w", at, err)
	}
	defer func() {
		if err != nil {
			e.end(err)
			e.conn.Close()
			<-e.closed
		}
	}()
	if got := e.conn.MaxPayload(); got < MinPayload {
		return fmt.Errorf("NATS at %s allows messages of %d bytes, %d are needed: set max_payload: 8MB in its configuration", at, got, MinPayload)
	}
	if e.js, err = jetstream.New(e.conn, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return fmt.Errorf("use JetStream at %s: %w", at, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for {
		_, err = e.js.AccountInfo(ctx)
		// A cluster that is starting has no leader yet.
		if !isCode(err, unavailable, notLeader) || !sleep(ctx, recoverDelay) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("JetStream does not answer at %s (is it enabled there?): %w", at, err)
	}
	return nil
}

func (e *Engine) connectOptions() []nats.Option {
	log := e.opts.Logger
	return []nats.Option{
		nats.Name("intertie"),
		nats.Timeout(requestTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(recoverDelay),
		nats.DrainTimeout(drainTimeout),
		nats.ClosedHandler(func(*nats.Conn) {
			e.fail(errors.New("the connection to NATS was closed for good"))
			close(e.closed)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("connected to NATS again") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", "error", err)
		}),
	}
}

// checkSync looks whether the servers sync before they answer, and says so. Only
// the system account tells, so it takes credentials that may ask there.
func (e *Engine) checkSync(ctx context.Context) {
	lazy, asked, err := e.lazyServers(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil || asked == 0:
		e.opts.Logger.Info("cannot see whether NATS syncs what it stores: it must be configured with jetstream { sync_interval: always }")
	case len(lazy) > 0:
		e.opts.Logger.Warn("NATS does not sync what it stores before it answers: a power cut loses what was acknowledged. Set jetstream { sync_interval: always }",
			"servers", strings.Join(lazy, ", "))
	}
}

// lazyServers asks all servers, and returns those that do not sync.
func (e *Engine) lazyServers(ctx context.Context) (lazy []string, asked int, err error) {
	inbox := e.conn.NewInbox()
	sub, err := e.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // at worst it ends with the connection
	if err := e.conn.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox, nil); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return lazy, asked, nil // that was all
		}
		var answer struct {
			Server struct {
				Name string `json:"name"`
			} `json:"server"`
			Data *struct {
				Disabled bool `json:"disabled"`
				Config   struct {
					Always bool `json:"sync_always"`
				} `json:"config"`
			} `json:"data"`
		}
		if json.Unmarshal(m.Data, &answer) != nil || answer.Data == nil || answer.Data.Disabled {
			continue
		}
		asked++
		if !answer.Data.Config.Always {
			lazy = append(lazy, answer.Server.Name)
		}
	}
}

// redact removes user names, passwords and tokens from a list of URLs.
func redact(list string) string {
	urls := strings.Split(list, ",")
	for i, s := range urls {
		if u, err := url.Parse(strings.TrimSpace(s)); err == nil && u.User != nil {
			u.User = nil
			urls[i] = u.String()
		} else if err != nil {
			urls[i] = "(unreadable URL)"
		}
	}
	return strings.Join(urls, ",")
}
