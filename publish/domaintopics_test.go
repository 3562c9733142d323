package publish

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// DomainTopics behave as a map whose keys have no letter case, and that only
// the incarnation which is in it can be removed from.
func TestDomainTopics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d DomainTopics
		model := map[string]resource.UID{}
		name := rapid.SampledFrom([]string{"a", "A", "b", "Straße", "STRASSE", "straße", ""})
		uid := rapid.Custom(func(t *rapid.T) resource.UID { return resource.UID{rapid.ByteRange(1, 3).Draw(t, "uid")} })
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			n, u := name.Draw(t, "name"), uid.Draw(t, "incarnation")
			key := strings.ToLower(n)
			switch rapid.IntRange(0, 2).Draw(t, "action") {
			case 0:
				d.Set(n, u)
				model[key] = u
			case 1:
				d.Remove(n, u)
				if model[key] == u {
					delete(model, key)
				}
			}
			want, wantOK := model[key]
			if got, ok := d.Lookup(n); got != want || ok != wantOK {
				t.Fatalf("Lookup(%q) = %v, %v; want %v, %v", n, got, ok, want, wantOK)
			}
		}
	})
	if _, ok := (*DomainTopics)(nil).Lookup("a"); ok {
		t.Error("the nil DomainTopics has a topic")
	}
}

// Topics come and go under publishers: each event goes to an incarnation of
// the topic that it names, or to the domain; run with -race.
func TestDomainTopicsChangeUnderPublish(t *testing.T) {
	topics := &DomainTopics{}
	f := newFixture(t, asDomain(event.CloudEvents, topics))
	const names, rounds = 5, 60
	incarnation := func(name, round int) resource.UID { return resource.UID{1, byte(name), byte(round)} }
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := range rounds {
			for n := range names {
				topics.Set(fmt.Sprintf("Topic-%d", n), incarnation(n, round))
				if round%2 == 1 {
					topics.Remove(fmt.Sprintf("TOPIC-%d", n), incarnation(n, round))
				}
			}
		}
	})
	for range 3 {
		wg.Go(func() {
			for range rounds {
				var sources []string
				for n := range names {
					sources = append(sources, fmt.Sprintf("topic-%d", n), fmt.Sprintf("TOPIC-%d", n))
				}
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(events(sources...)))
				r.Header.Set("aeg-sas-key", key1)
				r.Header.Set("Content-Type", batchType)
				w := httptest.NewRecorder()
				if f.ServeHTTP(w, r); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
	if len(f.log.entries) != 3*rounds*names*2 {
		t.Errorf("%d entries", len(f.log.entries))
	}
	for _, e := range f.log.entries {
		name := int(e.Event.Source[len("topic-")] - '0')
		known := e.Domain == f.src.UID && e.Topic[0] == 1 && int(e.Topic[1]) == name
		unknown := e.Domain.IsZero() && e.Topic == f.src.UID
		if !known && !unknown {
			t.Fatalf("event of %s has topic %v, domain %v", e.Event.Source, e.Topic, e.Domain)
		}
	}
}
