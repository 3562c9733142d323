package deliver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

const domainID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventGrid/domains/shop"

var domainUID = resource.UID{7}

func TestADomainsSubscriptionsSeeItsTopicsEvents(t *testing.T) {
	typed := func(types ...string) *filter.Filter {
		f, err := filter.Compile(filter.Spec{IncludedEventTypes: types})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const elsewhere = "elsewhere"
	for _, row := range []struct {
		name            string
		topic, domain   resource.UID // of the event
		onTopic, around *filter.Filter
		want            []string // who got it
		unmatched       string   // whose counter
	}{
		{name: "both", topic: topicUID, domain: domainUID, onTopic: typed(), around: typed(), want: []string{"sub1", "sub2"}},
		{name: "the topic only", topic: topicUID, domain: domainUID, onTopic: typed(), around: typed("x"), want: []string{"sub1"}},
		{name: "the domain only", topic: topicUID, domain: domainUID, onTopic: typed("x"), around: typed(), want: []string{"sub2"}},
		{name: "neither", topic: topicUID, domain: domainUID, onTopic: typed("x"), around: typed("x"), unmatched: domainID},
		{name: "no such topic", topic: domainUID, onTopic: typed(), around: typed(), want: []string{"sub2"}},
		{name: "no such topic, not wanted", topic: domainUID, onTopic: typed(), around: typed("x"), unmatched: domainID},
		{
			name: "a topic without subscriptions", topic: resource.UID{9}, domain: domainUID,
			onTopic: typed(), around: typed(), want: []string{"sub2"},
		},
		{
			name: "nobody there", topic: resource.UID{9}, domain: domainUID,
			onTopic: typed(), around: typed("x"), unmatched: domainID,
		},
		{name: "another topic", topic: topicUID, onTopic: typed("x"), around: typed(), unmatched: topicID},
		{name: "unknown", topic: resource.UID{9}, domain: resource.UID{10}, onTopic: typed(), around: typed(), unmatched: elsewhere},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(r *rig) []*Subscription {
				around := sub(t, 2, always(delivered))
				around.Filter, around.Topic = row.around, domainUID
				r.SetTopic(domainUID, domainID, []*Subscription{around})
				on := sub(t, 1, always(delivered))
				on.Filter = row.onTopic
				return []*Subscription{on}
			}, func(r *rig) {
				e := entry(0)
				e.Topic, e.Domain = row.topic, row.domain
				r.disk.publish([]eventlog.Entry{e}...)
				pass(time.Second)
				var got []string
				for _, name := range []string{"sub1", "sub2"} {
					if r.value(t, "eventgrid_delivery_success_total", name) == 1 {
						got = append(got, name)
					}
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("who got the event (-want +got):\n%s", diff)
				}
				for _, id := range []string{topicID, domainID, elsewhere} {
					label, want := id, 0.0
					if id == elsewhere {
						label = ""
					}
					if row.unmatched == id {
						want = 1
					}
					if n := r.value(t, "eventgrid_unmatched_events_total", label); n != want {
						t.Errorf("unmatched_events_total{topic=%q} = %v, want %v", label, n, want)
					}
				}
				if r.disk.left() != 0 {
					t.Error("a record is left")
				}
				r.RemoveTopic(domainUID)
				r.RemoveTopic(topicUID)
				if n := r.value(t, "eventgrid_unmatched_events_total", domainID); n != 0 {
					t.Error("a series of the removed domain is left")
				}
			})
		})
	}
}
