package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// subscribing returns how a customer asks for events at a URL.
func subscribing(t *testing.T, s *server) (customer *side, to func(name, url string) answer) {
	t.Helper()
	partner, customer := pair(t, s)
	if err := partner.putChannel(t, customer, "orders"); err != nil {
		t.Fatal(err)
	}
	return customer, func(name, url string) answer {
		t.Helper()
		return customer.call(t, "PUT", customer.id("partnerTopics", "orders", "eventSubscriptions", name),
			fmt.Sprintf(`{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":%q}}}}`, url))
	}
}

// TestForbiddenEndpoints names endpoints that a server for others must never
// ask, with and without the switch for a laptop.
func TestForbiddenEndpoints(t *testing.T) {
	t.Parallel()
	hook := receive(t)
	asked := hook.consentCount("/x")
	always := []string{
		"https://169.254.169.254/latest/meta-data", "https://[fe80::1]/x", "https://0.0.0.0/x", "https://[::ffff:169.254.169.254]/", "https://user:pw@example.com/x",
		"ftp://example.com/x", "https:///x", "not a URL", "https://2852039166/x", "https://example.com/x#part",
	}
	check := func(t *testing.T, s *server, urls []string) {
		t.Helper()
		customer, subscribe := subscribing(t, s)
		for _, url := range urls {
			a := subscribe("forbidden", url)
			if a.status != 400 || a.code() != "InvalidRequest" {
				t.Errorf("%s: %d %s", url, a.status, a.body)
			}
		}
		a := customer.call(t, "GET", customer.id("partnerTopics", "orders", "eventSubscriptions", "forbidden"), "")
		if a.status != 404 {
			t.Errorf("an event subscription was left behind: %s", a.body)
		}
	}
	t.Run("by default", func(t *testing.T) {
		s := newServer(t)
		s.start(t)
		check(t, s, append([]string{
			hook.URL + "/x", "http://example.com/x", "https://127.0.0.1/x", "https://localhost/x", "https://10.1.2.3/x", "https://192.168.0.1/", "https://[::1]/x", "https://[fd00::1]/x",
			strings.Replace(hook.URL, "http://", "https://", 1) + "/x",
		}, always...))
	})
	t.Run("with the switch", func(t *testing.T) { check(t, serve(t), always) })
	if n := asked.Load(); n != 0 {
		t.Errorf("the endpoint was asked %d times", n)
	}
}

// TestRefusedHandshakes has endpoints that do not consent: nothing is created,
// and no event of the topic ever reaches them.
func TestRefusedHandshakes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	customer, subscribe := subscribing(t, s)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WebHook-Allowed-Origin", "*")
			w.WriteHeader(code)
		}
	}
	followed := hook.consentCount("/target")
	for name, h := range map[string]http.HandlerFunc{
		"accepted":  status(http.StatusAccepted),
		"notfound":  status(http.StatusNotFound),
		"forbidden": status(http.StatusForbidden),
		"partial":   status(http.StatusPartialContent),
		"foreign":   func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("WebHook-Allowed-Origin", "example.com") },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WebHook-Allowed-Origin", "*")
			http.Redirect(w, r, hook.URL+"/target", http.StatusTemporaryRedirect)
		},
	} {
		hook.consent("/"+name, h)
		a := subscribe(name, hook.URL+"/"+name+"?code=s3cr3t")
		if a.status != 400 || a.code() != "Url validation" || !strings.Contains(a.error().Message, "https://aka.ms/esvalidation") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if strings.Contains(string(a.body), "s3cr3t") {
			t.Errorf("%s: the answer shows the secret part of the URL", name)
		}
		if a := customer.call(t, "GET", customer.id("partnerTopics", "orders", "eventSubscriptions", name), ""); a.status != 404 {
			t.Errorf("%s is there: %s", name, a.body)
		}
	}
	if followed.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

// TestManualConsent follows the link that an endpoint was given, with GET and
// with POST; before that no event comes, afterwards they do.
func TestManualConsent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	if err := partner.putChannel(t, customer, "orders"); err != nil {
		t.Fatal(err)
	}
	customer.activate(t, "orders")
	p := publisherOf(t, partner, "orders")
	subscriptions := customer.NewPartnerTopicEventSubscriptionsClient()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		name := "by-" + strings.ToLower(method)
		links := make(chan string, 1)
		hook.consent("/"+name, func(_ http.ResponseWriter, r *http.Request) { links <- r.Header.Get("WebHook-Request-Callback") })
		made := customer.call(t, "PUT", customer.id("partnerTopics", "orders", "eventSubscriptions", name),
			fmt.Sprintf(`{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":%q}}}}`, hook.URL+"/"+name))
		if made.status != 201 || made.property("provisioningState") != "AwaitingManualAction" {
			t.Fatalf("%s: %d %s", name, made.status, made.body)
		}
		if poll := made.header.Get("Azure-AsyncOperation"); poll == "" {
			t.Errorf("%s: nothing to follow", name)
		} else if a := customer.call(t, "GET", strings.TrimPrefix(poll, s.url), ""); a.status != 200 || !strings.Contains(string(a.body), "InProgress") {
			t.Errorf("%s: the operation is %d %s", name, a.status, a.body)
		}
		if ok, err := p.publish(t.Context(), name+"-before"); !ok {
			t.Fatal(err)
		}
		link := <-links
		state := func() armeventgrid.EventSubscriptionProvisioningState {
			return *must(subscriptions.Get(t.Context(), customer.group, "orders", name, nil))(t).Properties.ProvisioningState
		}
		wrong, err := s.send(t.Context(), method, strings.Replace(link, "token=", "token=x", 1), nil, nil)
		if err != nil || wrong.status/100 != 4 || state() != armeventgrid.EventSubscriptionProvisioningStateAwaitingManualAction {
			t.Errorf("%s with a wrong token: %d %s %v, state %s", name, wrong.status, wrong.body, err, state())
		}
		for range 2 { // twice: people do that
			a, err := s.send(t.Context(), method, link, nil, nil)
			if err != nil || a.status != 200 || state() != armeventgrid.EventSubscriptionProvisioningStateSucceeded {
				t.Errorf("%s: %d %s %v, state %s", name, a.status, a.body, err, state())
			}
		}
		if ok, err := p.publish(t.Context(), name+"-after"); !ok {
			t.Fatal(err)
		}
		until(t, 10*time.Second, "an event arrives after the consent", func() bool { return hook.hasAll("/"+name, []string{name + "-after"}) })
		if hook.hasAll("/"+name, []string{name + "-before"}) {
			t.Errorf("%s got an event before it consented", name)
		}
	}
}

// TestEventSubscriptionEnds has an event subscription with an end: it goes by
// itself.
func TestEventSubscriptionEnds(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	body := webhook(hook.URL + "/orders")
	body.Properties.ExpirationTimeUTC = new(time.Now().Add(1500 * time.Millisecond))
	made, err := customer.NewPartnerTopicEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), customer.group, "orders", "short", body, nil)
	await(t, made, err)
	until(t, 10*time.Second, "the event subscription ends", func() bool {
		return customer.call(t, "GET", customer.id("partnerTopics", "orders", "eventSubscriptions", "short"), "").status == 404
	})
	if a := customer.call(t, "GET", customer.id("partnerTopics", "orders", "eventSubscriptions", "to-erp"), ""); a.status != 200 {
		t.Errorf("the other one: %d", a.status)
	}
}
