package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// crashes is how often each test kills the server.
const crashes = 5

// TestKilledUnderLoad kills the server at random moments while events come in:
// every event answered 200 arrives, and publishing soon works again.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	p := publisherOf(t, partner, "orders")
	var accepted []string
	for round := range crashes {
		ids, stop := publishUntilStopped(t, p, fmt.Sprintf("round%d", round))
		after(t.Context(), 300*time.Millisecond+rand.N(1200*time.Millisecond))
		s.kill(t)
		stop()
		accepted = append(accepted, ids()...)
		t.Logf("round %d: killed with %d events accepted and %d arrived", round, len(accepted), len(hook.byID("/orders")))

		began := time.Now()
		s.launch(t)
		probe := fmt.Sprintf("probe%d", round)
		until(t, 10*time.Second, "publishing works again", func() bool {
			ok, _ := p.publish(t.Context(), probe)
			return ok
		})
		t.Logf("round %d: publishing again %s after the start", round, time.Since(began).Round(time.Millisecond))
		accepted = append(accepted, probe)
		until(t, startLimit, "the server is ready", s.ready)
	}
	if !cameTrue(t.Context(), time.Minute, func() bool { return hook.hasAll("/orders", accepted) }) {
		missing := hook.missing("/orders", accepted)
		t.Fatalf("%d of %d accepted events are lost, such as %s", len(missing), len(accepted), missing[0])
	}
	total := len(hook.deliveries("/orders"))
	t.Logf("%d events accepted, %d deliveries", len(accepted), total)
	checkWorld(t, partner, customer)
}

// TestTopicKilledUnderLoad kills the server while a custom topic takes events
// that go out in batches, converted and as they are.
func TestTopicKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := serve(t, "--retry-schedule", "1s")
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	for path, schema := range map[string]armeventgrid.EventDeliverySchema{"/grid": asGrid, "/cloud": asCloud} {
		d.subscribeAt(t, topic.id, path[1:], batched(webhookAs(hook.URL+path, schema), 50))
	}
	// Some batches fail, each as a whole.
	hook.answer("/cloud", func(w http.ResponseWriter, _ *http.Request) {
		if rand.N(4) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	var accepted []string
	for round := range crashes {
		ids, stop := publishUntilStopped(t, topic, fmt.Sprintf("round%d", round))
		after(t.Context(), 300*time.Millisecond+rand.N(700*time.Millisecond))
		s.kill(t)
		stop()
		accepted = append(accepted, ids()...)
		s.start(t)
	}
	hook.answer("/cloud", nil)
	for _, path := range []string{"/grid", "/cloud"} {
		if !cameTrue(t.Context(), time.Minute, func() bool { return hook.hasAll(path, accepted) }) {
			missing := hook.missing(path, accepted)
			t.Errorf("%s: %d of %d accepted events are lost, such as %s", path, len(missing), len(accepted), missing[0])
		}
		largest := 0
		for _, got := range hook.deliveries(path) {
			largest = max(largest, got.of)
		}
		t.Logf("%s: %d events accepted, %d deliveries, batches of up to %d", path, len(accepted), len(hook.deliveries(path)), largest)
		if largest < 2 || largest > 50 {
			t.Errorf("%s: the largest batch has %d events", path, largest)
		}
	}
}

// eventPublisher is what takes events: a partner's channel or a custom topic.
type eventPublisher interface {
	publish(ctx context.Context, ids ...string) (bool, error)
}

// publishUntilStopped publishes from several clients, singly and in batches,
// each of them until its first failure. ids are those that were answered 200.
func publishUntilStopped(t *testing.T, p eventPublisher, prefix string) (ids func() []string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var accepted []string
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				batch := make([]string, 1+c%3*10)
				for i := range batch {
					batch[i] = fmt.Sprintf("%s-%d-%d-%d", prefix, c, n, i)
				}
				ok, err := p.publish(ctx, batch...)
				if err != nil {
					return
				}
				if ok {
					mu.Lock()
					accepted = append(accepted, batch...)
					mu.Unlock()
				}
			}
		})
	}
	return func() []string { mu.Lock(); defer mu.Unlock(); return accepted }, func() { cancel(); clients.Wait() }
}

// checkWorld looks whether everything that pair and connect made is there.
func checkWorld(t *testing.T, partner, customer *side) {
	t.Helper()
	must(partner.groups.Get(t.Context(), partner.group, nil))(t)
	must(partner.NewPartnerRegistrationsClient().Get(t.Context(), partner.group, registration, nil))(t)
	must(partner.NewChannelsClient().Get(t.Context(), partner.group, namespace, "orders", nil))(t)
	must(customer.NewPartnerConfigurationsClient().Get(t.Context(), customer.group, nil))(t)
	topic := must(customer.NewPartnerTopicsClient().Get(t.Context(), customer.group, "orders", nil))(t)
	if *topic.Properties.ActivationState != armeventgrid.PartnerTopicActivationStateActivated {
		t.Errorf("the partner topic is %s", *topic.Properties.ActivationState)
	}
	sub := must(customer.NewPartnerTopicEventSubscriptionsClient().Get(t.Context(), customer.group, "orders", "to-erp", nil))(t)
	if *sub.Properties.ProvisioningState != armeventgrid.EventSubscriptionProvisioningStateSucceeded {
		t.Errorf("the event subscription is %s", *sub.Properties.ProvisioningState)
	}
}

