package e2e

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// TestDeletionAccountsForEveryEvent deletes what has event subscriptions, in every
// way there is, while their events are in every place where events can be: in
// attempts, in memory, in the backlog, waiting for a retry and among the dead
// letters. Each event of each subscription is named once, and counted.
func TestDeletionAccountsForEveryEvent(t *testing.T) {
	t.Parallel()
	type world struct {
		*server
		partner, customer, shop *side
	}
	group := func(d *side) func(*testing.T, *world) {
		return func(t *testing.T, _ *world) {
			p, err := d.groups.BeginDelete(t.Context(), d.group, nil)
			await(t, p, err)
		}
	}
	// Each makes something and returns the scope of its event subscriptions, how
	// events get there, and how all of it goes.
	topic := func(t *testing.T, w *world) (string, eventPublisher) {
		at := w.shop.openTopic(t, "orders", gridInput)
		return at.id, at
	}
	domain := func(t *testing.T, w *world) (string, eventPublisher) {
		at := w.shop.openDomain(t, "tenants", gridInput)
		return at.id, &inDomain{source: at, topic: "one"}
	}
	partnerTopic := func(t *testing.T, w *world) (string, eventPublisher) {
		w.partner, w.customer = pair(t, w.server)
		if err := w.partner.putChannel(t, w.customer, "orders"); err != nil {
			t.Fatal(err)
		}
		w.customer.activate(t, "orders")
		return w.customer.id("partnerTopics", "orders"), publisherOf(t, w.partner, "orders")
	}
	remove := func(id func(*world) string) func(*testing.T, *world, string) {
		return func(t *testing.T, w *world, scope string) {
			d := w.shop
			at := scope
			if id != nil {
				at = id(w)
			}
			if strings.Contains(at, "/partnerTopics/") {
				d = w.customer
			}
			if strings.Contains(at, "/partnerNamespaces/") {
				d = w.partner
			}
			if a := d.call(t, http.MethodDelete, at, ""); a.status >= 300 {
				t.Errorf("deleting %s: %d %s", at, a.status, a.body)
			}
		}
	}
	for name, tt := range map[string]struct {
		make   func(*testing.T, *world) (string, eventPublisher)
		below  string // of what was made: where the event subscriptions are
		delete func(*testing.T, *world, string)
	}{
		"event subscriptions": {topic, "", func(t *testing.T, w *world, scope string) {
			for _, es := range []string{"hangs", "fails", "dead"} {
				p, err := w.shop.NewEventSubscriptionsClient().BeginDelete(t.Context(), scope, es, nil)
				await(t, p, err)
			}
		}},
		"topic":          {topic, "", remove(nil)},
		"group of topic": {topic, "", func(t *testing.T, w *world, _ string) { group(w.shop)(t, w) }},
		"domain":         {domain, "", remove(nil)},
		"domain of a topic": {domain, "/topics/one", func(t *testing.T, w *world, scope string) {
			remove(nil)(t, w, strings.TrimSuffix(scope, "/topics/one"))
		}},
		"domain topic":  {domain, "/topics/one", remove(nil)},
		"partner topic": {partnerTopic, "", remove(nil)},
		"channel": {partnerTopic, "", remove(func(w *world) string {
			return w.partner.id("partnerNamespaces", namespace, "channels", "orders")
		})},
		"customer's group": {partnerTopic, "", func(t *testing.T, w *world, _ string) { group(w.customer)(t, w) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const events, subscriptions = 2000, 3
			w := &world{server: serve(t, "--retry-schedule", "4s", "--dead-letter-delay", "6s")}
			hook := receive(t)
			release := make(chan struct{})
			hook.answer("/hangs", func(rw http.ResponseWriter, r *http.Request) {
				select {
				case <-release:
				case <-r.Context().Done():
				}
				rw.WriteHeader(http.StatusInternalServerError)
			})
			hook.answer("/fails", status(http.StatusInternalServerError))
			hook.answer("/dead", status(http.StatusBadRequest))
			w.shop = shop(t, w.server)
			scope, to := tt.make(t, w)
			scope += tt.below
			owner := w.shop
			if w.customer != nil {
				owner = w.customer
			}
			schema := armeventgrid.EventDeliverySchemaEventGridSchema
			if w.customer != nil {
				schema = armeventgrid.EventDeliverySchemaCloudEventSchemaV10
			}
			for _, es := range []string{"hangs", "fails"} {
				owner.subscribeAt(t, scope, es, webhookAs(hook.URL+"/"+es, schema))
			}
			owner.subscribeAt(t, scope, "dead", deadLettered(webhookAs(hook.URL+"/dead", schema), owner.account("letters"), "letters", 5))

			for i := 0; i < events; i += 100 {
				ids := make([]string, 100)
				for j := range ids {
					ids[j] = fmt.Sprintf("e%d", i+j)
				}
				if ok, err := to.publish(t.Context(), ids...); !ok {
					t.Fatalf("publishing: %v", err)
				}
			}
			until(t, 20*time.Second, "events wait in every place", func() bool {
				return w.metric(t, "eventgrid_matched_events_total{") == events*subscriptions &&
					w.metric(t, `intertie_eventlog_waiting_records{queue="retry"}`) > 100 &&
					w.metric(t, `intertie_eventlog_waiting_records{queue="deadletter"}`) > 100 &&
					w.metric(t, `intertie_eventlog_waiting_records{queue="backlog"}`) > 100
			})
			tt.delete(t, w, scope)
			close(release)

			ended := regexp.MustCompile(`msg="event (?:dropped|dead-lettered)" .*eventId=(\S+) `)
			lines := func() int { return strings.Count(w.stderr.String(), `msg="event d`) }
			if !cameTrue(t.Context(), 40*time.Second, func() bool { return lines() >= events*subscriptions }) {
				t.Errorf("%d ends of %d are named", lines(), events*subscriptions)
			}
			times := make(map[string]int)
			for _, m := range ended.FindAllStringSubmatch(w.stderr.String(), -1) {
				times[m[1]]++
			}
			for id, n := range times {
				if n != subscriptions {
					t.Errorf("%s is named %d times, want %d", id, n, subscriptions)
				}
			}
			counted := w.metric(t, "eventgrid_dropped_total{") + w.metric(t, "eventgrid_dead_lettered_total{")
			if n := lines(); int(counted) != n {
				t.Errorf("%v are counted, %d named", counted, n)
			}
			until(t, 10*time.Second, "nothing is left", func() bool { return w.metric(t, "intertie_eventlog_waiting_records{") == 0 })
		})
	}
}

// inDomain publishes to one topic of a domain.
type inDomain struct {
	*source
	topic string
}

func (d *inDomain) publish(ctx context.Context, ids ...string) (bool, error) {
	events := make([]string, len(ids))
	for i, id := range ids {
		events[i] = strings.Replace(gridEvent(id, "{}"), "{", `{"topic":"`+d.topic+`",`, 1)
	}
	a, err := d.post(ctx, "["+strings.Join(events, ",")+"]", nil)
	return err == nil && a.status == http.StatusOK, err
}

// metric sums the series that begin with prefix.
func (s *server) metric(t *testing.T, prefix string) (sum float64) {
	t.Helper()
	a, err := s.send(t.Context(), http.MethodGet, s.url+"/metrics", nil, nil)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("metrics: %d %v", a.status, err)
	}
	for line := range strings.SplitSeq(string(a.body), "\n") {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum += v
	}
	return sum
}
