package deliver

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

// reason says why an event left without being delivered. The set is closed: it
// labels metrics and is what deadletterreason shows.
type reason string

const (
	reasonMaxAttempts reason = "MaxDeliveryAttemptsExceeded"
	reasonTimeToLive  reason = "TimeToLiveExceeded"

	reasonSubscriptionDeleted reason = "SubscriptionDeleted"
	reasonSubscriptionExpired reason = "SubscriptionExpired"
	// reasonDeadLetterFailed: the dead-letter store refused for too long.
	reasonDeadLetterFailed reason = "DeadLetterDestinationUnavailable"
	// reasonDeadLetterMissing: there is no such container, or cannot be.
	reasonDeadLetterMissing reason = "DeadLetterDestinationNotFound"

	// Of unmatched events.
	reasonNoSubscription reason = "NoMatchingSubscription"
	reasonUnknownTopic   reason = "TopicDeleted"
)

// undeliverable names the reason after an outcome that is not retried.
func undeliverable(o destination.Outcome) reason {
	switch o {
	case destination.BadRequest:
		return "UndeliverableDueToHttpBadRequest"
	case destination.Unauthorized:
		return "UndeliverableDueToHttpUnauthorized"
	case destination.Forbidden:
		return "UndeliverableDueToHttpForbidden"
	case destination.NotFound:
		return "UndeliverableDueToHttpNotFound"
	case destination.PayloadTooLarge:
		return "UndeliverableDueToHttpRequestEntityTooLarge"
	default:
		return "UndeliverableDueTo" + reason(o)
	}
}

// drop counts and logs the end of an event that nobody gets. l is nil when the
// subscription is not known any more.
func (d *Dispatcher) drop(l *lane, dl eventlog.Delivery, why reason) {
	topic, name := "", dl.Subscription.String()
	if l != nil {
		sub := l.sub.Load()
		topic, name = l.metrics.topic, sub.Name
	}
	if l != nil && why != reasonSubscriptionDeleted {
		l.metrics.dropped(why)
	} else {
		d.metrics.droppedOrphan(why)
	}
	d.logger.Warn("event dropped",
		slog.String("reason", string(why)),
		slog.String("topic", topic), slog.String("subscription", name),
		slog.String("eventId", dl.Event.ID), slog.String("systemId", uuid.UUID(dl.ID).String()),
		slog.Int("attempts", dl.Attempts),
		slog.String("lastOutcome", dl.LastOutcome), slog.Int("lastStatus", dl.LastStatus),
	)
}

// unmatched logs an event that no subscription wants. That is normal for a
// topic with filters, so the line is for those who ask for it.
func (d *Dispatcher) unmatched(topic string, e *eventlog.Entry, why reason, level slog.Level) {
	ctx := context.Background()
	if !d.logger.Enabled(ctx, level) {
		return
	}
	d.logger.LogAttrs(ctx, level, "event unmatched",
		slog.String("reason", string(why)), slog.String("topic", topic),
		slog.String("eventId", e.Event.ID), slog.String("systemId", uuid.UUID(e.ID).String()),
	)
}