// TestBacklogSurvivesKill kills the server while far more waits for an endpoint
// that hangs than fits into memory queues.
func TestBacklogSurvivesKill(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	asked := hook.hang("/orders")
	p := publisherOf(t, partner, "orders")
	var ids []string
	for n := range 40 {
		batch := make([]string, 100)
		for i := range batch {
			batch[i] = fmt.Sprintf("b%d-%d", n, i)
		}
		if ok, err := p.publish(t.Context(), batch...); !ok {
			t.Fatal(err)
		}
		ids = append(ids, batch...)
	}
	until(t, 10*time.Second, "attempts are under way", func() bool { return asked.Load() > 0 })
	s.kill(t)
	hook.answer("/orders", nil)
	began := time.Now()
	s.start(t)
	until(t, time.Minute, "all events arrive", func() bool { return hook.hasAll("/orders", ids) })
	t.Logf("%d events arrived %s after the start", len(ids), time.Since(began).Round(time.Millisecond))
}

// TestChannelAndTopicAreOne kills the server while channels are made and
// deleted: afterwards each has its partner topic and each partner topic its
// channel, and what was answered has happened.
func TestChannelAndTopicAreOne(t *testing.T) {
	t.Parallel()
	s := serve(t)
	partner, customer := pair(t, s)
	known := map[string]bool{} // what was answered: there or not
	for round := range crashes {
		made, stop := makeChannelsUntilStopped(t, partner, customer, round)
		after(t.Context(), 200*time.Millisecond+rand.N(600*time.Millisecond))
		s.kill(t)
		stop()
		s.start(t)
		maps.Copy(known, made())
		channels := names(all(t, partner.NewChannelsClient().NewListByPartnerNamespacePager(partner.group, namespace, &armeventgrid.ChannelsClientListByPartnerNamespaceOptions{Top: new(int32(100))}),
			func(p armeventgrid.ChannelsClientListByPartnerNamespaceResponse) []*armeventgrid.Channel {
				return p.Value
			}), func(c *armeventgrid.Channel) string { return *c.Name })
		topics := names(all(t, customer.NewPartnerTopicsClient().NewListByResourceGroupPager(customer.group, &armeventgrid.PartnerTopicsClientListByResourceGroupOptions{Top: new(int32(100))}),
			func(p armeventgrid.PartnerTopicsClientListByResourceGroupResponse) []*armeventgrid.PartnerTopic {
				return p.Value
			}), func(c *armeventgrid.PartnerTopic) string { return *c.Name })
		for name := range channels {
			if !topics[name] {
				t.Errorf("channel %s has no partner topic", name)
			}
		}
		for name := range topics {
			if !channels[name] {
				t.Errorf("partner topic %s has no channel", name)
			}
		}
		for name, there := range known {
			if channels[name] != there {
				t.Errorf("channel %s: the answer was that it is there: %t, but: %t", name, there, channels[name])
			}
		}
		t.Logf("round %d: %d channels, %d partner topics, %d answers", round, len(channels), len(topics), len(known))
	}
}

func names[V any](list []V, name func(V) string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, v := range list {
		out[name(v)] = true
	}
	return out
}

// makeChannelsUntilStopped makes channels and deletes every second one. made
// says of each whether it is there, as far as it was answered.
func makeChannelsUntilStopped(t *testing.T, partner, customer *side, round int) (made func() map[string]bool, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	header := map[string]string{"Authorization": "Bearer " + partner.token(t, "https://management.azure.com/.default"), "Content-Type": "application/json"}
	var mu sync.Mutex
	answered := map[string]bool{}
	var clients sync.WaitGroup
	for c := range 3 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("r%d-c%d-n%d", round, c, n)
				target := partner.server.url + partner.id("partnerNamespaces", namespace, "channels", name) + "?api-version=2022-06-15"
				body := fmt.Sprintf(`{"properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":%q,"resourceGroupName":%q,"name":%q,"source":"/s"}}}`,
					customer.subscription, customer.group, name)
				for _, method := range []string{http.MethodPut, http.MethodDelete}[:1+n%2] {
					a, err := partner.server.send(ctx, method, target, header, []byte(body))
					mu.Lock()
					if err == nil && a.status/100 == 2 {
						answered[name] = method == http.MethodPut
					} else {
						delete(answered, name) // it may have happened or not
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			}
		})
	}
	return func() map[string]bool { mu.Lock(); defer mu.Unlock(); return answered }, func() { cancel(); clients.Wait() }
}
