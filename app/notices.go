package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// Notices are sent by a few workers from a bounded queue; one that finds it full
// is not sent, as Event Grid promises none.
const (
	noticeWorkers = 4
	noticesQueued = 1024
)

// notices tells webhooks that their event subscription was deleted: once, and
// whatever they answer.
type notices struct {
	client *webhook.Client
	tokens *webhookTokens
	logger *slog.Logger
	queue  chan webhook.Deletion
}

func newNotices(client *webhook.Client, tokens *webhookTokens, logger *slog.Logger) *notices {
	return &notices{client: client, tokens: tokens, logger: logger, queue: make(chan webhook.Deletion, noticesQueued)}
}

// deleted queues the notice of an event subscription, if its endpoint has
// consented to events and reads the Event Grid schema: the notice is such an
// event.
func (n *notices) deleted(r *resource.Resource) {
	url := r.Secrets[eventgrid.SecretValidatedURL]
	if url == "" {
		return
	}
	es, err := resource.Properties[eventgrid.EventSubscription](r)
	if err != nil || es.Schema.Event() == event.CloudEvents {
		return
	}
	d := webhook.Deletion{URL: url, SubscriptionName: r.ID.Name(), SubscriptionID: r.ID.String(), Topic: es.Topic}
	if hook, ok := es.WebHook(); ok {
		d.Token = n.tokens.once(hook.Protection(r))
	}
	select {
	case n.queue <- d:
	default:
		n.logger.Debug("deletion notice not sent: too many are waiting", "subscription", d.SubscriptionID)
	}
}

// run sends notices until ctx ends.
func (n *notices) run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range noticeWorkers {
		workers.Go(func() {
			for {
				select {
				case d := <-n.queue:
					if err := n.client.NotifyDeletion(ctx, d); err != nil && ctx.Err() == nil {
						n.logger.Debug("deletion notice not taken", "subscription", d.SubscriptionID, "error", err)
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
	workers.Wait()
	return nil
}
