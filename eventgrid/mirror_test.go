package eventgrid

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

// pair is what both ends of a channel show.
type pair struct{ Channel, Topic end }

type end struct {
	There         bool
	State         string
	Expires       string
	Message, Text bool
	Types         int
}

func (w *world) pair() pair {
	at := func(t *resource.Time) string {
		if t == nil {
			return ""
		}
		return t.Std().Format("2006-01-02")
	}
	types := func(i *EventTypeInfo) int {
		if i == nil {
			return 0
		}
		return len(i.Inline)
	}
	var p pair
	if w.exists(channelID) {
		c := props[Channel](w, channelID)
		p.Channel = end{true, c.ReadinessState, at(c.Expires), c.Message != nil, false, types(c.PartnerTopic.EventTypes)}
	}
	if w.exists(topicID) {
		t := props[PartnerTopic](w, topicID)
		p.Topic = end{true, t.ActivationState, at(t.Expires), t.Message != nil, t.FriendlyDescription != nil, types(t.EventTypes)}
	}
	return p
}

// The table of channel and partner topic, row by row.
func TestChannelAndPartnerTopicChangeTogether(t *testing.T) {
	fresh := pair{end{true, NeverActivated, "2026-03-08", true, false, 0}, end{true, NeverActivated, "2026-03-08", true, true, 0}}
	active := pair{end{true, Activated, "", false, false, 0}, end{true, Activated, "", false, false, 0}}
	off := pair{end{true, Activated, "", false, false, 0}, end{true, Deactivated, "", false, false, 0}}
	steps := func(w *world, names ...string) {
		for _, name := range names {
			switch name {
			case "activate", "deactivate":
				w.must(w.post(topicID, name, ""))
			case "customer deletes":
				w.must(w.delete(topicID))
			case "partner deletes":
				w.must(w.delete(channelID))
			case "types":
				w.must(w.patch(channelID, `{"properties":{"partnerTopicInfo":{"eventTypeInfo":{"kind":"inline","inlineEventTypes":{"A":{},"B":{}}}}}}`))
			case "fewer types":
				w.must(w.patch(channelID, `{"properties":{"partnerTopicInfo":{"eventTypeInfo":{"inlineEventTypes":{"A":{}}}}}}`))
			case "sooner":
				w.must(w.patch(channelID, `{"properties":{"expirationTimeIfNotActivatedUtc":"2026-03-05T00:00:00Z"}}`))
			case "8 days":
				w.now = w.now.Add(8 * day)
				w.must(w.change(func(tx resource.Tx) error { return w.rules.Expire(tx, topicID, w.now) }))
			}
		}
	}
	for name, c := range map[string]struct {
		steps []string
		want  pair
	}{
		"created":                      {nil, fresh},
		"activated":                    {[]string{"activate"}, active},
		"activated twice":              {[]string{"activate", "activate"}, active},
		"deactivated":                  {[]string{"activate", "deactivate"}, off},
		"activated again":              {[]string{"activate", "deactivate", "activate"}, active},
		"expiry changed":               {[]string{"sooner"}, pair{end{true, NeverActivated, "2026-03-05", true, false, 0}, end{true, NeverActivated, "2026-03-05", true, true, 0}}},
		"expiry changed, too late":     {[]string{"activate", "sooner"}, active},
		"types changed":                {[]string{"types"}, pair{end{true, NeverActivated, "2026-03-08", true, false, 2}, end{true, NeverActivated, "2026-03-08", true, true, 2}}},
		"types changed when active":    {[]string{"activate", "types", "fewer types"}, pair{end{true, Activated, "", false, false, 1}, end{true, Activated, "", false, false, 1}}},
		"customer deletes":             {[]string{"customer deletes"}, pair{}},
		"customer deletes when active": {[]string{"activate", "customer deletes"}, pair{}},
		"partner deletes":              {[]string{"partner deletes"}, pair{}},
		"partner deletes when active":  {[]string{"activate", "partner deletes"}, pair{}},
		"nobody activates in time":     {[]string{"8 days"}, pair{}},
		"activated in time":            {[]string{"activate", "8 days"}, active},
		"activated, then turned off":   {[]string{"activate", "deactivate", "8 days"}, off},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			steps(w, c.steps...)
			if diff := cmp.Diff(c.want, w.pair()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMirrorShowsWhatTheChannelSays(t *testing.T) {
	w := newWorld(t).withNamespace().withGrant()
	w.must(w.put(channelID, channelBody(`,"messageForActivation":"by J. Holm"`)))
	message, at := "by J. Holm", resource.Time(w.now.Add(7*day))
	want := &PartnerTopic{
		ImmutableID: w.partner().ImmutableID, Source: "/northwave/4711", ActivationState: NeverActivated, ProvisioningState: Succeeded,
		Expires: &at, FriendlyDescription: &message, Message: &message,
	}
	if diff := cmp.Diff(want, props[PartnerTopic](w, topicID), cmp.Comparer(func(a, b resource.Time) bool { return a.Same(b) })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := w.get(topicID).Location; got != "westeurope" {
		t.Errorf("location %q, not that of the namespace", got)
	}
}

func TestActivationRefusals(t *testing.T) {
	w := newWorld(t).withChannel()
	w.wantError(w.post(topicID, "deactivate", ""), resource.InvalidRequest, "never activated")
	late := *w
	late.now = w.now.Add(7 * day)
	w.wantError(late.post(topicID, "activate", ""), resource.NotFound, "expired")
	just := *w
	just.now = w.now.Add(7*day - time.Second)
	w.must(just.post(topicID, "activate", ""))
	w.all.Delete(channelID) // by another program: both go together here
	w.wantError(w.post(topicID, "activate", ""), resource.Conflict, "does not exist any more")
	w.must(w.delete(topicID))
}

func TestActivationIsNotTheCustomersSignatureOnThePartnersSide(t *testing.T) {
	w := newWorld(t).withChannel()
	before := w.get(channelID).ModifiedBy
	w.must(w.change(func(tx resource.Tx) error {
		r, _ := tx.Get(topicID)
		_, err := w.kinds[TypePartnerTopic].Actions["activate"].Do(&resource.Call{Tx: tx, Resource: r, Caller: "the customer", Now: w.now})
		return err
	}))
	if got := w.get(channelID).ModifiedBy; got != before {
		t.Errorf("the partner sees %q", got)
	}
	if got := w.get(topicID).ModifiedBy; got != "the customer" {
		t.Errorf("the customer sees %q", got)
	}
}

func TestDeletingTakesEventSubscriptionsAlong(t *testing.T) {
	for name, id := range map[string]resource.ID{"by the customer": topicID, "by the partner": channelID} {
		w := newWorld(t).withSubscription()
		w.must(w.delete(id))
		if w.exists(subscriptionID) || w.exists(topicID) || w.exists(channelID) {
			t.Errorf("%s: something is left", name)
		}
	}
}

// A topic of the same name that belongs to somebody else is not the mirror.
func TestOnlyTheOwnMirrorIsTouched(t *testing.T) {
	w := newWorld(t).withChannel()
	foreign := w.get(topicID).Clone()
	foreign.Secret(secretChannel, resource.NewUID().String())
	w.all.Put(foreign)
	w.must(w.delete(channelID))
	if !w.exists(topicID) {
		t.Error("a foreign partner topic was deleted")
	}
	if _, ok := ChannelOf(w.all, foreign); ok {
		t.Error("a foreign partner topic has a channel")
	}
	if id, ok := ChannelID(foreign); !ok || !id.Equal(channelID) {
		t.Errorf("got %v, %v", id, ok)
	}
}

func TestCustomersPutOfAPartnerTopic(t *testing.T) {
	w := newWorld(t).withChannel()
	before := w.pair()
	w.must(w.put(topicID, `{"location":"West Europe","tags":{"cost":"42"},"properties":{"source":"/Northwave/4711","eventTypeInfo":null}}`))
	if diff := cmp.Diff(before, w.pair()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p := props[PartnerTopic](w, topicID)
	if p.Source != "/northwave/4711" || w.get(topicID).Tags["cost"] != "42" {
		t.Errorf("got %+v, tags %v", p, w.get(topicID).Tags)
	}
	w.must(w.patch(topicID, `{"tags":{}}`))
	if len(w.get(topicID).Tags) != 0 {
		t.Error("tags are left")
	}
	w.must(w.post(topicID, "activate", "")) // the PUT did not cut it off from its channel
}
