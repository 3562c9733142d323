package app

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
)

// activityLog lets management events take the way of all events.
type activityLog struct{ events *eventlog.Log }

// Append implements [activity.Log].
func (l activityLog) Append(ctx context.Context, entries []activity.Entry) error {
	out := make([]eventlog.Entry, len(entries))
	for i, e := range entries {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		out[i] = eventlog.Entry{ID: id, Topic: e.Topic, Published: e.Published, Event: e.Event}
	}
	return l.events.Append(ctx, out)
}

func lostActivity(r prometheus.Registerer) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "intertie_management_events_lost_total", Help: "Events of the types Microsoft.Resources.* that could not be stored.",
	})
	r.MustRegister(c)
	return c
}

// deliveries shows how the delivery to an event subscription goes.
type deliveries struct{ dispatcher *deliver.Dispatcher }

// Status implements [eventgrid.Deliveries].
func (d deliveries) Status(uid resource.UID) (any, bool) {
	s, ok := d.dispatcher.Status(uid)
	if !ok {
		return nil, false
	}
	return deliveryStatus(s), true
}

// clientIP returns the address that a request comes from, as far as trusted
// proxies vouch for it.
func (h *hosts) clientIP(r *http.Request) string {
	if a := publish.ClientAddr(r, h.proxies); a.IsValid() {
		return a.String()
	}
	return r.RemoteAddr
}
